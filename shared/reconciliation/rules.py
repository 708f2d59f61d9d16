"""Pure decisions: what lines add up to, what the ledger must say of one, and where two sides differ."""

import hashlib
from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from shared.base.ids import AccountId, EntryId, entry_id_of
from shared.ledger.models import Entry, LotChange
from shared.payments.models import Order, PaymentId, RailName, ReversalState
from shared.payments.rules import payment_name
from shared.payouts.models import Payout
from shared.reconciliation.days import day_of
from shared.reconciliation.models import (
    Booked,
    Difference,
    Line,
    LineKind,
    SubjectKind,
    Sums,
    Thing,
    TicketKind,
)
from shared.reconciliation.transfers import of_transfer

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
    returned_minor: int = 0
    """What of a payment was given back at its provider, as far as lines of it are kept."""
    payout: Payout | None = None
    """The payout to an earner that a transfer names."""


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
        found[TicketKind.MISSING_HERE] = ("not in the books of its day", told(line))
    else:
        booked = ours.booked.line
        if booked.currency != line.currency:
            found[TicketKind.CURRENCY_DIFFERS] = (told(booked), told(line))
        elif line.fee_minor is None or booked.fee_minor is None:
            found[TicketKind.FEE_UNKNOWN] = (told(booked), told(line))
        elif kind := counted_otherwise(booked, line):
            found[kind] = (told(booked), told(line))
    # What the order says matters more than how the line was booked, so it is what a ticket of the same kind tells.
    if difference := _of_order(line, ours) or of_transfer(line, ours.payout):
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
        return (TicketKind.MISSING_HERE, "no such order", told(line)) if line.order_id or line.is_ours else None
    if line.kind is LineKind.PAYMENT:
        if order.payment_id is not None and order.payment_id != line.payment_id:
            paid_back = f"payment {line.payment_id}, of which {ours.returned_minor} was given back"
            return None if _is_back(line, ours) else (TicketKind.PAID_TWICE, _told_order(order), paid_back)
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
        return TicketKind.MISSING_HERE, f"order {order.order_id} knows nothing of it", told(line)
    if line.kind is LineKind.REFUND:
        if money is not None and money.amount_minor != reversal.amount_minor:
            return TicketKind.AMOUNT_DIFFERS, str(reversal.amount_minor), f"{money.amount_minor} {money.currency}"
        # Where one that failed is no second line, it is the same one with nothing in it.
        is_back = line.amount_minor > 0 or (line.is_void and line.amount_minor == 0)
        if is_back and reversal.state is not ReversalState.RETURNED:
            return TicketKind.MISSING_HERE, f"refund is {reversal.state.value}", "refund failed"
    return _of_entry(line, ours, order)


def _of_entry(line: Line, ours: Ours, order: Order) -> tuple[TicketKind, str, str] | None:
    """Whether it is posted at all; that it is the right amount, the postings' own side of the comparison says."""
    ref = entry_of_line(line, order)
    if ref is None or ref in ours.entries:
        return None
    return TicketKind.MISSING_HERE, f"order {order.order_id} has no entry {ref[1]}", told(line)


def is_second(line: Line, order: Order | None) -> bool:
    """Whether the line is a payment for what another one has paid."""
    paid_by = order.payment_id if order is not None else None
    return line.kind is LineKind.PAYMENT and paid_by is not None and paid_by != line.payment_id


def returned_in(lines: Iterable[Line]) -> dict[PaymentId, int]:
    """By payment, what these lines gave back of it."""
    sums: dict[PaymentId, int] = {}
    for line in lines:
        if line.kind in (LineKind.REFUND, LineKind.DISPUTE) and line.payment_id:
            sums[line.payment_id] = sums.get(line.payment_id, 0) - line.amount_minor
    return sums


def of_order(rail: RailName, order: Order, lines: Iterable[Line]) -> Difference | None:
    """A paid order whose payment the provider's books do not show. `rail` is whose books they are."""
    if any(line.kind is LineKind.PAYMENT and line.payment_id == order.payment_id for line in lines):
        return None
    return Difference(
        rail=rail,
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


def bound_to(line: Line) -> PaymentId | None:
    """The payment by which a line's order is found."""
    return line.payment_id if line.kind in (LineKind.PAYMENT, LineKind.REFUND, LineKind.DISPUTE) else None


def micros_by_origin(changes: Iterable[LotChange]) -> dict[str, int]:
    """What an entry did to an account, by origin."""
    sums: dict[str, int] = {}
    for change in changes:
        sums[change.origin.value] = sums.get(change.origin.value, 0) + change.delta_micros
    return sums


def counted_otherwise(booked: Line, line: Line) -> TicketKind | None:
    """How the same line in the same currency is counted twice."""
    if booked.amount_minor != line.amount_minor:
        return TicketKind.AMOUNT_DIFFERS
    return TicketKind.FEE_UNEXPLAINED if booked.fee_minor != line.fee_minor else None


def _is_back(line: Line, ours: Ours) -> bool:
    return 0 < line.amount_minor <= ours.returned_minor


def told(line: Line) -> str:
    """A line for whoever reads a ticket."""
    fee = "unknown" if line.fee_minor is None else str(line.fee_minor)
    return f"{line.kind.value} {line.about}: {line.amount_minor} {line.currency}, fee {fee}"


def _told_order(order: Order) -> str:
    return f"order {order.order_id}: {order.money.amount_minor} {order.money.currency}, {order.state.value}"
