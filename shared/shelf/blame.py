"""How far what one caller's calls are refused counts against keys: a call that is refused costs its caller nothing."""

from collections import OrderedDict
from collections.abc import Set

from shared.base.ids import UserId
from shared.resources.models import KeyId
from shared.shelf.complaints import COOL_MS

KEYS_BLAMED_MAX = 3
"""Keys that one caller's calls make rest within COOL_MS, each once. A provider's answer may come of what was asked and
look as if it came of the key; whoever finds such a request must not empty the shelf with it."""
CALLERS_MAX = 10_000
"""Callers that are remembered; of more, the one who was heard longest ago is forgotten."""


class Blames:
    """Who had which keys rest lately. In the memory of one process."""

    def __init__(self) -> None:
        self._by: OrderedDict[UserId, dict[KeyId, int]] = OrderedDict()

    def count(self, by: Set[UserId], key_id: KeyId, now_ms: int) -> bool:
        """Whether one more refusal counts against the key; if so it is remembered of all who pay for the call.

        Calls that nobody pays for are together one caller.
        """
        callers = by or {UserId("")}
        if not all(self._has_room(caller, key_id, now_ms) for caller in callers):
            return False
        for caller in callers:
            self._by.setdefault(caller, {})[key_id] = now_ms
            self._by.move_to_end(caller)
        while len(self._by) > CALLERS_MAX:
            self._by.popitem(last=False)
        return True

    def _has_room(self, caller: UserId, key_id: KeyId, now_ms: int) -> bool:
        blamed = self._by.get(caller, {})
        for other, at_ms in [*blamed.items()]:
            if now_ms - at_ms >= COOL_MS:
                del blamed[other]
        return key_id not in blamed and len(blamed) < KEYS_BLAMED_MAX
