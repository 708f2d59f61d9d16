"""List the packs of credits, their prices, and the ways to pay. Called by anyone; reads only."""

from shared.app import App
from shared.base.body import Body, Empty
from shared.base.economy import PACKS
from shared.web.auth import Caller
from shared.web.function import http_function


class PackView(Body, frozen=True, kw_only=True):
    """One pack. Prices are in the currency's smallest unit."""

    id: str
    title: str
    credits_micros: int
    bonus_micros: int
    prices_minor: dict[str, int]


class PackListResponse(Body, frozen=True, kw_only=True):
    """All packs, and the rails that this deployment takes money by."""

    object: str = "list"
    data: list[PackView]
    rails: list[str]


@http_function(auth="none", method="GET", answer=PackListResponse)
async def pack_list(body: Empty, caller: Caller, app: App) -> PackListResponse:
    """The price that counts is the one an order froze."""
    packs = [
        PackView(
            id=pack.pack_id,
            title=pack.title,
            credits_micros=pack.credits_micros,
            bonus_micros=pack.bonus_micros,
            prices_minor=dict(pack.prices_minor),
        )
        for pack in PACKS
    ]
    return PackListResponse(data=packs, rails=[name.value for name in app.rail_names])
