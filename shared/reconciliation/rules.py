"""Pure decisions: what lines add up to, what the ledger must say of one, and where two sides differ."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from shared.base.ids import AccountId, EntryId, entry_id_of
from shared.ledger.models import Entry, LotChange
from shared.payments.models import Order, PaymentId, RailName, ReversalState
from shared.payments.rules import payment_name
from shared.reconciliation.days import day_of
from shared.reconciliation.models import (
    BankPayout,
    Booked,
    Difference,
    Line,
    LineKind,
    SubjectKind,
    Sums,
    Thing,
    TicketKind,
)

_SUM_OF = {
    LineKind.PAYMENT: "took_minor",
    LineKind.REFUND: "gave_back_minor",
    LineKind.DISPUTE: "disputed_minor",
    LineKind.TRANSFER: "transferred_minor",
    LineKind.PAYOUT: "paid_out_minor",
    LineKind.OTHER: "other_minor",
}
EntryRef = tuple[AccountId, EntryId]


class Ours(Struct, frozen=True):
    """What we know of a line: how we keep it, the order it belongs to, and the ledger's entries of that order."""

    booked: Booked | None
    order: Order | None
    entries: Mapping[EntryRef, Entry]


def added(sums: Mapping[str, Sums], lines: Iterable[Line]) -> dict[str, Sums]:
    """The sums by currency with more lines in them."""
    after = dict(sums)
    for line in lines:
        before = after.get(line.currency, Sums())
        name = _SUM_OF[line.kind]
        after[line.currency] = replace(
            before,
            **{name: getattr(before, name) + line.amount_minor},
            fees_minor=before.fees_minor + (line.fee_minor or 0),
            lines=before.lines + 1,
            fees_unknown=before.fees_unknown + (line.fee_minor is None),
        )
    return after


def ticket_id(difference: Difference) -> str:
    """One for each thing and kind: whoever finds it again finds the same ticket."""
    thing = difference.thing
    parts = "\n".join((difference.rail.value, difference.kind.value, thing.kind.value, thing.name))
    return hashlib.sha256(parts.encode()).hexdigest()


def entry_of_line(line: Line, order: Order) -> EntryRef | None:
    """The posting that stands for the line; None for a line that posts nothing."""
    rail = order.rail.value
    match line.kind:
        case LineKind.PAYMENT:
            return order.wallet_id, entry_id_of(_payment_name(order))
        case LineKind.REFUND | LineKind.DISPUTE:
            reversal = order.reversals.get(line.about)
            if reversal is None or not reversal.was_taken or not reversal.credits_micros + reversal.bonus_micros:
                return None
            word = "returned" if line.amount_minor > 0 else "taken"
            # Only bonus went back: that is a posting of another name.
            if word == "returned" and not reversal.credits_micros:
                return None
            return order.wallet_id, entry_id_of(f"{rail}:{line.about}:{word}")
        case _:
            return None


def of_line(rail: RailName, day: str, line: Line, ours: Ours) -> list[Difference]:
    """How our side of a line differs from the provider's. At most one difference of a kind."""
    found: dict[TicketKind, tuple[str, str]] = {}
    if ours.booked is None:
        found[TicketKind.MISSING_HERE] = ("not in the books of its day", _told(line))
    else:
        booked = ours.booked.line
        if booked.currency != line.currency:
            found[TicketKind.CURRENCY_DIFFERS] = (_told(booked), _told(line))
        elif line.fee_minor is None or booked.fee_minor is None:
            found[TicketKind.FEE_UNKNOWN] = (_told(booked), _told(line))
        elif (booked.amount_minor, booked.fee_minor) != (line.amount_minor, line.fee_minor):
            found[TicketKind.AMOUNT_DIFFERS] = (_told(booked), _told(line))
    # What the order says matters more than how the line was booked, so it is what a ticket of the same kind tells.
    if difference := _of_order(line, ours):
        kind, our_side, their_side = difference
        found[kind] = (our_side, their_side)
    thing = Thing(SubjectKind.LINE, line.line_id, day)
    return [
        Difference(rail=rail, thing=thing, kind=kind, currency=line.currency, ours=our_side, theirs=their_side)
        for kind, (our_side, their_side) in found.items()
    ]


