"""Closes leases whose processes died before they did. Called by the timer `lease_sweep`."""

from msgspec import Struct

from shared.base.clock import Clock
from shared.base.log import write_line
from shared.shelf.models import DueLease
from shared.shelf.store import Outrun, ShelfStore, ShelfUnavailable

LEASES_MAX = 500
"""Of one run; the next goes on."""


class SweepReport(Struct, frozen=True):
    """What a run did. `finished` is false when there were more leases than one run takes."""

    closed: int
    waiting: int
    returned_micros: int
    finished: bool


class LeaseSweep:
    """Finds what expired leases have used, and gives the rest back to their keys."""

    def __init__(self, store: ShelfStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def run(self) -> SweepReport:
        """Close each once, by what the ledger says was charged under it. Raise ShelfUnavailable."""
        due = await self._store.due(self._clock(), LEASES_MAX)
        returned = [await self._close(one) for one in due]
        closed = [amount for amount in returned if amount is not None]
        return SweepReport(len(closed), len(due) - len(closed), sum(closed), len(due) < LEASES_MAX)

    async def _close(self, due: DueLease) -> int | None:
        """What came back; None for one that has to wait. If we die in here, the next run does the same."""
        lease = due.lease
        try:
            served_micros = await self._store.served_micros(lease.id)
            # More than was leased cannot have been reserved; if it were, nothing would come back.
            used_micros = min(lease.amount_micros, served_micros)
            await self._store.close(lease, due.version, used_micros=used_micros)
        except Outrun:
            return 0
        except ShelfUnavailable:
            write_line("ERROR", "lease_not_swept", key=lease.key_id, lease=lease.id)
            return None
        write_line("INFO", "lease_swept", key=lease.key_id, lease=lease.id, used_micros=used_micros)
        return lease.amount_micros - used_micros
