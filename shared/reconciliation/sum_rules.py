"""Pure decisions about many lines at once: what payouts took to the bank, what a day's lines did to a balance."""

from collections.abc import Iterable, Mapping, Sequence

from shared.payments.models import RailName
from shared.reconciliation.models import (
    BankPayout,
    Booked,
    DayBook,
    Difference,
    Line,
    LineKind,
    SubjectKind,
    Thing,
    TicketKind,
)
from shared.reconciliation.rules import counted_otherwise, told


def of_payout(rail: RailName, day: str, payout: BankPayout, contents: Mapping[str, int]) -> list[Difference]:
    """How a payout differs from what is in it, summed by currency."""
    thing = Thing(SubjectKind.PAYOUT, payout.payout_id, day)

    def differs(kind: TicketKind, ours: str) -> Difference:
        reference = f", {payout.bank_reference}" if payout.bank_reference else ""
        theirs = f"{payout.amount_minor} {payout.currency}{reference}"
        return Difference(rail=rail, thing=thing, kind=kind, currency=payout.currency, ours=ours, theirs=theirs)

    if not payout.has_arrived:
        return [differs(TicketKind.MISSING_THERE, "nothing at our bank")]
    others = sorted(set(contents) - {payout.currency})
    if others:
        return [differs(TicketKind.CURRENCY_DIFFERS, f"lines in {', '.join(others)}")]
    if not payout.lists_lines:
        return []
    held = contents.get(payout.currency, 0)
    return [] if held == payout.amount_minor else [differs(TicketKind.AMOUNT_DIFFERS, f"its lines: {held}")]


def of_content(rail: RailName, day: str, payout_id: str, booked: Line, counted: Line) -> Difference | None:
    """How a payout counts a line in another way than its provider told it before."""
    kind = TicketKind.CURRENCY_DIFFERS if booked.currency != counted.currency else counted_otherwise(booked, counted)
    if kind is None:
        return None
    return Difference(
        rail=rail,
        thing=Thing(SubjectKind.CONTENT, f"{payout_id}/{counted.line_id}", day),
        kind=kind,
        currency=counted.currency,
        ours=told(booked),
        theirs=f"in payout {payout_id}: {told(counted)}",
    )


def of_balances(
    rail: RailName, day: str, before: Mapping[str, int], after: Mapping[str, int], books: Iterable[DayBook]
) -> list[Difference]:
    """In which currencies our balance grew on a day by something else than the day's lines."""
    moved = {book.currency: book.sums.balance_change_minor for book in books}
    found = []
    for currency in sorted({*before, *after, *moved}):
        grew, counted = after.get(currency, 0) - before.get(currency, 0), moved.get(currency, 0)
        if grew == counted:
            continue
        found.append(
            Difference(
                rail=rail,
                thing=Thing(SubjectKind.BALANCE, f"{day}:{currency}", day),
                kind=TicketKind.AMOUNT_DIFFERS,
                currency=currency,
                ours=f"lines of the day: {counted}",
                theirs=f"balance from {before.get(currency, 0)} to {after.get(currency, 0)}",
            )
        )
    return found


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
