"""The invariants of what is stored, folded from raw documents: no code of the ledger, and no model either.

All invariants of the ledger are registered in AFTER_COMMIT, AFTER_HORIZON and AT_END; each raises Violation. Those of
the public log are in `log_books.py`.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct, field

from shared.base.ids import AccountId
from simulation.folds import DEFERRED, netstrings
from simulation.judge import Violation
from simulation.model import Ref
from simulation.settled_books import SettledBooks

Documents = Mapping[str, Any]
OWING = ("settle", "revoke", "clawback", "capture")
"""Kinds that may take more of what never expires than there is."""

UNDONE = {"refund": ("debit", "capture"), "revoke": ("grant",)}
"""What each kind that undoes an entry may undo."""
MONEY = ("house:payments", "house:disputes")
"""What an entry owes these, or an earner, it can be found by."""
PAIRED = ("transfer", "close")
"""Kinds whose other side is an entry of another account; `nothing_is_minted` sees that it is there."""


class Fold(Struct):
    """What an account's entries add up to."""

    seq: int = 0
    hash: str = "0" * 64
    lots: dict[tuple[str, int | None], int] = field(default_factory=dict)
    spent: int = 0
    captured: set[str] = field(default_factory=set)
    undone: set[str] = field(default_factory=set)


class Books(Struct):
    """The documents as they stand, and their fold so far."""

    heads: Mapping[AccountId, Documents]
    entries: Mapping[Ref, Documents]
    folds: dict[AccountId, Fold] = field(default_factory=dict)
    seen: dict[Ref, str] = field(default_factory=dict)
    chains: dict[AccountId, list[tuple[str, int]]] = field(default_factory=dict)
    """The hash and the balance of each entry, in order."""
    balances: dict[AccountId, int] = field(default_factory=dict)
    unsettled: int = 0
    owing: set[AccountId] = field(default_factory=set)
    """Accounts from which something was taken that they may not have had."""
    moments: list[tuple[int, int, int]] = field(default_factory=lambda: [(0, 0, 0)])
    """After each commit: how many accounts there are, what is on them, and what is owed and not settled."""
    settled: SettledBooks = field(default_factory=lambda: SettledBooks({}))

    def __post_init__(self) -> None:
        self.settled.entries = self.entries


class Commit(Struct, frozen=True):
    """What one commit wrote."""

    accounts: Sequence[AccountId]
    refs: Sequence[Ref]
    late: Sequence[AccountId] = ()
    """Those of the accounts that somebody asked a late capture of."""


def see_commit(books: Books, commit: Commit) -> None:
    """Check all that one commit can have broken."""
    for check in AFTER_COMMIT:
        check(books, commit)


def see_horizon(books: Books, band: int, until: datetime) -> None:
    """Check what must be true before a band's horizon may move."""
    for check in AFTER_HORIZON:
        check(books, band, until)


def see_end(books: Books) -> None:
    """Check everything once more, from the first document on."""
    for check in AT_END:
        check(books)


def entries_are_created_once(books: Books, commit: Commit) -> None:
    for ref in commit.refs:
        if ref in books.seen:
            raise Violation(f"the entry {ref} was written twice")
        books.seen[ref] = books.entries[ref]["hash"]


def chains_are_whole(books: Books, commit: Commit) -> None:
    """Numbers without a gap, each hash over the one before, deltas that sum, legs that cancel."""
    for ref in sorted(commit.refs, key=lambda ref: int(books.entries[ref]["seq"])):
        _fold(books, books.folds.setdefault(ref[0], Fold()), ref, books.entries[ref])


def heads_are_the_fold(books: Books, commit: Commit) -> None:
    for account_id in commit.accounts:
        head, fold = books.heads[account_id], books.folds.get(account_id, Fold())
        lots = {(lot["origin"], lot["expires_at_ms"]): lot["remaining_micros"] for lot in head["lots"]}
        stated = (head["seq"], head["hash"], lots, head["spent_micros"], head["balance_micros"])
        folded = (fold.seq, fold.hash, fold.lots, fold.spent, sum(fold.lots.values()))
        if stated != folded:
            raise Violation(f"the head of {account_id} is not what its entries fold to")


