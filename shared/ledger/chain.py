"""What is hashed and how a chain is walked: the format a stranger needs to check an account without us.

What is hashed is a version tag and fields in a fixed order, each written as its length in UTF-8 bytes, a colon, the
text and a comma; lists are preceded by their length. No two entries share an encoding, and no library decides the
order. Amounts and times are decimal strings; facts are sorted by name, by Unicode code points. An entry's content is
hashed first, and its hash is that of the hash before it and the content's: whoever proves that one entry leads to a
later one shows 32 bytes for each in between.
"""

import hashlib
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from shared.base.ids import AccountId
from shared.ledger.errors import ChainBroken
from shared.ledger.models import (
    GENESIS_HASH,
    OWING_KINDS,
    SPENDING_KINDS,
    STATUS_AFTER,
    Entry,
    EntryKind,
    Head,
    Lot,
    Origin,
    Status,
)
from shared.ledger.rules import apply_changes

ENTRY_TAG = "credence.entry.v1"
LINK_TAG = "credence.link.v1"
REQUEST_TAG = "credence.request.v1"
HASH_CHARS = 64
_LINK_PREV = f"{len(LINK_TAG)}:{LINK_TAG},{HASH_CHARS}:"
_LINK_CONTENT = f",{HASH_CHARS}:"
_PREFIXES = tuple(f",{length}:" for length in range(256))
"""How a field of this length begins: with the comma that ends the field before it."""
_NONE = "-"
"""Stands for an absent value; a decimal number or an id is never a lone hyphen."""
_OPEN, _PAID = EntryKind.OPEN, Origin.PAID
"""Bound once: to Python 3.11 a member of an enum is a call."""


def encode(fields: Sequence[str]) -> bytes:
    """Length-prefixed fields, one after the other."""
    # Most of verifying a ledger is here, so all is joined at once: a prefix and a field in turns, and the last comma.
    parts = [","] * (2 * len(fields) + 1)
    parts[1::2] = fields
    try:
        parts[:-1:2] = [_PREFIXES[len(f)] for f in fields]
    except IndexError:
        parts[:-1:2] = [f",{len(f)}:" for f in fields]
    text = "".join(parts)
    if not text.isascii():
        # Lengths are of bytes.
        parts[:-1:2] = [f",{len(f.encode())}:" for f in fields]
        text = "".join(parts)
    # The first comma ends nothing.
    return text[1:].encode()


