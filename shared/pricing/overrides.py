"""Operators' orders over the demand multiplier of a model: set for some time, or left to demand again."""

import hashlib

from msgspec.structs import replace

from shared.base.log import write_line
from shared.pricing.errors import OrderReused, PricesBusy
from shared.pricing.models import Advanced, OverrideRecord
from shared.pricing.rules import overridden
from shared.pricing.store import DemandLost, PriceStore

TRIES_MAX = 5
"""Of one order against refreshes and other orders at the same moment."""


class Overrides:
    """Carries orders out."""

    def __init__(self, store: PriceStore) -> None:
        self._store = store

    async def order(
        self, model_id: str, demand_ppm: int | None, *, lasts_s: int, by: str, why: str, key: str
    ) -> OverrideRecord:
        """Set a model's multiplier, or clear what was set; once per key, counted from the first time it was asked.

        The order stands in the commit that carries it out, with who gave it and why. Raise OrderReused, PricesBusy or
        PricesUnavailable.
        """
        wanted = OverrideRecord(
            record_id=hashlib.sha256(key.encode()).hexdigest(),
            model_id=model_id,
            demand_ppm=demand_ppm,
            lasts_s=lasts_s,
            since_s=0,
            by=by,
            why=why,
        )
        for _ in range(TRIES_MAX):
            if (made := await self._store.override(wanted.record_id)) is not None:
                if replace(made, since_s=0) != wanted:
                    raise OrderReused
                return made
            known = await self._store.demand()
            record = replace(wanted, since_s=known.read_at_s)
            try:
                # If we die here, the order is given and carried out, or neither.
                await self._store.commit(Advanced(overridden(known.state, record), {}), known.version, record)
            except DemandLost:
                continue
            write_line("INFO", "demand_set", model=model_id, demand_ppm=demand_ppm, lasts_s=lasts_s, by=by)
            return record
        raise PricesBusy