def _of_order(line: Line, ours: Ours) -> tuple[TicketKind, str, str] | None:
    order, money = ours.order, line.money
    if line.kind not in (LineKind.PAYMENT, LineKind.REFUND, LineKind.DISPUTE):
        return None
    if order is None:
        # Without a word of ours in it, it was sold by somebody else who uses the same account.
        return (TicketKind.MISSING_HERE, "no such order", _told(line)) if line.order_id else None
    if line.kind is LineKind.PAYMENT:
        if money is not None and money.currency != order.money.currency:
            return TicketKind.CURRENCY_DIFFERS, _told_order(order), f"{money.amount_minor} {money.currency}"
        if money is not None and money.amount_minor != order.money.amount_minor:
            return TicketKind.AMOUNT_DIFFERS, _told_order(order), f"{money.amount_minor} {money.currency}"
        if order.payment_id != line.payment_id:
            return TicketKind.MISSING_HERE, _told_order(order), f"payment {line.payment_id}"
        return _of_entry(line, ours, order)
    reversal = order.reversals.get(line.about)
    if reversal is None and line.is_void:
        return None
    if reversal is None:
        return TicketKind.MISSING_HERE, f"order {order.order_id} knows nothing of it", _told(line)
    if line.kind is LineKind.REFUND:
        if money is not None and money.amount_minor != reversal.amount_minor:
            return TicketKind.AMOUNT_DIFFERS, str(reversal.amount_minor), f"{money.amount_minor} {money.currency}"
        is_back = line.amount_minor > 0
        if is_back and reversal.state is not ReversalState.RETURNED:
            return TicketKind.MISSING_HERE, f"refund is {reversal.state.value}", "refund failed"
    return _of_entry(line, ours, order)


def _of_entry(line: Line, ours: Ours, order: Order) -> tuple[TicketKind, str, str] | None:
    """Whether it is posted at all; that it is the right amount, the postings' own side of the comparison says."""
    ref = entry_of_line(line, order)
    if ref is None or ref in ours.entries:
        return None
    return TicketKind.MISSING_HERE, f"order {order.order_id} has no entry {ref[1]}", _told(line)


def of_order(order: Order, lines: Iterable[Line]) -> Difference | None:
    """A paid order whose payment the provider's books do not show."""
    if any(line.kind is LineKind.PAYMENT and line.payment_id == order.payment_id for line in lines):
        return None
    return Difference(
        rail=order.rail,
        thing=Thing(SubjectKind.ORDER, order.order_id, day_of(order.paid_at_ms or 0)),
        kind=TicketKind.MISSING_THERE,
        currency=order.money.currency,
        ours=_told_order(order),
        theirs="no such line",
    )


def of_entry(entry: Entry, order: Order | None, rail: RailName, day: str) -> Difference | None:
    """A posting of bought credits, or of their return, that no order explains."""
    facts = dict(entry.facts)
    said = f"entry {entry.entry_id}: {entry.delta_micros} micros"
    reason, kind = None, TicketKind.MISSING_THERE
    if order is None or order.wallet_id != entry.account_id:
        reason = "no such order of this wallet"
    elif order.payment_id is None or facts.get("payment") != _payment_name(order):
        reason = f"the order's payment is {order.payment_id}"
    elif (micros := _micros_by_entry(order).get(entry.entry_id)) is None:
        reason = "nothing that the order knows of"
    elif micros != entry.delta_micros:
        reason, kind = f"the order says {micros} micros", TicketKind.AMOUNT_DIFFERS
    if reason is None:
        return None
    thing = Thing(SubjectKind.ENTRY, f"{entry.account_id}/{entry.entry_id}", day)
    return Difference(rail=rail, thing=thing, kind=kind, currency="", ours=said, theirs=reason)


def rail_of(entry: Entry, default: RailName) -> RailName:
    """Where a posting says that its money came from."""
    name = dict(entry.facts).get("payment", "").partition(":")[0]
    return RailName(name) if name in list(RailName) else default


def _payment_name(order: Order) -> str:
    """Under which a payment is posted."""
    return payment_name(order.rail, PaymentId(str(order.payment_id)))


