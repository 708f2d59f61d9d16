"""Razorpay's books: payments and refunds as they are made, and what settlements take to the bank.

https://razorpay.com/docs/api/settlements/fetch-recon and its neighbours. A payment tells its fee once it is captured,
and the settlement that takes it tells it again; what disputes, transfers and adjustments did is told by settlements
alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.base.together import all_of
from shared.payments.errors import RailRefused
from shared.payments.models import Money, PaymentId, RailName, Subject
from shared.payments.razorpay.gateway import RazorpayApi
from shared.payments.razorpay.shown import our_order
from shared.reconciliation.days import day_of, end_ms, moved, start_ms
from shared.reconciliation.models import BankPayout, Line, LineKind, Page
from shared.reconciliation.names import order_named
from shared.reconciliation.statements import PAGE_LINES_MAX

BANK_PAYOUTS_MAX = 100
"""Of one day. Razorpay settles a few times a day at most; more is for a person."""
SETTLEMENT_DAYS = 1
"""So long after it was sent a settlement is looked for at our bank. Mostly it takes hours."""
ASKED_AT_ONCE_MAX = 10
"""Objects that a page needs beside its lines. Razorpay refuses who asks for more than some tens a second."""
RECON_PAGES_MAX = 100
"""Of one day, when one line of it is looked for: ten thousand lines."""
BANK_CURRENCY = "INR"
"""A settlement has no currency of its own: what came in another is exchanged before."""
INDIA_MS = 19_800_000
"""How far the days of settlements are ahead of UTC: that they are days in India is not documented."""
_PARTS = ("payments", "refunds", "settlements", "recon_first", "recon_second")
"""Where a UTC day's lines are, in this order. The two days in India that it touches are read for the last two."""
_RECON = "/v1/settlements/recon/combined"
_CAPTURED = ("captured", "refunded")
Shown = Mapping[str, Any]


