"""Checks an account, or the whole ledger, from the first entry on, against raw documents and nothing else.

Correct on a live ledger: entries appended while it reads never make it raise.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from msgspec import Struct, field

from shared.base.ids import AccountId, EntryId
from shared.base.together import all_of
from shared.ledger.archive import LedgerArchive
from shared.ledger.chain import Walk, hash_entry
from shared.ledger.documents import Document, entry_from, head_from, lane_of, payees_of
from shared.ledger.errors import AccountAbsent, ChainBroken
from shared.ledger.fold_check import FoldCheck
from shared.ledger.legs import broken_at, check_legs, counterpart_refs, is_paired
from shared.ledger.models import DEFERRED_CLASSES, IMMEDIATE_CLASSES, Entry, Head, account_class
from shared.ledger.share_check import ShareFold, check_shares

BATCH_ENTRIES_MAX = 100
"""Entries checked together; the counterparts of their transfers are fetched in one read."""
ACCOUNTS_AT_ONCE = 16
"""Accounts walked side by side; each waits for the store most of the time."""
BREAKS_MAX = 1_000
"""Broken accounts listed in one report; by then nobody needs the next."""

Item = TypeVar("Item")
OnEntry = Callable[[Entry, Document], None]
OnProgress = Callable[[int, int], None]
"""Told the accounts and the entries checked so far."""


class AccountReport(Struct, frozen=True):
    """An account whose chain holds."""

    account_id: AccountId
    entries: int
    balance_micros: int


class LedgerReport(Struct, frozen=True):
    """What a check of all accounts found. Intact when nothing is broken and `drift_micros` is zero."""

    accounts: int
    entries: int
    balance_micros: int
    unsettled_micros: int
    drift_micros: int
    """By how much balances and unsettled legs fail to cancel; not judged, and zero, while an account is broken."""
    broken: tuple[ChainBroken, ...]

    @property
    def intact(self) -> bool:
        """Whether every chain holds and no credit came from nowhere."""
        return not self.broken and self.drift_micros == 0


class LedgerCheck(Protocol):
    """Something that sees every entry of a ledger while it is walked, and says in the end what is wrong."""

    def add(self, entry: Entry, document: Document) -> None:
        """Take in one entry. Raise ChainBroken when it is at fault."""

    def faults(self) -> list[ChainBroken]:
        """What only shows when all entries were seen."""


class _Sums(Struct):
    """What is added up while accounts are walked, to be judged at the end."""

    checks: Sequence["LedgerCheck"]
    balance_micros: int = 0
    unsettled_micros: int = 0
    crossing: dict[EntryId, int] = field(default_factory=dict)
    """Transfers of which one side was seen: the other account was read before the transfer, which is no fault."""

    def add(self, entry: Entry, document: Document) -> None:
        for check in self.checks:
            check.add(entry, document)
        paired = is_paired(entry)
        crossing = sum(leg.amount_micros for leg in entry.legs if account_class(leg.account_id) in IMMEDIATE_CLASSES)
        self.unsettled_micros += sum(leg.amount_micros for leg in entry.legs) - crossing
        if not paired:
            return
        if (known := self.crossing.pop(entry.entry_id, None)) is None:
            self.crossing[entry.entry_id] = crossing
        elif known + crossing:
            # Kept, so that it shows in the drift.
            self.crossing[entry.entry_id] = known + crossing

    def drift_micros(self) -> int:
        return self.balance_micros + self.unsettled_micros + sum(self.crossing.values())


async def verify_account(
    archive: LedgerArchive, account_id: AccountId, *, on_entry: OnEntry | None = None
) -> AccountReport:
    """Walk all entries up to the head. Raise ChainBroken naming the first bad entry, or AccountAbsent."""
    # The head and the count come first and from one moment: entries are only ever added, so whatever is appended
    # from here on has a number above the head's and is not looked at.
    document, count = await archive.head_and_count(account_id)
    if document is None:
        if count:
            raise ChainBroken(f"its head is gone, {count} entries remain", account_id=account_id)
        raise AccountAbsent
    head = head_of(account_id, document)
    walk, shares = Walk(account_id), ShareFold(account_id)

    def see(entry: Entry, entry_document: Document) -> None:
        shares.add(entry)
        if on_entry:
            on_entry(entry, entry_document)

    await walk_entries(archive, walk, head.seq, on_entry=see)
    walk.finish(head)
    shares.finish(head)
    check_count(head, count)
    return AccountReport(account_id, walk.seq, walk.balance_micros)


async def verify_ledger(
    archive: LedgerArchive,
    settled_until: Mapping[int, datetime],
    on_progress: OnProgress | None = None,
    *,
    checks: Sequence["LedgerCheck"] = (),
) -> LedgerReport:
    """Check every account, every pair of transfers, every settlement of a window before its band's `settled_until`,
    and that all balances and unsettled legs sum to zero. `settled_until` is read before. More `checks` see each entry.
    """
    sums = _Sums([FoldCheck(settled_until), *checks])
    broken: list[ChainBroken] = []
    accounts = entries = 0
    async for group in in_groups(payees_first(archive), ACCOUNTS_AT_ONCE):
        walks = (_verify_listed(archive, account_id, sums.add) for account_id in group)
        for outcome in await all_of(walks):
            if outcome is None:
                continue
            accounts += 1
            if isinstance(outcome, ChainBroken):
                broken.append(outcome)
            else:
                entries += outcome.entries
                sums.balance_micros += outcome.balance_micros
        if on_progress:
            on_progress(accounts, entries)
        if len(broken) >= BREAKS_MAX:
            break
    if not broken:
        # With an account missing from the folds, every settlement of its sales would look wrong.
        broken.extend([fault for check in sums.checks for fault in check.faults()][:BREAKS_MAX])
    return LedgerReport(
        accounts,
        entries,
        sums.balance_micros,
        sums.unsettled_micros,
        0 if broken else sums.drift_micros(),
        tuple(broken),
    )


async def walk_entries(
    archive: LedgerArchive,
    walk: Walk,
    until_seq: int,
    *,
    on_entry: OnEntry | None = None,
    entries_max: int | None = None,
) -> None:
    """Step through the entries after `walk.seq` up to `until_seq`, at most `entries_max` of them.

    A transfer counts only when the other account holds its counterpart. When ChainBroken is raised, the walk stands
    at the last good entry.
    """
    stop_seq = until_seq if entries_max is None else min(until_seq, walk.seq + entries_max)
    if walk.seq >= stop_seq:
        return
    # A resumed walk sees the entry that it stands on once more, so that it goes on from the chain and not from a note.
    anchor_seq, anchored = walk.seq, not walk.seq
    async for batch in in_groups(archive.entry_documents(walk.account_id, max(0, anchor_seq - 1)), BATCH_ENTRIES_MAX):
        counterparts = await archive.entries_named(counterpart_refs(batch))
        for entry_id, document in batch:
            entry = entry_of(walk.account_id, entry_id, document)
            if not anchored:
                check_anchor(walk, entry)
                anchored = True
                continue
            if entry.hash == hash_entry(entry):
                # Of an entry that was changed, the walk says just that.
                check_legs(entry, counterparts)
                check_shares(entry)
            walk.step(entry)
            if on_entry:
                on_entry(entry, document)
            if walk.seq == stop_seq:
                return
    reason = f"is missing: the head is at entry {until_seq}"
    raise ChainBroken(reason, account_id=walk.account_id, seq=walk.seq + 1)


def check_anchor(walk: Walk, entry: Entry) -> None:
    """Raise ChainBroken unless `entry` is the one that the walk stands on."""
    if (entry.seq, entry.hash, hash_entry(entry)) != (walk.seq, walk.hash, walk.hash):
        raise broken_at(entry, f"is not entry {walk.seq} as it was when last checked")


def check_count(head: Head, count: int) -> None:
    """Raise ChainBroken unless the account has as many entry documents as entries.

    A document whose `seq` is no number, or lies beyond the head, is in no walk; yet it would answer for its key.
    """
    if count != head.seq:
        reason = f"it has {count} entry documents and {head.seq} entries"
        raise ChainBroken(reason, account_id=head.account_id)


def head_of(account_id: AccountId, document: Document) -> Head:
    """The head in a raw document. Raise ChainBroken when it is none, or when no audit of its lane would find it."""
    head = head_from(account_id, document)
    if document.get("lane") != lane_of(account_id) or not isinstance(document.get("posted_at"), datetime):
        raise ChainBroken("its head states a wrong lane or no time of posting", account_id=account_id)
    return head


def entry_of(account_id: AccountId, entry_id: EntryId, document: Document) -> Entry:
    """The entry in a raw document of that account. Raise ChainBroken when it is none, or when settlement or a payee
    would miss it: lane and payees stand outside the hash, for queries, and follow from what is in it."""
    try:
        entry = entry_from(entry_id, document)
    except ChainBroken as error:
        seq = document.get("seq")
        where = seq if type(seq) is int else None
        raise ChainBroken(error.reason, account_id=account_id, seq=where, entry_id=entry_id) from None
    for holds, reason in (
        (entry.account_id == account_id, "belongs to another account"),
        (document.get("lane") == lane_of(account_id), "states another lane than its account's"),
        (document.get("payees") == payees_of(entry), "names other payees than its legs"),
    ):
        if not holds:
            raise ChainBroken(reason, account_id=account_id, seq=entry.seq, entry_id=entry_id)
    return entry


async def payees_first(archive: LedgerArchive) -> AsyncIterator[AccountId]:
    """All accounts, those that settlement posts to before those whose sales it folds, as `FoldCheck` asks."""
    # Listed twice, because a buyer may have come, and have been settled, while the payees were read. The last payees
    # may be read side by side with the first buyers: that takes seconds, and a sale waits for a minute.
    for deferred in (True, False):
        async for account_id in archive.account_ids():
            if (account_class(account_id) in DEFERRED_CLASSES) is deferred:
                yield account_id


async def _verify_listed(
    archive: LedgerArchive, account_id: AccountId, on_entry: OnEntry
) -> AccountReport | ChainBroken | None:
    """None for a name that is listed and is no account: under it there is something, and nothing of the ledger."""
    try:
        return await verify_account(archive, account_id, on_entry=on_entry)
    except AccountAbsent:
        return None
    except ChainBroken as error:
        return error


async def in_groups(items: AsyncIterator[Item], size: int) -> AsyncIterator[list[Item]]:
    """The items in lists of `size`, the last one shorter."""
    group: list[Item] = []
    async for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
