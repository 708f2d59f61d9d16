"""What is done about a key that its provider refused: all processes leave it alone, and it is looked at again."""

from typing import Protocol

from shared.base.clock import Clock
from shared.base.errors import CredenceError
from shared.base.log import write_line
from shared.providers.errors import Fault
from shared.resources.models import KEY_VALIDATE, KeyId, KeyValidate
from shared.shelf.store import ShelfStore

COOL_MS = 10 * 60_000
"""How long a refused key is left alone, unless its provider is asked about it sooner; one complaint covers it."""


class Later(Protocol):
    """Where work is left for later: `shared.tasks.service.Tasks`."""

    async def post(self, function_name: str, payload: object, *, name_key: str) -> None: ...


class Complaints:
    """Tells of keys that were refused. Never in the way of a call, which goes on with another key meanwhile."""

    def __init__(self, store: ShelfStore, tasks: Later | None, wall_clock: Clock) -> None:
        """Without `tasks` keys only cool; the schedule looks at them in time."""
        self._store = store
        self._tasks = tasks
        self._wall_clock = wall_clock
        self._doubted: dict[KeyId, int] = {}
        """In which stretch of COOL_MS each key was last to be looked at for a doubt."""

    async def complain(self, key_id: KeyId, fault: Fault) -> None:
        """Have the key left alone and looked at, once for as long as it cools. Raises nothing."""
        now_ms = self._wall_clock()
        write_line("WARNING", "key_cools", key=key_id, fault=fault.value)
        try:
            await self._store.cool(key_id, now_ms + COOL_MS)
            if self._tasks is not None:
                await self._tasks.post(
                    KEY_VALIDATE, KeyValidate(key_id=key_id), name_key=f"{key_id}:{now_ms // COOL_MS}"
                )
        except CredenceError as error:
            write_line("ERROR", "complaint_lost", key=key_id, code=error.code)

    async def doubt(self, key_id: KeyId) -> None:
        """Have the key looked at while it serves on, once in COOL_MS. Raises nothing."""
        stretch = self._wall_clock() // COOL_MS
        if self._tasks is None or self._doubted.get(key_id) == stretch:
            return
        self._doubted[key_id] = stretch
        try:
            # Under a name of its own: it must not stand in for the look that ends a rest.
            await self._tasks.post(KEY_VALIDATE, KeyValidate(key_id=key_id), name_key=f"{key_id}:doubt:{stretch}")
        except CredenceError as error:
            write_line("ERROR", "doubt_lost", key=key_id, code=error.code)
