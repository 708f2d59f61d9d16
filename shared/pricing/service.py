"""What a model costs now."""

from msgspec.structs import replace

from shared.catalog.errors import ModelUnknown
from shared.catalog.service import Catalog
from shared.metering.models import DEMAND_NEUTRAL_PPM
from shared.pricing.demand import Demand
from shared.pricing.models import PriceNow, UnitPrice
from shared.pricing.rules import sold_at


class Prices:
    """Tells prices."""

    def __init__(self, catalog: Catalog, demand: Demand) -> None:
        self._catalog = catalog
        self._demand = demand

    async def now(self, model_id: str) -> PriceNow:
        """What a call that is quoted now is charged by. Raise ModelUnknown, also for a model without a price."""
        await self._catalog.refresh()
        model = self._catalog.model(model_id)
        if model.price is None:
            raise ModelUnknown(model_id)
        multiplier = await self._demand.of(model_id)
        multiplier = replace(multiplier, demand_ppm=sold_at(multiplier, model.routes)[0])
        units = tuple(
            UnitPrice(unit, rate, -(-rate * multiplier.demand_ppm // DEMAND_NEUTRAL_PPM))
            for unit, rate in model.price.rates().items()
        )
        return PriceNow(model_id, multiplier, (await self._demand.known()).until_s, units)
