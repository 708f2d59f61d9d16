"""The multipliers as a process that sells knows them: in memory, of a stated age, and never waited for while warm."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from shared.base.clock import Clock, system_clock
from shared.base.log import write_line
from shared.pricing.errors import PricesUnavailable
from shared.pricing.models import Multiplier, Multipliers
from shared.pricing.rules import NEUTRAL, in_force
from shared.pricing.store import PriceStore

RENEW_AFTER_S = 60.0
"""Multipliers older than this are read anew, beside the calls that still use them: one read a minute at most."""
AGE_S_MAX = 600.0
"""Older than this they are not used unread, as after a quiet time in which the process was not run at all."""
WAIT_S = 1.0
"""How long a call waits for them at most; then it has the last known, or the catalog's own price."""
TRY_AGAIN_AFTER_S = 5.0


class DemandSource(Protocol):
    """Tells what a model's price is multiplied by."""

    async def of(self, model_id: str) -> Multiplier:
        """Now. It never fails: what is not known is neutral."""


class SteadyDemand:
    """No multipliers: every model at the catalog's price."""

    async def of(self, model_id: str) -> Multiplier:
        return NEUTRAL


class Demand:
    """The multipliers of all models, from one document. One event loop only."""

    def __init__(
        self, store: PriceStore, *, clock_s: Callable[[], float] | None = None, wall_clock: Clock = system_clock
    ) -> None:
        """`clock_s` never goes back; the loop's own where none is given. `wall_clock` ends what operators have set."""
        self._store = store
        self._wall_clock = wall_clock
        self._clock_s = clock_s
        self._known = Multipliers()
        self._read_at_s: float | None = None
        self._tried_at_s: float | None = None
        self._reading: asyncio.Task[None] | None = None

    async def of(self, model_id: str) -> Multiplier:
        return in_force((await self.known()).models.get(model_id, NEUTRAL), self._wall_clock() // 1000)

    @property
    def is_fresh(self) -> bool:
        """Whether `known` would answer without reading anew."""
        return self._read_at_s is not None and self._now_s() - self._read_at_s <= RENEW_AFTER_S

    async def known(self) -> Multipliers:
        """All of them. Waits only for the first, and for those after a long quiet time."""
        now_s = self._now_s()
        age_s = None if self._read_at_s is None else now_s - self._read_at_s
        if age_s is None or age_s > RENEW_AFTER_S:
            self._read_ahead(now_s)
        if self._reading is not None and (age_s is None or age_s > AGE_S_MAX):
            # Whoever gives up waiting leaves the read to go on for the others.
            await asyncio.wait([self._reading], timeout=WAIT_S)
        return self._known

    def _read_ahead(self, now_s: float) -> None:
        """Begin to read, unless that is under way or was tried just now."""
        if self._tried_at_s is not None and now_s - self._tried_at_s < TRY_AGAIN_AFTER_S:
            return
        if self._reading is None:
            self._tried_at_s = now_s
            self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        try:
            self._known = await self._store.multipliers()
            self._read_at_s = self._now_s()
        except PricesUnavailable:
            write_line("WARNING", "prices_unread")
        finally:
            self._reading = None

    def _now_s(self) -> float:
        return self._clock_s() if self._clock_s else asyncio.get_running_loop().time()
