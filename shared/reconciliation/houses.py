"""What moved on the house's accounts on a UTC day, from their settlements: `ledger_days/{day}`, written once a day.

A settlement states the window whose sales it folds. Windows are five minutes of server time and a day is a whole number
of them, so a day's sums are exact, whenever its windows were settled and posted.
"""

from collections.abc import Mapping
from typing import Protocol

from msgspec.structs import replace

from shared.base.ids import AccountId
from shared.ledger.archive import LedgerArchive
from shared.ledger.fold_check import window_settled_by
from shared.ledger.models import EntryKind
from shared.ledger.verify import entry_of
from shared.reconciliation import days
from shared.reconciliation.models import HouseDay, Micros
from shared.reconciliation.rules import micros_by_origin
from shared.reconciliation.sums import DeferredHeads


class HouseBooks(Protocol):
    """Where days are kept. All raise PaymentsUnavailable."""

    async def find(self, day: str) -> HouseDay | None:
        """The day, if it was kept."""

    async def put(self, day: HouseDay) -> None:
        """Durable once returned; a repeat keeps the same."""

    async def between(self, first: str, last: str) -> list[HouseDay]:
        """All kept days of a range, both included, in order."""


class HouseDays:
    """Keeps days of the house. Raise PaymentsUnavailable, StoreUnavailable or ChainBroken."""

    def __init__(self, archive: LedgerArchive, heads: DeferredHeads, books: HouseBooks) -> None:
        self._archive = archive
        self._heads = heads
        self._books = books

    async def of(self, day: str) -> HouseDay | None:
        """A day that was kept."""
        return await self._books.find(day)

    async def keep(self, day: str) -> HouseDay:
        """Fold the settlements of a day all of whose windows are settled; a repeat keeps the same."""
        before = await self._books.find(days.moved(day, -1))
        moved: dict[str, dict[str, int]] = {}
        earlier: dict[str, dict[str, int]] = {}
        cursors: dict[str, int] = {}
        async for account_id, _ in self._heads.of_class("house", None):
            cursor = before.cursors.get(account_id, 0) if before else 0
            cursors[account_id] = await self._fold(account_id, cursor, day, moved, earlier)
        # Without the day before, all that was ever settled before this one is what it begins with.
        opening: Micros = closing_of(before) if before else earlier
        kept = HouseDay(day=day, opening=opening, moved=moved, cursors=cursors)
        await self._books.put(kept)
        return kept

    async def keep_rails(self, day: str, by_rail: Micros) -> None:
        """Keep beside a day that is kept which rails its postings against money name."""
        kept = await self._books.find(day)
        if kept is not None:
            await self._books.put(replace(kept, by_rail=by_rail))

    async def _fold(
        self,
        account_id: AccountId,
        cursor: int,
        day: str,
        moved: dict[str, dict[str, int]],
        earlier: dict[str, dict[str, int]],
    ) -> int:
        """Add an account's settlements to the sums; answer from which entry the next day goes on."""
        start_s, end_s = days.start_ms(day) // 1000, days.end_ms(day) // 1000
        next_cursor: int | None = None
        async for entry_id, document in self._archive.entry_documents(account_id, cursor):
            entry = entry_of(account_id, entry_id, document)
            if entry.kind is EntryKind.SETTLE:
                window_s = window_settled_by(entry).start_s
                if window_s >= end_s:
                    # Bands are settled one after the other, so windows of two days stand mixed for a while.
                    next_cursor = entry.seq - 1 if next_cursor is None else next_cursor
                else:
                    _add(moved if window_s >= start_s else earlier, account_id, micros_by_origin(entry.lots))
            cursor = entry.seq
        return cursor if next_cursor is None else next_cursor


def closing_of(day: HouseDay) -> dict[str, dict[str, int]]:
    """What stood on the accounts when the day ended."""
    closing = {name: dict(origins) for name, origins in day.opening.items()}
    for name, origins in day.moved.items():
        _add(closing, name, origins)
    return closing


def _add(sums: dict[str, dict[str, int]], name: str, origins: Mapping[str, int]) -> None:
    of_account = sums.setdefault(name, {})
    for origin, micros in origins.items():
        of_account[origin] = of_account.get(origin, 0) + micros
