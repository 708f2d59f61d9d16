"""The balance at the stand-in for PayPal, and what its reports tell of it.

In the shapes of Transaction Search v1 (https://developer.paypal.com/docs/api/transaction-search/v1/). Whatever moves
money is a transaction with an event code, a fee, and a sign; the list is hours behind, as PayPal's is.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from local.paypal.refusal import malformed
from local.paypal.shapes import amount_in, amount_of, copy_of, new_id

Object = dict[str, Any]
LISTED_AFTER_S = 3 * 3_600
"""At most so long after it happened a transaction is listed. Here it is always so long."""
RANGE_DAYS_MAX = 31
PAGE_DEFAULT, PAGE_MAX = 100, 500
FEE_PPM, FEE_FIXED = Decimal(34_900), Decimal("0.49")
"""PayPal Checkout in the United States: 3.49 % and 49 cents, or of whatever the currency has."""
PAYMENT, REFUND, REVERSAL, CHARGEBACK, WITHDRAWAL, RETURN = "T0006", "T1107", "T1106", "T1201", "T0403", "T1101"


def fee_of(amount: Decimal) -> Decimal:
    """What PayPal keeps of a payment."""
    return (amount * FEE_PPM / 1_000_000 + FEE_FIXED).quantize(Decimal("0.01"))


class Reports:
    """All movements of one account's balance, oldest first."""

    def __init__(self, clock_s: Callable[[], int]) -> None:
        self._clock_s = clock_s
        self._moved: list[Object] = []
        self._whole_until_s: int | None = None
        self._leaks: list[tuple[int, str, Decimal]] = []

    def book(self, code: str, amount: Object, *, about: str, fee: Decimal | None = None, **more: Any) -> Object:
        """Write a movement down; the amount has its sign, and the fee is what PayPal kept."""
        currency, at = amount["currency_code"], _text(self._clock_s())
        moved = {
            "paypal_account_id": "STANDINBUYER2",
            "transaction_id": about,
            "transaction_event_code": code,
            "transaction_initiation_date": at,
            "transaction_updated_date": at,
            "transaction_amount": copy_of(amount),
            "transaction_status": "S",
            "protection_eligibility": "01",
            **more,
        }
        if fee is not None:
            moved["fee_amount"] = amount_of(-fee, currency)
        self._moved.append(moved)
        return moved

    def book_payment(self, capture: Object) -> None:
        """A capture was completed."""
        order_id = capture["supplementary_data"]["related_ids"]["order_id"]
        of = {"paypal_reference_id": order_id, "paypal_reference_id_type": "ODR"}
        named = {"custom_field": capture.get("custom_id"), "invoice_id": capture.get("invoice_id")}
        fee = fee_of(amount_in(capture["amount"]))
        self.book(PAYMENT, capture["amount"], about=capture["id"], fee=fee, **of, **named)

    def book_back(self, code: str, amount: Object, capture_id: str, *, about: str | None = None) -> None:
        """Money of a capture went back, or came back from there."""
        of = {"paypal_reference_id": capture_id, "paypal_reference_id_type": "TXN"}
        sign = amount if code == RETURN else amount_of(-amount_in(amount), amount["currency_code"])
        self.book(code, sign, about=about or new_id(), **of)

    def withdraw(self, currency: str) -> Object:
        """Send all that is there to the bank."""
        total = self.total(currency)
        if total <= 0:
            raise malformed("INVALID_PARAMETER_VALUE")
        return self.book(WITHDRAWAL, amount_of(-total, currency), about=new_id())

    def refresh(self, until: str) -> Object:
        """Say from now on that all is listed until then, whatever the clock says."""
        self._whole_until_s = int(datetime.fromisoformat(until).timestamp())
        return {}

    def total(self, currency: str) -> Decimal:
        """What is there."""
        return self._balances(self._clock_s()).get(currency, Decimal())

    def leak(self, currency: str, value: str) -> None:
        """Let money leave that no transaction tells of."""
        before = [one for one in self._leaks if one[2] != -Decimal(value)]
        gone = [(self._clock_s(), currency, Decimal(value))]
        self._leaks = before if len(before) < len(self._leaks) else self._leaks + gone

    def tamper(self, transaction_id: str, **fields: Any) -> None:
        """Make the report tell something that never was."""
        next(one for one in self._moved if one["transaction_id"] == transaction_id).update(fields)

    def forget(self, transaction_id: str) -> None:
        """Leave a movement out of the report, and out of the balance."""
        self._moved = [one for one in self._moved if one["transaction_id"] != transaction_id]

    def transactions(self, asked: Mapping[str, Any]) -> Object:
        """GET /v1/reporting/transactions. Raise PayPalRefusal."""
        start, end = _moment(asked.get("start_date")), _moment(asked.get("end_date"))
        if end < start or end - start > timedelta(days=RANGE_DAYS_MAX):
            raise malformed("INVALID_PARAMETER_VALUE")
        size, number = int(asked.get("page_size", PAGE_DEFAULT)), int(asked.get("page", 1))
        if not 0 < size <= PAGE_MAX or number < 1:
            raise malformed("INVALID_PARAMETER_VALUE")
        wanted = asked.get("transaction_id")
        found = [
            one
            for one in self._moved
            if start <= _moment(one["transaction_initiation_date"]) <= min(end, self._refreshed())
            and wanted in (None, one["transaction_id"])
        ]
        pages = -(-len(found) // size)
        return {
            "transaction_details": [{"transaction_info": copy_of(one)} for one in found[(number - 1) * size :][:size]],
            "account_number": "STANDIN",
            "start_date": asked["start_date"],
            "end_date": asked["end_date"],
            "last_refreshed_datetime": _text(int(self._refreshed().timestamp())),
            "page": number,
            "total_items": len(found),
            "total_pages": pages,
            "links": [],
        }

    def balances(self, asked: Mapping[str, Any]) -> Object:
        """GET /v1/reporting/balances. Raise PayPalRefusal."""
        at = _moment(asked["as_of_time"]) if "as_of_time" in asked else self._refreshed()
        sums = self._balances(int(at.timestamp()))
        shown = [
            {
                "currency": currency,
                "primary": currency == "USD",
                "total_balance": amount_of(total, currency),
                "available_balance": amount_of(total, currency),
                "withheld_balance": amount_of(Decimal(), currency),
            }
            for currency, total in sorted(sums.items())
            if asked.get("currency_code", "ALL") in ("ALL", currency)
        ]
        refreshed = _text(int(self._refreshed().timestamp()))
        return {
            "balances": shown,
            "account_id": "STANDIN",
            "as_of_time": asked.get("as_of_time", refreshed),
            "last_refresh_time": refreshed,
        }

    def _balances(self, at_s: int) -> dict[str, Decimal]:
        sums: dict[str, Decimal] = {}
        for one in self._moved:
            if int(_moment(one["transaction_initiation_date"]).timestamp()) <= at_s:
                currency = one["transaction_amount"]["currency_code"]
                fee = Decimal(one.get("fee_amount", {}).get("value", 0))
                sums[currency] = sums.get(currency, Decimal()) + Decimal(one["transaction_amount"]["value"]) + fee
        for leaked_at_s, currency, value in self._leaks:
            if leaked_at_s <= at_s:
                sums[currency] = sums.get(currency, Decimal()) - value
        return sums

    def _refreshed(self) -> datetime:
        at_s = self._clock_s() - LISTED_AFTER_S if self._whole_until_s is None else self._whole_until_s
        return datetime.fromtimestamp(at_s, UTC)


def _moment(text: object) -> datetime:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        raise malformed("INVALID_PARAMETER_SYNTAX") from None


def _text(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")
