"""Owed charges in memory, and the promises that both stores keep."""

from shared.base.ids import HoldId
from shared.metering.models import OwedCharge
from shared.metering.store import OwedUnavailable


class MemoryOwedCharges:
    """What Firestore keeps, in a dictionary. `down` makes it answer nothing."""

    def __init__(self) -> None:
        self.charges: dict[HoldId, OwedCharge] = {}
        self.down = False

    async def put(self, charge: OwedCharge) -> None:
        self._require_up()
        self.charges[charge.hold_id] = charge

    async def waiting(self, limit: int) -> list[OwedCharge]:
        self._require_up()
        return list(self.charges.values())[:limit]

    async def remove(self, hold_id: HoldId) -> None:
        self._require_up()
        self.charges.pop(hold_id, None)

    def _require_up(self) -> None:
        if self.down:
            raise OwedUnavailable
