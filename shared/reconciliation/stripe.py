"""Stripe's books: balance transactions and payouts, as https://docs.stripe.com/api/balance_transactions has them."""

import re
from collections.abc import Mapping
from typing import Any

from shared.payments.errors import RailRefused
from shared.payments.models import Money, OrderId, PaymentId, RailName, Subject
from shared.payments.stripe.gateway import StripeApi
from shared.payments.stripe.rail import ORDER_KEY
from shared.payouts.stripe import PAYOUT_KEY
from shared.reconciliation.days import end_ms, start_ms
from shared.reconciliation.models import BankPayout, Line, LineKind, Page
from shared.reconciliation.names import order_named
from shared.reconciliation.statements import PAGE_LINES_MAX

BANK_PAYOUTS_MAX = 100
"""Of one day. Stripe makes one for each currency and day; a person may make more by hand."""
_PATH = "/v1/balance_transactions"
_KINDS = {
    "charge": LineKind.PAYMENT,
    "payment": LineKind.PAYMENT,
    "payment_failure_refund": LineKind.REFUND,
    "refund": LineKind.REFUND,
    "payment_refund": LineKind.REFUND,
    "refund_failure": LineKind.REFUND,
    "transfer": LineKind.TRANSFER,
    "transfer_refund": LineKind.TRANSFER,
    "transfer_cancel": LineKind.TRANSFER,
    "transfer_failure": LineKind.TRANSFER,
    "payout": LineKind.PAYOUT,
    "payout_cancel": LineKind.PAYOUT,
    "payout_failure": LineKind.PAYOUT,
}
"""By the transaction's `type`. A dispute is an `adjustment`, told from others by its source."""
_PAYOUT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TO_ARRIVE = ("paid", "pending", "in_transit")
"""Statuses of a payout whose money is at our bank, or ought to be from its arrival date on."""
_SUBJECTS = {LineKind.PAYMENT: "charge", LineKind.REFUND: "refund", LineKind.DISPUTE: "dispute"}


class StripeStatements:
    """What Stripe says of our balance."""

    name = RailName.STRIPE
    sells: tuple[RailName, ...] = (RailName.STRIPE,)
    recounts = False
    pays_earners = True
    tells_payouts = True

    def __init__(self, api: StripeApi) -> None:
        self._api = api

    async def lines(self, day: str, cursor: str | None) -> Page:
        created = {"gte": start_ms(day) // 1000, "lt": end_ms(day) // 1000}
        return _page(await self._listed(cursor, created=created))

    async def line(self, line_id: str) -> Line | None:
        try:
            return _line(await self._api.get(f"{_PATH}/{line_id}", {"expand": ["source"]}))
        except RailRefused as refusal:
            if refusal.provider_code == "resource_missing":
                return None
            raise

    async def bank_payouts(self, day: str) -> tuple[BankPayout, ...]:
        arrived = {"gte": start_ms(day) // 1000, "lt": end_ms(day) // 1000}
        params = {"arrival_date": arrived, "limit": BANK_PAYOUTS_MAX}
        listed = await self._api.get("/v1/payouts", params)
        if listed.get("has_more"):
            raise RailRefused("Stripe", f"more than {BANK_PAYOUTS_MAX} payouts on a day")
        return tuple(payout for found in listed["data"] if (payout := _bank_payout(found)))

    async def bank_payout(self, payout_id: str) -> BankPayout | None:
        try:
            found = await self._api.get(f"/v1/payouts/{payout_id}", {})
        except RailRefused as refusal:
            if refusal.provider_code == "resource_missing":
                return None
            raise
        return _bank_payout(found)

    async def payout_lines(self, payout_id: str, cursor: str | None) -> Page:
        page = _page(await self._listed(cursor, payout=payout_id))
        # A payout lists its own transaction too, which is what the others add up to.
        return Page(tuple(line for line in page.lines if line.kind is not LineKind.PAYOUT), page.cursor)

    async def balances(self, day: str) -> Mapping[str, int] | None:
        return None

    def subject_of(self, line: Line) -> Subject | None:
        kind = _SUBJECTS.get(line.kind)
        return Subject(kind, line.about) if kind else None

    async def _listed(self, cursor: str | None, **of: Any) -> dict[str, Any]:
        after = {"starting_after": cursor} if cursor else {}
        params = {**of, **after, "limit": PAGE_LINES_MAX, "expand": ["data.source"]}
        return await self._api.get(_PATH, params)


def _page(listed: Mapping[str, Any]) -> Page:
    found = listed["data"]
    cursor = str(found[-1]["id"]) if found and listed.get("has_more") else None
    return Page(tuple(_line(transaction) for transaction in found), cursor)


def _line(found: Mapping[str, Any]) -> Line:
    source = found.get("source")
    about: Mapping[str, Any] = source if isinstance(source, dict) else {}
    kind = _KINDS.get(str(found["type"]), LineKind.OTHER)
    if about.get("object") == "dispute":
        kind = LineKind.DISPUTE
    intent = about.get("payment_intent")
    fee = found.get("fee")
    return Line(
        line_id=str(found["id"]),
        kind=kind,
        amount_minor=int(found["amount"]),
        fee_minor=int(fee) if fee is not None else None,
        currency=str(found["currency"]).upper(),
        at_ms=int(found["created"]) * 1000,
        # The way back is of the transfer that it takes back.
        about=str(about.get("transfer") or about.get("id") or source or ""),
        payment_id=PaymentId(intent) if isinstance(intent, str) else None,
        order_id=_order_of(kind, about),
        earner_payout=_earner_payout(about) if kind is LineKind.TRANSFER else None,
        money=_money(about) if kind in _SUBJECTS or kind is LineKind.TRANSFER else None,
        is_void=_is_void(kind, about),
    )


def _earner_payout(about: Mapping[str, Any]) -> str | None:
    """A transfer has its own metadata; what takes one back is given the same when it is made by us."""
    named = about.get("metadata", {}).get(PAYOUT_KEY)
    return named if isinstance(named, str) and _PAYOUT_ID.fullmatch(named) else None


def _is_void(kind: LineKind, about: Mapping[str, Any]) -> bool:
    if kind is LineKind.TRANSFER:
        return about.get("reversed") is True
    return kind is LineKind.REFUND and about.get("status") in ("failed", "canceled")


def _order_of(kind: LineKind, about: Mapping[str, Any]) -> OrderId | None:
    """Only a charge has its intent's metadata; a refund and a dispute have their own."""
    named = about.get("metadata", {}).get(ORDER_KEY) if kind is LineKind.PAYMENT else None
    return order_named(named)


def _money(about: Mapping[str, Any]) -> Money | None:
    amount, currency = about.get("amount"), about.get("currency")
    return Money(amount, currency.upper()) if isinstance(amount, int) and isinstance(currency, str) else None


def _bank_payout(found: Mapping[str, Any]) -> BankPayout | None:
    """None for one that came back or was called back."""
    if found["status"] not in _TO_ARRIVE:
        return None
    return BankPayout(
        payout_id=str(found["id"]),
        amount_minor=int(found["amount"]),
        currency=str(found["currency"]).upper(),
        has_arrived=found["status"] == "paid",
        lists_lines=found.get("automatic") is not False,
    )
