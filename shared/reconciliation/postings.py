"""A day of the ledger: what moved on the house's accounts, and whether every posting against money has its order.

Sums come from settlements, one entry for each house account, band and five minutes, whatever was sold meanwhile. What
is posted against money is found by its index, and must add up to what was settled: a posting that hides from the index
shows as a difference of the day.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec import Struct

from shared.base.ids import AccountId
from shared.ledger.documents import BANDS
from shared.ledger.errors import LedgerUnavailable
from shared.ledger.models import MONEY_ACCOUNTS, Entry
from shared.ledger.sales import Sales
from shared.ledger.settling import owed_by
from shared.ledger.store import StoreUnavailable
from shared.ledger.unsettled import committed_at_of
from shared.ledger.verify import entry_of
from shared.ledger.windows import LedgerWindows
from shared.payments.models import RailName
from shared.reconciliation import days
from shared.reconciliation.evidence import Evidence
from shared.reconciliation.houses import HouseDays
from shared.reconciliation.models import Difference, Progress, SubjectKind, Thing, TicketKind
from shared.reconciliation.rules import rail_of

PAGE_ENTRIES_MAX = 100
STEP = "entries"
MICROS = "micros"
NO_RAIL = RailName.STRIPE
"""A posting that names no rail is put down to this one; its ticket says what the posting is."""


class LedgerPage(Struct, frozen=True):
    """What differs among some postings of a day, and how far the day has come."""

    differences: list[Difference]
    progress: Progress


class LedgerDays:
    """Reads postings against money. Raise LedgerUnavailable, PaymentsUnavailable or ChainBroken."""

    def __init__(self, windows: LedgerWindows, sales: Sales, houses: HouseDays, evidence: Evidence) -> None:
        self._windows = windows
        self._sales = sales
        self._houses = houses
        self._evidence = evidence

    async def page(self, day: str, progress: Progress) -> LedgerPage | None:
        """The next postings of a day; None while windows of it are not settled."""
        try:
            return await self._page(day, progress)
        except StoreUnavailable:
            raise LedgerUnavailable from None

    async def _page(self, day: str, progress: Progress) -> LedgerPage | None:
        if not progress.name:
            horizons = await self._windows.horizons()
            until = horizons.settled_until.values()
            if len(until) < BANDS or min(until) < _at(days.end_ms(day)):
                return None
            await self._houses.keep(day)
        account_id = AccountId(progress.name or MONEY_ACCOUNTS[0])
        since = datetime.fromisoformat(progress.cursor) if progress.cursor else _at(days.start_ms(day))
        entries, goes_on_at = await self._entries(account_id, since, _at(days.end_ms(day)))
        differences = await self._evidence.of_entries(entries, NO_RAIL, day)
        micros, counts = progress.counts.get(MICROS, 0), dict(progress.counts)
        for one in entries:
            moved = sum(owed_by(one)[account_id].values())
            name = f"{account_id}/{rail_of(one, NO_RAIL).value}"
            micros, counts[name] = micros + moved, counts.get(name, 0) + moved
        if goes_on_at is not None:
            counts[MICROS] = micros
            return LedgerPage(
                differences, Progress(step=STEP, name=account_id, cursor=goes_on_at.isoformat(), counts=counts)
            )
        differences += await self._against_settled(day, account_id, micros)
        counts.pop(MICROS, None)
        left = MONEY_ACCOUNTS[MONEY_ACCOUNTS.index(account_id) + 1 :]
        if not left:
            # If we die here, the last page is read again and adds up to the same.
            await self._houses.keep_rails(day, by_rail(counts))
        after = Progress(step=STEP, name=left[0] if left else account_id, counts=counts, is_done=not left)
        return LedgerPage(differences, after)

    async def _entries(
        self, account_id: AccountId, since: datetime, before: datetime
    ) -> tuple[list[Entry], datetime | None]:
        """About a page of postings, and when the next one begins. A page ends between two moments of the server, so
        none is read twice."""
        entries: list[Entry] = []
        last = since
        async for ref, document in self._sales.since(account_id, since, before):
            committed_at = committed_at_of(ref, document)
            if len(entries) >= PAGE_ENTRIES_MAX and committed_at > last:
                return entries, committed_at
            entries.append(entry_of(*ref, document))
            last = committed_at
        return entries, None

    async def _against_settled(self, day: str, account_id: AccountId, micros: int) -> list[Difference]:
        kept = await self._houses.of(day)
        settled = sum(kept.moved.get(account_id, {}).values()) if kept else 0
        if settled == micros:
            return []
        return [
            Difference(
                rail=NO_RAIL,
                thing=Thing(SubjectKind.LEDGER, f"{account_id}:{day}", day),
                kind=TicketKind.AMOUNT_DIFFERS,
                currency="",
                ours=f"{micros} micros in postings",
                theirs=f"{settled} micros settled",
            )
        ]


def by_rail(counts: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """By account, then by rail, of counts that are named by both."""
    sums: dict[str, dict[str, int]] = {}
    for name, micros in counts.items():
        account_id, _, rail = name.rpartition("/")
        sums.setdefault(account_id, {})[rail] = micros
    return sums


def _at(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms // 1000, UTC)
