"""Which entries a user is told of, and in which words."""

from shared.base.economy import LARGE_MOVEMENT_MICROS, LOW_BALANCE_MICROS
from shared.base.ids import UserId
from shared.base.micros import format_credits
from shared.ledger.models import Entry, EntryKind
from shared.notices.models import Notice, NoticeKind

_USER = "user:"


def notices_of(entry: Entry) -> tuple[Notice, ...]:
    """What the owner of a wallet is told of one entry: nothing for most, and nothing for accounts of nobody's.

    The entry alone decides, so an event that comes twice, late or out of order makes the same notices.
    """
    if not entry.account_id.startswith(_USER) or entry.kind is EntryKind.OPEN:
        return ()
    kinds = []
    if is_large_movement(entry.delta_micros):
        kinds.append(NoticeKind.LARGE_MOVEMENT)
    if falls_low(entry.delta_micros, entry.balance_micros):
        kinds.append(NoticeKind.LOW_BALANCE)
    return tuple(_notice(entry, kind) for kind in kinds)


def falls_low(delta_micros: int, balance_micros: int) -> bool:
    """Whether this very entry took the balance below the mark; those after it, further down, say nothing."""
    return balance_micros < LOW_BALANCE_MICROS <= balance_micros - delta_micros


def is_large_movement(delta_micros: int) -> bool:
    """Whether the entry alone moved much, in or out."""
    return abs(delta_micros) >= LARGE_MOVEMENT_MICROS


def _notice(entry: Entry, kind: NoticeKind) -> Notice:
    return Notice(
        user_id=UserId(entry.account_id.removeprefix(_USER)),
        entry_id=entry.entry_id,
        kind=kind,
        seq=entry.seq,
        delta_micros=entry.delta_micros,
        balance_micros=entry.balance_micros,
        at_ms=entry.at_ms,
        text=_text(kind, entry.delta_micros, entry.balance_micros),
    )


def _text(kind: NoticeKind, delta_micros: int, balance_micros: int) -> str:
    left = f"{format_credits(balance_micros)} credits are left."
    if kind is NoticeKind.LOW_BALANCE:
        return f"Your balance fell below {format_credits(LOW_BALANCE_MICROS)} credits: {left}"
    moved = format_credits(abs(delta_micros))
    if delta_micros > 0:
        return f"{moved} credits came into your wallet; it holds {format_credits(balance_micros)} now."
    return f"{moved} credits left your wallet at once: {left}"
