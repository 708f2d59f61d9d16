"""Kept answers in memory, and the promises that both stores keep."""

from shared.answers.service import AnswersUnavailable
from tests.ledger.builders import NOW


class MemoryAnswers:
    """What Firestore keeps, in a dictionary. `down` makes it answer nothing; `now_ms` is the server's time."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[bytes, int]] = {}
        self.now_ms = NOW
        self.down = False
        self.reads = 0

    async def get(self, name: str) -> bytes | None:
        self._require_up()
        self.reads += 1
        locked, expires_at_ms = self.kept.get(name, (None, 0))
        return locked if expires_at_ms > self.now_ms else None

    async def put(self, name: str, locked: bytes, *, expires_at_ms: int) -> None:
        self._require_up()
        self.kept[name] = (locked, expires_at_ms)

    def _require_up(self) -> None:
        if self.down:
            raise AnswersUnavailable