def no_account_promises_more_than_it_has(books: Books, commit: Commit) -> None:
    """Unless credits were taken that it had spent or promised already. Deferred accounts promise nothing."""
    books.owing.update(commit.late)
    for account_id in commit.accounts:
        head = books.heads[account_id]
        held = sum([hold["amount_micros"] for hold in head["holds"].values()])
        lots = [lot["remaining_micros"] for lot in head["lots"]]
        if not all(lots):
            raise Violation(f"{account_id} has an empty lot")
        if account_id in books.owing:
            continue
        if account_id.startswith(DEFERRED):
            if held:
                raise Violation(f"{account_id} holds credits for somebody")
        elif lots and min(lots) < 0:
            raise Violation(f"{account_id} has an owed lot")
        elif head["balance_micros"] < held:
            raise Violation(f"{account_id} holds {held} of {head['balance_micros']}")


def holds_resolve_once(books: Books, commit: Commit) -> None:
    for account_id, entry_id in commit.refs:
        entry = books.entries[account_id, entry_id]
        if entry["kind"] == "capture":
            captured, hold_id = books.folds[account_id].captured, entry["hold_id"]
            if hold_id in captured:
                raise Violation(f"hold {hold_id} was captured twice")
            captured.add(hold_id)


def what_is_undone_was_done_and_is_undone_once(books: Books, commit: Commit) -> None:
    """A refund gives back exactly what its entry took; a revocation takes no more than was granted."""
    for account_id, entry_id in commit.refs:
        entry = books.entries[account_id, entry_id]
        if entry["kind"] not in UNDONE:
            continue
        undone, name = books.folds[account_id].undone, entry["facts"]["reverses"]
        original = books.entries.get((account_id, name))
        if original is None or original["kind"] not in UNDONE[entry["kind"]] or original["seq"] >= entry["seq"]:
            raise Violation(f"the {entry['kind']} {entry_id} undoes nothing that was done")
        if name in undone:
            raise Violation(f"the entry {name} was undone twice")
        undone.add(name)
        most = -original["delta_micros"]
        if entry["delta_micros"] != most and (entry["kind"] == "refund" or entry["delta_micros"] < most):
            raise Violation(f"the {entry['kind']} {entry_id} moves another amount than it undoes")


def nothing_is_minted(books: Books, commit: Commit) -> None:
    """All balances and all legs that still have to be settled cancel."""
    for account_id in commit.accounts:
        books.balances[account_id] = books.heads[account_id]["balance_micros"]
    total = sum(books.balances.values()) + books.unsettled
    if total:
        raise Violation(f"heads + unsettled is {total}")


def windows_are_settled_once_and_whole(books: Books, commit: Commit) -> None:
    """A settlement is the fold of its window, and nothing comes into the window after it."""
    for ref in commit.refs:
        books.settled.see_entry(ref)


def what_is_pending_and_what_was_settled_is_all_that_is_owed(books: Books, commit: Commit) -> None:
    pending = books.settled.pending()
    if pending != books.unsettled:
        raise Violation(f"{pending} is pending where {books.unsettled} is owed")
    for account_id in commit.accounts:
        if account_id.startswith(DEFERRED):
            earned = books.settled.earned(account_id)
            if books.balances[account_id] != earned:
                raise Violation(f"{account_id} was settled {earned} and shows another sum")
    books.moments.append((len(books.balances), sum(books.balances.values()), pending))


def horizons_pass_over_nothing(books: Books, band: int, until: datetime) -> None:
    """When a horizon moves, all that was owed before it is posted."""
    missed = books.settled.unsettled_before(band, until)
    if missed:
        raise Violation(f"the horizon of band {band} moves to {until} over {missed}")


def the_whole_is_the_sum_of_what_was_seen(books: Books) -> None:
    """Nothing was written, changed or removed but by the commits that were checked."""
    stored = {ref: document["hash"] for ref, document in books.entries.items()}
    if stored != books.seen:
        raise Violation("entries changed between commits")
    again = Books(books.heads, books.entries, owing=books.owing)
    see_commit(again, Commit(tuple(books.heads), tuple(books.entries)))


