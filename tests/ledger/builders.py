"""Ledgers, operations and faults for tests. Times are milliseconds from an arbitrary NOW."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from shared.base.ids import AccountId, HoldId
from shared.ledger.engine import Engine
from shared.ledger.holds import PlaceHold, ReleaseHold
from shared.ledger.memory import MemoryLedgerStore
from shared.ledger.models import HOUSE_PROMOTIONS, HOUSE_REVENUE, Entry, Hold, HoldLimits, Lot, Origin, Share
from shared.ledger.postings import Capture, Debit, Grant, OpenAccount, Transfer
from shared.ledger.service import Ledger
from shared.ledger.store import CommitFailed, EntryRef, HeadWrite, LedgerStore, Snapshot, StoreUnavailable, Version

NOW = 1_800_000_000_000
DAY = 86_400_000
ADA = AccountId("user:ada")
BEN = AccountId("user:ben")
CLARA = AccountId("user:clara")
HOUSE = (Share(HOUSE_REVENUE, 1),)
LIMITS = HoldLimits(open_max=1_000, window_ms=60_000, per_window_max=1_000_000)


@dataclass
class Ticker:
    """A clock that moves when told to."""

    now_ms: int = NOW

    def __call__(self) -> int:
        return self.now_ms


def open_account(account_id: AccountId = ADA, at_ms: int = NOW) -> OpenAccount:
    return OpenAccount(account_id=account_id, at_ms=at_ms)


def grant(
    amount: int, key: str = "grant", *, to: AccountId = ADA, promo_until: int | None = None, at_ms: int = NOW
) -> Grant:
    """Paid credits, or with `promo_until` promotional ones."""
    origin = Origin.PAID if promo_until is None else Origin.PROMO
    return Grant(
        account_id=to,
        amount_micros=amount,
        origin=origin,
        expires_at_ms=promo_until,
        source=HOUSE_PROMOTIONS,
        key=key,
        facts=(),
        at_ms=at_ms,
    )


def debit(amount: int, key: str = "debit", *, by: AccountId = ADA, at_ms: int = NOW, **facts: str) -> Debit:
    return Debit(
        account_id=by, amount_micros=amount, shares=HOUSE, key=key, facts=tuple(sorted(facts.items())), at_ms=at_ms
    )


def transfer(
    amount: int, key: str = "transfer", *, by: AccountId = ADA, to: AccountId = BEN, at_ms: int = NOW
) -> Transfer:
    return Transfer(account_id=by, payee_id=to, amount_micros=amount, key=key, facts=(), at_ms=at_ms)


def place(
    amount: int,
    hold_id: str = "hold",
    *,
    by: AccountId = ADA,
    at_ms: int = NOW,
    lifetime_ms: int = DAY,
    limits: HoldLimits = LIMITS,
) -> PlaceHold:
    return PlaceHold(by, Hold(HoldId(hold_id), amount, at_ms, at_ms + lifetime_ms), limits)


def capture(amount: int, hold_id: str = "hold", *, by: AccountId = ADA, at_ms: int = NOW) -> Capture:
    return Capture(account_id=by, hold_id=HoldId(hold_id), amount_micros=amount, shares=HOUSE, facts=(), at_ms=at_ms)


def release(hold_id: str = "hold", *, by: AccountId = ADA, at_ms: int = NOW) -> ReleaseHold:
    return ReleaseHold(by, HoldId(hold_id), at_ms)


def chance_of(seed: int) -> random.Random:
    """The same draws in every run of a test."""
    return random.Random(seed)  # noqa: S311 - draws faults, guards nothing


async def soon(_seconds: float) -> None:
    """A pause for tests: others get their turn, no time passes."""
    await asyncio.sleep(0)


def engine_on(store: LedgerStore, seed: int = 0) -> Engine:
    return Engine(store, sleep=soon, jitter=chance_of(seed))


def ledger_on(store: LedgerStore, clock: Callable[[], int]) -> Ledger:
    return Ledger(engine_on(store), store, clock)


async def opened(store: LedgerStore, *, paid: int = 0, accounts: Sequence[AccountId] = (ADA,)) -> None:
    """Open accounts and give each `paid` micros, through an engine of its own so that no cache is warm."""
    engine = engine_on(store)
    for account_id in accounts:
        await engine.run(open_account(account_id))
        if paid:
            await engine.run(grant(paid, f"first:{account_id}", to=account_id))


@dataclass
class FaultyStore:
    """A store that loses requests, answers and reads, by script first and then by chance.

    Commit faults: "lost" never arrives, "unacknowledged" is done and reported failed, "late" is reported failed and
    arrives when `land` is called, "overtaken" arrives just after the late ones, "ok" works.
    """

    inner: MemoryLedgerStore
    commit_script: deque[str] = field(default_factory=deque)
    read_script: deque[str] = field(default_factory=deque)
    lost: float = 0.0
    unacknowledged: float = 0.0
    unread: float = 0.0
    delay_s: float = 0.0
    chance: random.Random = field(default_factory=lambda: chance_of(1))
    commits: int = 0
    """Commits that took effect."""
    entries_committed: int = 0
    reads: int = 0
    _late: list[tuple[Sequence[HeadWrite], Sequence[Entry]]] = field(default_factory=list)

    async def read(self, account_ids: Sequence[AccountId], entry_refs: Sequence[EntryRef]) -> Snapshot:
        self.reads += 1
        await asyncio.sleep(self.delay_s)
        fault = self.read_script.popleft() if self.read_script else None
        if fault == "lost" or (fault is None and self.chance.random() < self.unread):
            raise StoreUnavailable
        return await self.inner.read(account_ids, entry_refs)

    async def commit(self, heads: Sequence[HeadWrite], entries: Sequence[Entry]) -> Mapping[AccountId, Version]:
        await asyncio.sleep(self.delay_s)
        fault = self.commit_script.popleft() if self.commit_script else self._drawn()
        if fault == "lost":
            raise CommitFailed
        if fault == "late":
            self._late.append((heads, entries))
            raise CommitFailed
        if fault == "overtaken":
            await self.land()
        versions = await self.inner.commit(heads, entries)
        self.commits += 1
        self.entries_committed += len(entries)
        if fault == "unacknowledged":
            raise CommitFailed
        return versions

    async def land(self) -> int:
        """Let the late commits arrive; say how many took effect."""
        landed = 0
        for heads, entries in self._late:
            try:
                await self.inner.commit(heads, entries)
                landed += 1
            except CommitFailed:
                continue
        self._late.clear()
        return landed

    def _drawn(self) -> str:
        draw = self.chance.random()
        if draw < self.lost:
            return "lost"
        return "unacknowledged" if draw < self.lost + self.unacknowledged else "ok"


def entries_of(store: MemoryLedgerStore, account_id: AccountId = ADA) -> list[dict[str, Any]]:
    """The account's entry documents in order."""
    owned = [document for (owner, _), document in store.entries.items() if owner == account_id]
    return sorted(owned, key=lambda document: int(document["seq"]))


async def balance(store: MemoryLedgerStore, account_id: AccountId = ADA) -> int:
    head = (await store.read([account_id], ())).heads[account_id].head
    assert head is not None
    return head.balance_micros


amounts = st.integers(1, 10**9)
origins = st.sampled_from(list(Origin))
expiries = st.none() | st.integers(NOW - 5 * DAY, NOW + 5 * DAY)


@st.composite
def lot_tuples(draw: st.DrawFn, max_size: int = 8) -> tuple[Lot, ...]:
    """Lots as a head carries them: one per origin and expiry, none empty, promo first, soonest expiry first."""
    keys = draw(st.lists(st.tuples(origins, expiries), max_size=max_size, unique=True))
    lots = [Lot(origin, expires_at_ms, draw(amounts)) for origin, expires_at_ms in keys]
    return tuple(sorted(lots, key=lambda lot: (lot.origin is Origin.PAID, lot.expires_at_ms or 2**63)))
