"""Heads and entries as documents and back. Conversion is explicit: a document of any other shape is a broken chain."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from msgspec import Struct, convert, to_builtins

from shared.base.ids import AccountId, EntryId, HoldId
from shared.base.periods import Period
from shared.ledger import shares
from shared.ledger.errors import ChainBroken
from shared.ledger.models import (
    MONEY_ACCOUNTS,
    Allowance,
    Book,
    Entry,
    EntryKind,
    Head,
    Hold,
    Leg,
    Lot,
    LotChange,
    Origin,
    RateWindow,
    Sending,
    SpendLimit,
    Status,
)

FORMAT = 1
LANES = 64
"""Shards of the two time-ordered indexes; one alone would cap all postings at about 500 a second."""
BAND_LANES = 16
"""Neighbouring lanes that are read in one query, behind one cursor. Firestore takes up to 30 in one `in`."""
BANDS = LANES // BAND_LANES
LANES_REMEMBERED_MAX = 10_000
"""Accounts whose lane is not computed anew for each of their documents."""

Document = Mapping[str, Any]
Value = TypeVar("Value")


@lru_cache(maxsize=LANES_REMEMBERED_MAX)
def lane_of(account_id: AccountId) -> int:
    """The lane of an account, fixed by its id."""
    return hashlib.sha256(account_id.encode()).digest()[0] % LANES


def band_of(account_id: AccountId) -> int:
    """The band that the account's lane is in."""
    return lane_of(account_id) // BAND_LANES


def lanes_of(band: int) -> range:
    """The lanes of a band."""
    return range(band * BAND_LANES, (band + 1) * BAND_LANES)


def head_document(head: Head) -> dict[str, Any]:
    """A head as it is stored."""
    return {
        "format": FORMAT,
        "lane": lane_of(head.account_id),
        "seq": head.seq,
        "hash": head.hash,
        "status": head.status.value,
        "balance_micros": head.balance_micros,
        "spent_micros": head.spent_micros,
        "lots": _lot_documents(head.lots),
        "holds": {
            hold.hold_id: {
                "amount_micros": hold.amount_micros,
                "placed_at_ms": hold.placed_at_ms,
                "expires_at_ms": hold.expires_at_ms,
            }
            for hold in head.holds.values()
        },
        "window": {"start_ms": head.window.start_ms, "count": head.window.count},
        "sending": to_builtins(head.sending),
        "expires_next_ms": expires_next_ms(head),
        # Only where there is one: most accounts have none, and a head is rewritten with every posting.
        **({"allowance": to_builtins(head.allowance)} if head.allowance else {}),
        **({"book": _book_document(head.book)} if head.book else {}),
    }


def _lot_documents(lots: Iterable[Lot]) -> list[dict[str, Any]]:
    return [
        {"origin": lot.origin.value, "expires_at_ms": lot.expires_at_ms, "remaining_micros": lot.remaining_micros}
        for lot in lots
    ]


def _book_document(book: Book) -> dict[str, Any]:
    stakes = [{**to_builtins(stake), "lots": _lot_documents(stake.lots)} for stake in book.stakes]
    return {"stakes": stakes, "draws_open": book.draws_open, "closing": book.closing}


def expires_next_ms(head: Head) -> int | None:
    """When the first of the head's lots expires; what the timer that sweeps expired lots looks for."""
    return min((lot.expires_at_ms for lot in head.lots if lot.expires_at_ms is not None), default=None)


def head_from(account_id: AccountId, document: Document) -> Head:
    """A stored head. Raise ChainBroken when the document is not one, or its balance is not its lots."""

    def build() -> Head:
        _require_format(document)
        window = document["window"]
        head = Head(
            account_id=account_id,
            seq=_int(document["seq"]),
            hash=_str(document["hash"]),
            lots=tuple(
                Lot(Origin(lot["origin"]), _optional_int(lot["expires_at_ms"]), _int(lot["remaining_micros"]))
                for lot in document["lots"]
            ),
            spent_micros=_int(document["spent_micros"]),
            holds={
                HoldId(hold_id): Hold(
                    HoldId(hold_id),
                    _int(hold["amount_micros"]),
                    _int(hold["placed_at_ms"]),
                    _int(hold["expires_at_ms"]),
                )
                for hold_id, hold in document["holds"].items()
            },
            window=RateWindow(_int(window["start_ms"]), _int(window["count"])),
            sending=_sending(document["sending"]),
            status=Status(document["status"]),
            allowance=_allowance(document["allowance"]) if "allowance" in document else None,
            book=convert(document["book"], Book) if "book" in document else None,
        )
        if _int(document["balance_micros"]) != head.balance_micros:
            raise ValueError("its balance is not the sum of its lots")
        if document["expires_next_ms"] != expires_next_ms(head):
            raise ValueError("it states a wrong next expiry")
        if head.book is not None and shares.lots_of(head.book) != shares.summed(head.lots):
            raise ValueError("its lots are not those of its members")
        return head

    return _read(build, account_id=account_id, what="head")