def _micros_by_entry(order: Order) -> dict[EntryId, int]:
    """Every posting against money that the order explains, and what it does to the wallet."""
    rail = order.rail.value
    micros = {_payment_name(order): order.credits_micros}
    for name, reversal in order.reversals.items():
        if reversal.was_taken:
            micros[f"{rail}:{name}:taken"] = -reversal.credits_micros - reversal.bonus_micros
        if reversal.was_taken and reversal.state is ReversalState.RETURNED:
            micros[f"{rail}:{name}:returned"] = reversal.credits_micros
    return {entry_id_of(key): amount for key, amount in micros.items()}


def of_payout(rail: RailName, day: str, payout: BankPayout, contents: Mapping[str, int]) -> list[Difference]:
    """How a payout differs from what is in it, summed by currency."""
    thing = Thing(SubjectKind.PAYOUT, payout.payout_id, day)

    def differs(kind: TicketKind, ours: str) -> Difference:
        theirs = f"{payout.amount_minor} {payout.currency}"
        return Difference(rail=rail, thing=thing, kind=kind, currency=payout.currency, ours=ours, theirs=theirs)

    others = sorted(set(contents) - {payout.currency})
    if others:
        return [differs(TicketKind.CURRENCY_DIFFERS, f"lines in {', '.join(others)}")]
    if not payout.lists_lines:
        return []
    held = contents.get(payout.currency, 0)
    return [] if held == payout.amount_minor else [differs(TicketKind.AMOUNT_DIFFERS, f"its lines: {held}")]


def of_count(rail: RailName, day: str, *, booked: int, shown: int) -> Difference | None:
    """Lines that were booked and are no longer shown."""
    if booked <= shown:
        # What is shown and not booked has a ticket of its own.
        return None
    thing = Thing(SubjectKind.DAY, day, day)
    return Difference(
        rail=rail,
        thing=thing,
        kind=TicketKind.MISSING_THERE,
        currency="",
        ours=f"{booked} lines",
        theirs=f"{shown} lines",
    )


def waiting_in(before: Mapping[str, tuple[int, int]], booked: Iterable[Booked]) -> dict[str, tuple[int, int]]:
    """By currency, how many lines no payout has taken to the bank, and their sum, with more lines counted."""
    waiting = dict(before)
    for one in booked:
        if one.payout_id is None and one.line.kind is not LineKind.PAYOUT:
            count, net_minor = waiting.get(one.line.currency, (0, 0))
            waiting[one.line.currency] = (count + 1, net_minor + one.line.net_minor)
    return waiting


def late(rail: RailName, day: str, currency: str, count: int, net_minor: int) -> Difference:
    """Lines that ought to be at our bank by now."""
    return Difference(
        rail=rail,
        thing=Thing(SubjectKind.UNPAID, f"{day}:{currency}", day),
        kind=TicketKind.LATE,
        currency=currency,
        ours=f"{count} lines, {net_minor} in all",
        theirs="in no payout",
    )


def net_by_currency(before: Mapping[str, int], lines: Sequence[Line]) -> dict[str, int]:
    """What lines come to after fees."""
    after = dict(before)
    for line in lines:
        after[line.currency] = after.get(line.currency, 0) + line.net_minor
    return after


def bound_to(line: Line) -> PaymentId | None:
    """The payment by which a line's order is found."""
    return line.payment_id if line.kind in (LineKind.PAYMENT, LineKind.REFUND, LineKind.DISPUTE) else None


def micros_by_origin(changes: Iterable[LotChange]) -> dict[str, int]:
    """What an entry did to an account, by origin."""
    sums: dict[str, int] = {}
    for change in changes:
        sums[change.origin.value] = sums.get(change.origin.value, 0) + change.delta_micros
    return sums


def _told(line: Line) -> str:
    fee = "unknown" if line.fee_minor is None else str(line.fee_minor)
    return f"{line.kind.value} {line.about}: {line.amount_minor} {line.currency}, fee {fee}"


def _told_order(order: Order) -> str:
    return f"order {order.order_id}: {order.money.amount_minor} {order.money.currency}, {order.state.value}"