AFTER_COMMIT: list[Callable[[Books, Commit], None]] = [
    entries_are_created_once,
    chains_are_whole,
    heads_are_the_fold,
    no_account_promises_more_than_it_has,
    holds_resolve_once,
    what_is_undone_was_done_and_is_undone_once,
    nothing_is_minted,
    windows_are_settled_once_and_whole,
    what_is_pending_and_what_was_settled_is_all_that_is_owed,
]
"""In this order: the fold is brought up to date by `chains_are_whole`, the balances by `nothing_is_minted`."""
AFTER_HORIZON: list[Callable[[Books, int, datetime], None]] = [horizons_pass_over_nothing]
AT_END: list[Callable[[Books], None]] = [the_whole_is_the_sum_of_what_was_seen]


def _fold(books: Books, fold: Fold, ref: Ref, entry: Documents) -> None:
    if fault := _fault(books, fold, ref, entry):
        raise Violation(f"entry {entry['seq']} of {ref[0]} after {fold.seq} {fault}")
    fold.seq, fold.hash = entry["seq"], entry["hash"]
    books.chains.setdefault(ref[0], []).append((entry["hash"], entry["balance_micros"]))
    if entry["kind"] in ("revoke", "clawback"):
        books.owing.add(ref[0])
    if entry["kind"] in ("debit", "capture", "refund"):
        fold.spent -= entry["delta_micros"]


def _fault(books: Books, fold: Fold, ref: Ref, entry: Documents) -> str | None:
    """What is wrong with an account's next entry, whose lots are folded in and whose legs are owed from here on."""
    if entry["seq"] != fold.seq + 1:
        return "is not the next one"
    if entry["prev_hash"] != fold.hash:
        return "does not link to the one before it"
    if entry["hash"] != hash_of(ref, entry):
        return "has a wrong hash"
    if entry["account"] != ref[0]:
        return "belongs to another account"
    moved = sum([lot["delta_micros"] for lot in entry["lots"]])
    given = sum([leg["amount_micros"] for leg in entry["legs"]])
    if not moved == entry["delta_micros"] == -given:
        return "has parts that do not sum to the whole"
    paid = [lot["delta_micros"] for lot in entry["lots"] if lot["origin"] == "paid"]
    if sum(paid) + sum([leg["amount_micros"] for leg in entry["legs"] if leg["origin"] == "paid"]):
        return "turns credits of one origin into those of another"
    found_by = {
        leg["account"] for leg in entry["legs"] if leg["account"].startswith("earn:") or leg["account"] in MONEY
    }
    if entry["payees"] != sorted(found_by):
        return "cannot be found by those whom it owes"
    later = [leg["amount_micros"] for leg in entry["legs"] if leg["account"].startswith(DEFERRED)]
    if len(later) < len(entry["legs"]) and entry["kind"] not in PAIRED:
        return "pays behind a back"
    books.unsettled += sum(later)
    for lot in entry["lots"]:
        key = (lot["origin"], lot["expires_at_ms"])
        had = fold.lots.get(key, 0)
        fold.lots[key] = had + lot["delta_micros"]
        if fold.lots[key] < min(0, had) and (entry["kind"] not in OWING or lot["expires_at_ms"] is not None):
            return "takes more of a lot than there is"
        if not fold.lots[key]:
            del fold.lots[key]
    return None if entry["balance_micros"] == sum(fold.lots.values()) else "states a wrong balance"


def hash_of(ref: Ref, entry: Documents) -> str:
    """The published format of an entry's hash, written down once more."""
    fields = [ref[0], ref[1], entry["seq"], entry["kind"], entry["delta_micros"], entry["balance_micros"]]
    fields += [entry["hold_id"] or "-", entry["request_hash"], entry["at_ms"], len(entry["lots"])]
    for lot in entry["lots"]:
        expiry = "-" if lot["expires_at_ms"] is None else lot["expires_at_ms"]
        fields += [lot["origin"], expiry, lot["delta_micros"]]
    fields.append(len(entry["legs"]))
    for leg in entry["legs"]:
        fields += [leg["account"], leg["origin"], leg["amount_micros"]]
    fields.append(len(entry["facts"]))
    for fact in sorted(entry["facts"].items()):
        fields += fact
    content = _digest("credence.entry.v1", fields)
    return _digest("credence.link.v1", [entry["prev_hash"], content])


def _digest(tag: str, fields: Sequence[object]) -> str:
    return hashlib.sha256(netstrings([tag, *fields])).hexdigest()
