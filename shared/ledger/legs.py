"""Checks that the other side of every entry exists, or will be settled."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from shared.base.ids import EntryId
from shared.ledger.chain import hash_entry
from shared.ledger.documents import Document, entry_from
from shared.ledger.errors import ChainBroken
from shared.ledger.models import DEFERRED_CLASSES, IMMEDIATE_CLASSES, Entry, EntryKind, Leg, account_class
from shared.ledger.store import EntryRef

COUNTERPARTS = {
    EntryKind.TRANSFER: frozenset({EntryKind.TRANSFER, EntryKind.CLOSE}),
    EntryKind.CLOSE: frozenset({EntryKind.TRANSFER}),
}
"""What the other side of an entry may be. No other kind moves credits between two accounts at once."""
PAIRED_KINDS = frozenset(COUNTERPARTS)
KNOWN_CLASSES = IMMEDIATE_CLASSES | DEFERRED_CLASSES


def check_legs(entry: Entry, counterparts: Mapping[EntryRef, Document]) -> None:
    """Check that the other side of `entry` exists or will be settled. Raise ChainBroken."""
    if any(account_class(leg.account_id) not in KNOWN_CLASSES for leg in entry.legs):
        raise broken_at(entry, "moves credits to or from an account of no known class")
    if not is_paired(entry):
        if entry.kind is EntryKind.TRANSFER:
            raise broken_at(entry, "is a transfer that does not name one other account")
        return
    if entry.kind not in PAIRED_KINDS:
        raise broken_at(entry, "moves credits to or from an account that has no entry of it")
    ref = _counterpart_ref(entry)
    if ref is None:
        raise broken_at(entry, "is a transfer that does not name one other account")
    if ref not in counterparts:
        raise broken_at(entry, f"has no counterpart on {ref[0]}")
    try:
        other = entry_from(entry.entry_id, counterparts[ref])
    except ChainBroken as error:
        raise broken_at(entry, f"has a counterpart on {ref[0]} of which {error.reason}") from None
    mirrored = {Leg(entry.account_id, leg.origin, -leg.amount_micros) for leg in entry.legs if leg.account_id == ref[0]}
    theirs = [leg for leg in other.legs if leg.account_id == entry.account_id]
    for holds, reason in (
        (other.kind in COUNTERPARTS[entry.kind] and other.account_id == ref[0], "is not its counterpart"),
        (other.request_hash == entry.request_hash, "belongs to another request"),
        (set(theirs) == mirrored and len(theirs) == len(mirrored), "moves other amounts"),
        (other.hash == hash_entry(other), "was changed after it was written"),
    ):
        if not holds:
            raise broken_at(entry, f"the entry of the same id on {ref[0]} {reason}")


def is_paired(entry: Entry) -> bool:
    """Whether another account must hold the other side of this entry, under the same id."""
    return any(account_class(leg.account_id) in IMMEDIATE_CLASSES for leg in entry.legs)


def _counterpart_ref(entry: Entry) -> EntryRef | None:
    others = {leg.account_id for leg in entry.legs if account_class(leg.account_id) in IMMEDIATE_CLASSES}
    return (others.pop(), entry.entry_id) if len(others) == 1 else None


def counterpart_refs(batch: Sequence[tuple[EntryId, Document]]) -> list[EntryRef]:
    """Where the counterparts of a batch must be. A document that is no entry has none; the walk will name it."""
    refs = []
    for entry_id, document in batch:
        with suppress(ChainBroken):
            entry = entry_from(entry_id, document)
            if ref := _counterpart_ref(entry):
                refs.append(ref)
    return refs


def broken_at(entry: Entry, reason: str) -> ChainBroken:
    """The break that an entry shows."""
    return ChainBroken(reason, account_id=entry.account_id, seq=entry.seq, entry_id=entry.entry_id)
