"""A busy window, and what settlement must leave of it."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from shared.base.ids import AccountId
from shared.ledger.documents import BANDS, Document
from shared.ledger.models import HOUSE_REVENUE, Share
from shared.ledger.postings import Debit
from shared.ledger.settlement import MARGIN, Settlement
from shared.ledger.settling import WINDOW_S
from shared.ledger.store import EntryRef, StoreUnavailable
from shared.ledger.verify import LedgerReport, verify_ledger
from shared.ledger.windows import Horizons
from tests.ledger.builders import ADA, BEN, DAY, NOW, Ticker, engine_on, grant, opened
from tests.ledger.tampering import LedgerAt, in_memory

CREATOR = AccountId("earn:creator")
HELPER = AccountId("earn:helper")
CARD = AccountId("card:first")
SHARES = (Share(HOUSE_REVENUE, 30), Share(CREATOR, 60), Share(HELPER, 10))
LAST = 3
"""Of each payee's entries once a busy window is settled: the account opens, and each buyer is of another band."""
CLOSED_MS = int((WINDOW_S + MARGIN.total_seconds()) * 1000) + 1


def sold(amount: int, key: str, *, by: AccountId = ADA, shares: Sequence[Share] = SHARES) -> Debit:
    return Debit(account_id=by, amount_micros=amount, shares=tuple(shares), key=key, facts=(), at_ms=NOW)


def settlement_of(ledger: LedgerAt, clock: Ticker) -> Settlement:
    return Settlement(engine_on(ledger.store), ledger.windows, clock)


async def busy(clock: Ticker, *, sales: int = 5) -> LedgerAt:
    """Two buyers, three payees, all within one window."""
    ledger = in_memory(clock)
    await opened(ledger.store, paid=1_000, accounts=(ADA, BEN))
    engine = engine_on(ledger.store)
    await engine.run(grant(100, "promo", promo_until=NOW + DAY))
    for number in range(sales):
        await engine.run(sold(31, f"sale {number}", by=(ADA, BEN)[number % 2]))
    return ledger


async def checked(ledger: LedgerAt) -> LedgerReport:
    return await verify_ledger(ledger.archive, (await ledger.windows.horizons()).settled_until)


async def assert_sound(ledger: LedgerAt) -> LedgerReport:
    report = await checked(ledger)
    assert report.broken == ()
    assert report.drift_micros == 0
    return report


def sales_in(ledger: LedgerAt) -> list[dict[str, Any]]:
    """The debits, as stored."""
    entries: dict[EntryRef, dict[str, Any]] = ledger.store.entries  # type: ignore[attr-defined]
    return [entry for entry in entries.values() if entry["kind"] == "debit"]


class Dying:
    """Windows that fail at their n-th call, as a process that is killed there does to the rest of the run."""

    def __init__(self, inner: Any, calls_left: int) -> None:
        self._inner = inner
        self._calls_left = calls_left

    def _count(self) -> None:
        self._calls_left -= 1
        if self._calls_left < 0:
            raise StoreUnavailable

    async def horizons(self) -> Horizons:
        self._count()
        read: Horizons = await self._inner.horizons()
        return read

    async def put_horizon(self, band: int, settled_until: datetime) -> None:
        self._count()
        await self._inner.put_horizon(band, settled_until)

    async def first_committed_at(self, band: int, since: datetime | None) -> datetime | None:
        self._count()
        first: datetime | None = await self._inner.first_committed_at(band, since)
        return first

    async def entries_between(
        self, band: int, since: datetime | None, before: datetime | None
    ) -> AsyncIterator[tuple[EntryRef, Document]]:
        self._count()
        async for found in self._inner.entries_between(band, since, before):
            yield found

    async def existing(self, refs: Sequence[EntryRef], *, read_at: datetime) -> frozenset[EntryRef]:
        found: frozenset[EntryRef] = await self._inner.existing(refs, read_at=read_at)
        return found


class MemorySales:
    """Sales of a ledger in memory."""

    def __init__(self, ledger: LedgerAt) -> None:
        self._ledger = ledger

    async def since(
        self, payee: AccountId, since: datetime | None, before: datetime | None
    ) -> AsyncIterator[tuple[EntryRef, Document]]:
        for band in range(BANDS):
            async for ref, document in self._ledger.windows.entries_between(band, since, before):
                if payee in document["payees"]:
                    yield ref, document
