"""Prices in memory, with the promises that both stores keep, and faults on demand."""

from collections import deque
from collections.abc import Sequence

from shared.pricing.errors import PricesUnavailable
from shared.pricing.models import Advanced, DemandState, Hour, Multipliers, OverrideRecord
from shared.pricing.rules import DAY_S, HOUR_S, multipliers_of
from shared.pricing.store import DemandLost, DemandVersion, KnownDemand

NOW_S = 1_800_000_000


class Died(Exception):
    """The process ended here."""


class MemoryPrices:
    """What Firestore keeps, in dictionaries. `now_s` is the server's time; `down` makes reads fail.

    Commit faults, in order: "lost" never arrives, "unacknowledged" is done and reported failed, "dies before" and
    "dies after" end the process there, "ok" works.
    """

    def __init__(self) -> None:
        self.state = DemandState()
        self.told = Multipliers()
        self.recorded: dict[tuple[str, int], Hour] = {}
        self.orders: dict[str, OverrideRecord] = {}
        self.commits = 0
        self.reads = 0
        self.now_s = NOW_S
        self.down = False
        self.faults: deque[str] = deque()

    async def demand(self) -> KnownDemand:
        self._require_up()
        version = DemandVersion(self.commits) if self.commits else None
        return KnownDemand(self.state, version, self.now_s)

    async def commit(
        self, advanced: Advanced, expected: DemandVersion | None, record: OverrideRecord | None = None
    ) -> DemandVersion:
        fault = self.faults.popleft() if self.faults else "ok"
        if fault == "dies before":
            raise Died
        if fault == "lost" or expected != (DemandVersion(self.commits) if self.commits else None):
            raise DemandLost
        if record is not None:
            if record.record_id in self.orders:
                raise DemandLost
            self.orders[record.record_id] = record
        self.commits += 1
        self.state = advanced.state
        self.told = multipliers_of(advanced.state)
        self.recorded |= {(model_id, hour.start_s): hour for model_id, hour in advanced.ended.items()}
        if fault == "dies after":
            raise Died
        if fault == "unacknowledged":
            raise DemandLost
        return DemandVersion(self.commits)

    async def override(self, record_id: str) -> OverrideRecord | None:
        self._require_up()
        return self.orders.get(record_id)

    async def multipliers(self) -> Multipliers:
        self.reads += 1
        self._require_up()
        return self.told

    async def hours(self, model_id: str, days: Sequence[int]) -> list[Hour]:
        self._require_up()
        wanted = {day_s + number * HOUR_S for day_s in days for number in range(DAY_S // HOUR_S)}
        return [hour for (name, at_s), hour in self.recorded.items() if name == model_id and at_s in wanted]

    def _require_up(self) -> None:
        if self.down:
            raise PricesUnavailable