def entry_document(entry: Entry) -> dict[str, Any]:
    """An entry as it is stored, without the server's timestamp."""
    return {
        "format": FORMAT,
        "lane": lane_of(entry.account_id),
        "payees": payees_of(entry),
        "account": entry.account_id,
        "seq": entry.seq,
        "prev_hash": entry.prev_hash,
        "hash": entry.hash,
        "kind": entry.kind.value,
        "delta_micros": entry.delta_micros,
        "balance_micros": entry.balance_micros,
        "lots": [
            {"origin": c.origin.value, "expires_at_ms": c.expires_at_ms, "delta_micros": c.delta_micros}
            for c in entry.lots
        ],
        "legs": [
            {"account": leg.account_id, "origin": leg.origin.value, "amount_micros": leg.amount_micros}
            for leg in entry.legs
        ],
        "hold_id": entry.hold_id,
        "request_hash": entry.request_hash,
        "facts": dict(entry.facts),
        "at_ms": entry.at_ms,
    }


class _StoredLeg(Struct, frozen=True):
    """What a leg's fields are called in a document."""

    account: AccountId
    origin: Origin
    amount_micros: int


class _StoredEntry(Struct, frozen=True):
    """The fields of an entry's document that make the entry, and their exact types: nothing is coerced."""

    account: AccountId
    seq: int
    prev_hash: str
    hash: str
    kind: EntryKind
    delta_micros: int
    balance_micros: int
    lots: tuple[LotChange, ...]
    legs: tuple[_StoredLeg, ...]
    hold_id: HoldId | None
    request_hash: str
    facts: dict[str, str]
    at_ms: int


def payees_of(entry: Entry) -> list[str]:
    """Whom the entry owes something, so that they can find their sales. Indexed. Of the house's accounts only those are
    listed that stand for money: the others are in every entry, and nobody looks for them."""
    owed = (leg.account_id for leg in entry.legs)
    return sorted({payee for payee in owed if payee.startswith("earn:") or payee in MONEY_ACCOUNTS})


def entry_from(entry_id: EntryId, document: Document) -> Entry:
    """A stored entry. Raise ChainBroken when the document is not one; its hash is not checked here."""

    def build() -> Entry:
        _require_format(document)
        stored = convert(document, _StoredEntry)
        return Entry(
            account_id=stored.account,
            entry_id=entry_id,
            seq=stored.seq,
            prev_hash=stored.prev_hash,
            kind=stored.kind,
            delta_micros=stored.delta_micros,
            balance_micros=stored.balance_micros,
            lots=stored.lots,
            legs=tuple([Leg(leg.account, leg.origin, leg.amount_micros) for leg in stored.legs]),
            hold_id=_hold_id(stored.hold_id),
            request_hash=stored.request_hash,
            facts=tuple(sorted(stored.facts.items())),
            at_ms=stored.at_ms,
            hash=stored.hash,
        )

    return _read(build, account_id=str(document.get("account")), what="entry", entry_id=entry_id)


def _sending(fields: Document) -> Sending:
    return Sending(
        day_start_ms=_int(fields["day_start_ms"]),
        sent_micros=_int(fields["sent_micros"]),
        last_to=_str(fields["last_to"]),
        last_micros=_int(fields["last_micros"]),
        last_at_ms=_int(fields["last_at_ms"]),
    )


def _allowance(fields: Document) -> Allowance:
    limit = fields["limit"]
    return Allowance(
        limit=SpendLimit(_int(limit["amount_micros"]), Period(limit["period"])) if limit is not None else None,
        counted_at_ms=_int(fields["counted_at_ms"]),
        day_micros=_int(fields["day_micros"]),
        week_micros=_int(fields["week_micros"]),
        month_micros=_int(fields["month_micros"]),
        filled_ms=_int(fields["filled_ms"]),
    )


def _read(build: Callable[[], Value], *, account_id: str, what: str, entry_id: str | None = None) -> Value:
    try:
        return build()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # A missing field is a KeyError, whose text is nothing but its name.
        said = f"no field {error}" if isinstance(error, KeyError) else str(error)
        reason = f"its {what} document is malformed: {said}"
        raise ChainBroken(reason, account_id=account_id, entry_id=entry_id) from None


def _require_format(document: Document) -> None:
    if _int(document["format"]) != FORMAT:
        raise ValueError("unknown format")


def _int(value: object) -> int:
    # bool is an int to Python and not to a ledger.
    if type(value) is not int:
        raise TypeError(f"not an integer: {type(value).__name__}")
    return value


def _optional_int(value: object) -> int | None:
    return None if value is None else _int(value)


def _hold_id(name: HoldId | None) -> HoldId | None:
    # Both are hashed as if there were no hold.
    if name in ("", "-"):
        raise ValueError("no hold is named like this")
    return name


def _str(value: object) -> str:
    if type(value) is not str:
        raise TypeError(f"not text: {type(value).__name__}")
    return value