class RazorpayStatements:
    """What Razorpay says of our balance."""

    name = RailName.RAZORPAY
    sells: tuple[RailName, ...] = (RailName.RAZORPAY,)
    recounts = True
    pays_earners = False
    tells_payouts = True

    def __init__(self, api: RazorpayApi) -> None:
        self._api = api

    async def lines(self, day: str, cursor: str | None) -> Page:
        part, _, skipped = (cursor or f"{_PARTS[0]}:0").partition(":")
        skip = int(skipped)
        if part.startswith("recon"):
            india_day = moved(day, _PARTS.index(part) - _PARTS.index("recon_first"))
            found = await self._recon(india_day, skip)
            lines = await self._adjusted(one for one in found if day_of(int(one["settled_at"]) * 1000) == day)
        else:
            # The API takes both ends in, and its moments are whole seconds.
            within = {"from": start_ms(day) // 1000, "to": end_ms(day) // 1000 - 1}
            found = await self._listed(f"/v1/{part}", within, skip)
            lines = await self._made(part, found)
        return Page(tuple(lines), _next_cursor(part, skip, len(found)))

    async def line(self, line_id: str) -> Line | None:
        entity_id, _, india_day = line_id.partition("@")
        if india_day:
            return await self._settled_line(entity_id, india_day)
        part = {"pay": "payments", "rfnd": "refunds", "setl": "settlements"}.get(entity_id.partition("_")[0])
        if part is None:
            return None
        try:
            found = await self._api.get(f"/v1/{part}/{entity_id}", {})
        except RailRefused:
            # Razorpay has one code for all refusals. Nobody takes this for an agreement.
            return None
        lines = await self._made(part, [found])
        return lines[0] if lines else None

    async def bank_payouts(self, day: str) -> tuple[BankPayout, ...]:
        # What was sent the day before ought to be there: a settlement does not say when it arrived.
        sent = moved(day, -SETTLEMENT_DAYS)
        within = {"from": start_ms(sent) // 1000, "to": end_ms(sent) // 1000 - 1}
        found = await self._listed("/v1/settlements", within, 0)
        if len(found) >= BANK_PAYOUTS_MAX:
            raise RailRefused("Razorpay", f"{BANK_PAYOUTS_MAX} settlements on a day or more")
        return tuple(payout for one in found if (payout := _bank_payout(one)))

    async def bank_payout(self, payout_id: str) -> BankPayout | None:
        try:
            found = await self._api.get(f"/v1/settlements/{payout_id}", {})
        except RailRefused:
            return None
        return _bank_payout(found)

    async def payout_lines(self, payout_id: str, cursor: str | None) -> Page:
        settlement = await self._api.get(f"/v1/settlements/{payout_id}", {})
        skip = int(cursor or 0)
        found = await self._recon(_india_day(int(settlement["created_at"])), skip)
        lines = [_counted(one) for one in found if one["settlement_id"] == payout_id]
        return Page(tuple(lines), str(skip + len(found)) if len(found) == PAGE_LINES_MAX else None)

    async def balances(self, day: str) -> Mapping[str, int] | None:
        return None

    def subject_of(self, line: Line) -> Subject | None:
        kinds = {LineKind.PAYMENT: "payment", LineKind.REFUND: "refund", LineKind.DISPUTE: "dispute"}
        kind = kinds.get(line.kind)
        return Subject(kind, line.about) if kind else None

    async def _listed(self, path: str, within: Mapping[str, int], skip: int) -> list[dict[str, Any]]:
        listed = await self._api.get(path, {**within, "count": PAGE_LINES_MAX, "skip": skip})
        return list(listed["items"])

    async def _recon(self, india_day: str, skip: int) -> list[dict[str, Any]]:
        year, month, day = (int(part) for part in india_day.split("-"))
        return await self._listed(_RECON, {"year": year, "month": month, "day": day}, skip)

    async def _made(self, part: str, found: Sequence[Shown]) -> list[Line]:
        match part:
            case "payments":
                captured = [one for one in found if one["status"] in _CAPTURED]
                references = {str(one["order_id"]) for one in captured if one.get("order_id")}
                orders = await self._objects("orders", references)
                return [_payment(one, orders.get(str(one.get("order_id")))) for one in captured]
            case "refunds":
                return [_refund(one) for one in found]
            case _:
                return [_settlement(one) for one in found]

    async def _adjusted(self, found: Iterable[Shown]) -> list[Line]:
        """What only settlements tell."""
        others = [one for one in found if one["type"] not in ("payment", "refund")]
        disputes = await self._objects("disputes", {str(one["dispute_id"]) for one in others if one.get("dispute_id")})
        return [_adjustment(one, disputes.get(str(one.get("dispute_id")))) for one in others]

    async def _objects(self, folder: str, names: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Objects that lines name, a few at a time."""
        found: dict[str, dict[str, Any]] = {}
        left = sorted(names)
        for at in range(0, len(left), ASKED_AT_ONCE_MAX):
            asked = left[at : at + ASKED_AT_ONCE_MAX]
            answers = await all_of(self._api.get(f"/v1/{folder}/{name}", {}) for name in asked)
            found.update(zip(asked, answers, strict=True))
        return found

    async def _settled_line(self, entity_id: str, india_day: str) -> Line | None:
        for number in range(RECON_PAGES_MAX):
            found = await self._recon(india_day, number * PAGE_LINES_MAX)
            if same := [one for one in found if one["entity_id"] == entity_id]:
                lines = await self._adjusted(same[:1])
                return lines[0] if lines else None
            if len(found) < PAGE_LINES_MAX:
                break
        return None


def _next_cursor(part: str, skip: int, found: int) -> str | None:
    if found == PAGE_LINES_MAX:
        return f"{part}:{skip + found}"
    left = _PARTS[_PARTS.index(part) + 1 :]
    return f"{left[0]}:0" if left else None


def _payment(found: Shown, order: Shown | None) -> Line:
    """Money as the buyer paid it; the balance has what it was exchanged for."""
    is_exchanged = found.get("base_amount") is not None
    fee = found.get("fee")
    return Line(
        line_id=str(found["id"]),
        kind=LineKind.PAYMENT,
        amount_minor=int(found["base_amount"] if is_exchanged else found["amount"]),
        # It has the tax on the fee in it.
        fee_minor=int(fee) if fee is not None else None,
        currency=str(found["base_currency"] if is_exchanged else found["currency"]),
        at_ms=int(found["created_at"]) * 1000,
        about=str(found["id"]),
        payment_id=PaymentId(str(found["id"])),
        # The payment's own notes come from the browser; only we make the order.
        order_id=order_named(our_order(order)) if order is not None else None,
        money=Money(int(found["amount"]), str(found["currency"])),
    )


def _refund(found: Shown) -> Line:
    """One that failed took nothing from the balance, and stays in the list."""
    has_failed = found["status"] == "failed"
    is_exchanged = found.get("base_amount") is not None
    return Line(
        line_id=str(found["id"]),
        kind=LineKind.REFUND,
        amount_minor=0 if has_failed else -int(found["base_amount"] if is_exchanged else found["amount"]),
        fee_minor=0,
        currency=str(found["base_currency"] if is_exchanged else found["currency"]),
        at_ms=int(found["created_at"]) * 1000,
        about=str(found["id"]),
        payment_id=PaymentId(str(found["payment_id"])),
        money=Money(int(found["amount"]), str(found["currency"])),
        is_void=has_failed,
    )


def _settlement(found: Shown) -> Line:
    return Line(
        line_id=str(found["id"]),
        kind=LineKind.PAYOUT,
        amount_minor=0 if found["status"] == "failed" else -int(found["amount"]),
        fee_minor=0,
        currency=BANK_CURRENCY,
        at_ms=int(found["created_at"]) * 1000,
        about=str(found["id"]),
    )


def _counted(found: Shown) -> Line:
    """A line as its settlement counts it, by the name under which it is kept."""
    kinds = {"payment": LineKind.PAYMENT, "refund": LineKind.REFUND}
    kind, fee = kinds.get(str(found["type"]), LineKind.OTHER), int(found["fee"] or 0)
    entity_id = str(found["entity_id"])
    is_told_before = found["type"] in kinds
    return Line(
        line_id=entity_id if is_told_before else f"{entity_id}@{_india_day(int(found['settled_at']))}",
        kind=kind,
        amount_minor=int(found["credit"]) - int(found["debit"]) + fee,
        fee_minor=fee,
        currency=str(found["currency"]),
        at_ms=int(found["created_at"] if is_told_before else found["settled_at"]) * 1000,
        about=entity_id,
    )


def _adjustment(found: Shown, dispute: Shown | None) -> Line:
    line = _counted(found)
    if dispute is None:
        return line
    return Line(
        line_id=line.line_id,
        kind=LineKind.DISPUTE,
        amount_minor=line.amount_minor,
        fee_minor=line.fee_minor,
        currency=line.currency,
        at_ms=line.at_ms,
        about=str(dispute["id"]),
        payment_id=PaymentId(str(dispute["payment_id"])),
        money=Money(int(dispute["amount"]), str(dispute["currency"])),
    )


def _bank_payout(found: Shown) -> BankPayout | None:
    """None for one that the bank sent back: what was in it is in a later one."""
    if found["status"] == "failed":
        return None
    return BankPayout(
        payout_id=str(found["id"]),
        amount_minor=int(found["amount"]),
        currency=BANK_CURRENCY,
        has_arrived=found["status"] == "processed",
        bank_reference=str(found.get("utr") or ""),
    )


def _india_day(at_s: int) -> str:
    return day_of(at_s * 1000 + INDIA_MS)