def digest(tag: str, fields: Iterable[str]) -> str:
    """SHA-256 of the tag and the fields, as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(encode([tag, *fields])).hexdigest()


def hash_entry(entry: Entry) -> str:
    """The hash that `entry` must carry; its own `hash` field is the only one left out."""
    return link(entry.prev_hash, hash_content(entry))


def link(prev_hash: str, content_hash: str) -> str:
    """The hash of the entry with this content that follows the one with `prev_hash`."""
    if len(prev_hash) == len(content_hash) == HASH_CHARS and prev_hash.isascii() and content_hash.isascii():
        raw = f"{_LINK_PREV}{prev_hash}{_LINK_CONTENT}{content_hash},".encode()
    else:
        # Only a forged document has hashes like these.
        raw = encode((LINK_TAG, prev_hash, content_hash))
    return hashlib.sha256(raw).hexdigest()


def hash_content(entry: Entry) -> str:
    """The hash of all that an entry says: every field but `hash` and `prev_hash`."""
    lots, legs, facts = entry.lots, entry.legs, entry.facts
    fields = [
        ENTRY_TAG,
        entry.account_id,
        entry.entry_id,
        str(entry.seq),
        entry.kind,
        str(entry.delta_micros),
        str(entry.balance_micros),
        entry.hold_id or _NONE,
        entry.request_hash,
        str(entry.at_ms),
        str(len(lots)),
    ]
    for change in lots:
        fields += (change.origin, optional_text(change.expires_at_ms), str(change.delta_micros))
    fields.append(str(len(legs)))
    for leg in legs:
        fields += (leg.account_id, leg.origin, str(leg.amount_micros))
    fields.append(str(len(facts)))
    for fact in facts:
        fields += fact
    return hashlib.sha256(encode(fields)).hexdigest()


def optional_text(number: int | None) -> str:
    """A number as it is hashed; an absent one is a hyphen."""
    return _NONE if number is None else str(number)


def seal(entry: Entry) -> Entry:
    """The entry with its hash filled in."""
    return replace(entry, hash=hash_entry(entry))


class Walk:
    """Walks one account's entries in order and folds them; the first that does not fit raises ChainBroken.

    A step that raises leaves the walk at the last good entry.
    """

    def __init__(self, account_id: AccountId) -> None:
        self.account_id = account_id
        self.seq = 0
        self.hash = GENESIS_HASH
        self.lots: tuple[Lot, ...] = ()
        self.spent_micros = 0
        self.status = Status.OPEN

    @property
    def balance_micros(self) -> int:
        """The fold of all deltas so far."""
        return sum(lot.remaining_micros for lot in self.lots)

    def step(self, entry: Entry) -> None:
        """Check that `entry` is the next one, is intact and conserves credits; then fold it in."""
        if fault := self._fault(entry):
            raise self._broken(entry, fault)
        try:
            lots = apply_changes(self.lots, entry.lots, may_owe=entry.kind in OWING_KINDS)
        except ArithmeticError:
            raise self._broken(entry, "spends a lot the account did not have") from None
        balance_micros = 0
        for lot in lots:
            balance_micros += lot.remaining_micros
        if entry.balance_micros != balance_micros:
            raise self._broken(entry, "states a wrong balance")
        self.seq, self.hash, self.lots = entry.seq, entry.hash, lots
        self.status = STATUS_AFTER.get(entry.kind, self.status)
        if entry.kind in SPENDING_KINDS:
            self.spent_micros -= entry.delta_micros

    def _fault(self, entry: Entry) -> str | None:
        """Why the entry cannot be the next one, if it cannot."""
        if entry.account_id != self.account_id:
            return "belongs to another account"
        if entry.seq != self.seq + 1:
            return f"follows entry {self.seq}: one is missing, doubled or moved"
        if entry.prev_hash != self.hash:
            return "does not link to the entry before it"
        if entry.hash != hash_entry(entry):
            return "was changed after it was written: its hash differs"
        if (entry.kind is _OPEN) != (entry.seq == 1):
            return "an account opens once, first"
        # Plain loops here and above: there are one or two of each, and `sum` over them takes three times as long.
        lots_micros = legs_micros = paid_micros = 0
        for change in entry.lots:
            lots_micros += change.delta_micros
            if change.origin is _PAID:
                paid_micros += change.delta_micros
        for leg in entry.legs:
            legs_micros += leg.amount_micros
            if leg.origin is _PAID:
                paid_micros += leg.amount_micros
        if lots_micros != entry.delta_micros:
            return "its lots do not sum to its delta"
        if legs_micros != -entry.delta_micros:
            return "creates or destroys credits: its legs do not cancel it"
        if paid_micros:
            # The whole cancels, so what is missing of one origin is there of the other. Only what was paid for is ever
            # paid out, so this would be money made of a gift.
            return "turns credits of one origin into those of another"
        return None

    def finish(self, head: Head) -> None:
        """Check that the head is exactly what its entries fold to."""
        for holds, reason in (
            (head.seq == self.seq, f"the head is at entry {head.seq}, the chain ends at {self.seq}"),
            (head.hash == self.hash, "the head carries another hash than the last entry"),
            (head.lots == self.lots, "the head's lots are not what the entries fold to"),
            (head.spent_micros == self.spent_micros, "the head's usage is not what the entries fold to"),
            (head.status is self.status, "the head's status is not what the entries fold to"),
        ):
            if not holds:
                raise ChainBroken(reason, account_id=self.account_id)

    def _broken(self, entry: Entry, reason: str) -> ChainBroken:
        return ChainBroken(reason, account_id=self.account_id, seq=entry.seq, entry_id=entry.entry_id)
