"""Reservations in a dictionary: the promises of the store."""

from shared.chain.models import Reservation


class MemoryReservations:
    """Reservations of one process, for tests."""

    def __init__(self) -> None:
        self.kept: dict[str, Reservation] = {}

    async def find(self, key: str) -> Reservation | None:
        """What was reserved."""
        return self.kept.get(key)

    async def reserve(self, key: str, reservation: Reservation) -> Reservation:
        """The first one stays."""
        return self.kept.setdefault(key, reservation)
