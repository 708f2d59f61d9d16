"""What settlement promises, checked on raw documents after every commit and every move of a horizon."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct, field

from simulation.folds import (
    WINDOW_S,
    OwedKey,
    WindowKey,
    fold,
    moment_of,
    owed_by,
    settled_window,
    settlement_id,
    window_of,
)
from simulation.judge import Violation
from simulation.model import Ref

Documents = Mapping[str, Any]


class SettledBooks(Struct):
    """What is owed by window and payee, and what was posted of it."""

    entries: Mapping[Ref, Documents]
    horizons: Mapping[int, datetime] = {}
    owed: dict[OwedKey, int] = field(default_factory=dict)
    settled: dict[OwedKey, int] = field(default_factory=dict)

    def pending(self) -> int:
        """What is owed and not posted yet."""
        return sum(amount for key, amount in self.owed.items() if key not in self.settled)

    def earned(self, payee: str) -> int:
        """What was posted to a payee."""
        return sum(amount for key, amount in self.settled.items() if key[2] == payee)

    def unsettled_before(self, band: int, until: datetime) -> list[OwedKey]:
        """What is owed by windows that a horizon has passed, and was not posted."""
        return [
            key
            for key in self.owed
            if key[0] == band and moment_of(key[1] + WINDOW_S) <= until and key not in self.settled
        ]

    def see_entry(self, ref: Ref) -> None:
        """Take in an entry as it is written: it settles a window, or falls into one that is still open."""
        entry = self.entries[ref]
        window = window_of(ref, entry)
        if entry["kind"] == "settle":
            self._see_settlement(ref, entry)
        for payee, sums in owed_by(entry).items():
            key = (*window, payee)
            if key in self.settled:
                raise Violation(f"the entry {ref} came into {key} after it was settled")
            if not self._is_open(window):
                raise Violation(f"the entry {ref} came into {key} behind the horizon of its band")
            self.owed[key] = self.owed.get(key, 0) + sum(sums.values())

    def _is_open(self, window: WindowKey) -> bool:
        horizon = self.horizons.get(window[0])
        return horizon is None or horizon <= moment_of(window[1])

    def _see_settlement(self, ref: Ref, entry: Documents) -> None:
        window = settled_window(entry)
        key = (*window, ref[0])
        if ref[1] != settlement_id(window):
            raise Violation(f"the settlement {ref} has another id than its window")
        if key in self.settled:
            raise Violation(f"{key} was settled twice")
        owed = fold(self.entries, window, ref[0])
        if owed is None:
            raise Violation(f"{key} was settled and owes nothing")
        facts = {"band": window[0], "count": owed.count, "root": owed.root, "window_s": WINDOW_S, "start_s": window[1]}
        stated = {name: str(value) for name, value in facts.items()}
        if entry["facts"] != stated:
            raise Violation(f"the settlement of {key} states {entry['facts']}, its window {stated}")
        if entry["delta_micros"] != owed.total:
            raise Violation(f"the settlement of {key} moves another sum than its window")
        self.settled[key] = entry["delta_micros"]
