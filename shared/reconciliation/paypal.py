"""PayPal's books: the transactions that moved our balance, and the balance at the end of a day.

https://developer.paypal.com/docs/api/transaction-search/v1/. Transactions appear up to three hours late, so a day is
read once PayPal says that it has it whole. What a withdrawal to the bank took with it is not told; the balance is.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.payments.errors import RailRefused, RailUnavailable
from shared.payments.models import Money, PaymentId, RailName, Subject
from shared.payments.paypal.amounts import AmountOdd, money_of
from shared.payments.paypal.gateway import PayPalApi
from shared.reconciliation.days import day_of, end_ms
from shared.reconciliation.models import BankPayout, Line, LineKind, Page
from shared.reconciliation.names import order_named
from shared.reconciliation.statements import PAGE_LINES_MAX

PAGES_MAX = 1_000
"""Of one day: what is more than a hundred thousand movements is read from files, not from this API."""
_TRANSACTIONS = "/v1/reporting/transactions"
_BALANCES = "/v1/reporting/balances"
_DISPUTES = "/v1/customer/disputes"
_GROUPS = {"T00": LineKind.PAYMENT, "T04": LineKind.PAYOUT}
_CODES = {
    "T1106": LineKind.REFUND,
    "T1107": LineKind.REFUND,
    "T1201": LineKind.DISPUTE,
    "T1202": LineKind.DISPUTE,
}
"""By the event code, or its group: https://developer.paypal.com/docs/transaction-search/transaction-event-codes/. What
comes back from a refund has no name that leads to it, and is counted with the rest."""
_HOLDS = ("T1105", "T1110", "T1111", "T15", "T21")
"""They move money between the available and the withheld part of the balance, and nothing in or out."""
_MOVED = ("S", "F", "V")
"""Statuses of what moved money: done, refunded in part since, reversed since. Pending and denied have not."""
_SUBJECTS = {LineKind.PAYMENT: "capture", LineKind.REFUND: "refund", LineKind.DISPUTE: "dispute"}
Shown = Mapping[str, Any]


class PayPalStatements:
    """What PayPal says of our balance."""

    name = RailName.PAYPAL
    sells: tuple[RailName, ...] = (RailName.PAYPAL,)
    recounts = False
    pays_earners = False
    tells_payouts = False

    def __init__(self, api: PayPalApi) -> None:
        self._api = api

    async def lines(self, day: str, cursor: str | None) -> Page:
        number = int(cursor or 1)
        listed = await self._listed(day, {"page": str(number)})
        lines = [await self._line(one) for one in _moved(listed, day)]
        pages = int(listed.get("total_pages") or 0)
        if pages > PAGES_MAX:
            raise RailRefused("PayPal", f"{pages} pages of transactions on a day")
        return Page(tuple(lines), str(number + 1) if number < pages else None)

    async def line(self, line_id: str) -> Line | None:
        name, _, day = line_id.partition("@")
        transaction_id = name.partition(".")[0]
        listed = await self._listed(day, {"page": "1", "transaction_id": transaction_id})
        for found in _moved(listed, day):
            if _line_id(found) == line_id:
                return await self._line(found)
        return None

    async def bank_payouts(self, day: str) -> tuple[BankPayout, ...]:
        return ()

    async def bank_payout(self, payout_id: str) -> BankPayout | None:
        return None

    async def payout_lines(self, payout_id: str, cursor: str | None) -> Page:
        return Page((), None)

    async def balances(self, day: str) -> Mapping[str, int] | None:
        found = await self._api.get(_BALANCES, {"as_of_time": f"{day}T23:59:59Z", "currency_code": "ALL"})
        return {str(one["currency"]): _signed(one["total_balance"]).amount_minor for one in found.get("balances", ())}

    def subject_of(self, line: Line) -> Subject | None:
        kind = _SUBJECTS.get(line.kind)
        return Subject(kind, line.about) if kind else None

    async def _listed(self, day: str, asked: Mapping[str, str]) -> dict[str, Any]:
        """A page of a day. Raise RailUnavailable while PayPal does not have the day whole."""
        within = {"start_date": f"{day}T00:00:00Z", "end_date": f"{day}T23:59:59Z", "fields": "transaction_info"}
        listed = await self._api.get(_TRANSACTIONS, {**within, **asked, "page_size": str(PAGE_LINES_MAX)})
        refreshed = listed.get("last_refreshed_datetime")
        if isinstance(refreshed, str) and _at_ms(refreshed) < end_ms(day):
            raise RailUnavailable("PayPal")
        return listed

    async def _line(self, found: Shown) -> Line:
        kind = _kind_of(str(found["transaction_event_code"]))
        amount = _signed(found["transaction_amount"])
        about, payment_id = str(found["transaction_id"]), str(found["transaction_id"])
        if kind in (LineKind.REFUND, LineKind.DISPUTE):
            payment_id = str(found.get("paypal_reference_id") or "")
        if kind is LineKind.DISPUTE:
            about = await self._dispute_of(payment_id) or about
        return Line(
            line_id=_line_id(found),
            kind=kind,
            amount_minor=amount.amount_minor,
            # Signed as it moves the balance. What has none is free.
            fee_minor=-_signed(found["fee_amount"]).amount_minor if found.get("fee_amount") else 0,
            currency=amount.currency,
            at_ms=_at_ms(str(found["transaction_initiation_date"])),
            about=about,
            payment_id=PaymentId(payment_id) if kind in _SUBJECTS and payment_id else None,
            order_id=order_named(found.get("custom_field")) if kind is LineKind.PAYMENT else None,
            money=Money(abs(amount.amount_minor), amount.currency) if kind in _SUBJECTS else None,
        )

    async def _dispute_of(self, payment_id: str) -> str | None:
        """A chargeback names the payment; our order knows the dispute."""
        listed = await self._api.get(_DISPUTES, {"disputed_transaction_id": payment_id})
        items = listed.get("items") or []
        return str(items[0]["dispute_id"]) if items else None


def _moved(listed: Shown, day: str) -> list[Shown]:
    """Those of a page that moved the balance on the day. The end of a day may be told with the next."""
    found = [one["transaction_info"] for one in listed.get("transaction_details", ())]
    return [
        one
        for one in found
        if one.get("transaction_status") in _MOVED
        and not str(one["transaction_event_code"]).startswith(_HOLDS)
        and day_of(_at_ms(str(one["transaction_initiation_date"]))) == day
    ]


def _kind_of(code: str) -> LineKind:
    return _CODES.get(code) or _GROUPS.get(code[:3], LineKind.OTHER)


def _line_id(found: Shown) -> str:
    """A transaction's id may stand for two movements, and can be looked up only with its day."""
    day = day_of(_at_ms(str(found["transaction_initiation_date"])))
    return f"{found['transaction_id']}.{found['transaction_event_code']}@{day}"


def _signed(amount: Shown) -> Money:
    """An amount that may be negative. Raise RailRefused for one that is none."""
    value = str(amount.get("value"))
    try:
        money = money_of({**amount, "value": value.removeprefix("-")})
    except AmountOdd as odd:
        raise RailRefused("PayPal", f"an amount in {odd}") from None
    return Money(-money.amount_minor if value.startswith("-") else money.amount_minor, money.currency)


def _at_ms(text: str) -> int:
    """PayPal writes zones as `Z`, `+0000` or `+00:00`."""
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        raise RailRefused("PayPal", "a moment that is none") from None
