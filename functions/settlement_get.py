"""Show which sales one of the caller's settlements folds, and the root that proves it. Reads only."""

from typing import Annotated

from msgspec import Meta

from shared.app import App
from shared.base.body import LAST, Body
from shared.base.ids import AccountId, EntryId
from shared.web.auth import Caller
from shared.web.function import http_function


class SettlementRequest(Body, frozen=True, kw_only=True):
    """Which settlement: the id of its entry on the caller's earnings account."""

    settlement_id: Annotated[str, Meta(pattern=rf"^[0-9a-f]{{64}}{LAST}")]


class SettledSale(Body, frozen=True, kw_only=True):
    """One sale. Whoever bought is not told; the entry's hash is what their receipt bears."""

    entry_hash: str
    amounts_micros: dict[str, int]
    leaf: str


class SettlementGetResponse(Body, frozen=True, kw_only=True):
    """The settlement, and its sales in the order of the Merkle tree whose root its entry states."""

    settlement_id: str
    delta_micros: int
    facts: dict[str, str]
    sales: list[SettledSale]
    sales_are_whole: bool
    """False when there were too many for one answer, and `sales` are the first of them; `facts` count them all."""


@http_function(
    auth="user", method="GET", body=SettlementRequest, path_param="settlement_id", answer=SettlementGetResponse
)
async def settlement_get(body: SettlementRequest, caller: Caller, app: App) -> SettlementGetResponse:
    """Raise EntryAbsent (404), for somebody else's settlement as for none."""
    account_id = AccountId(f"earn:{caller.known_user().uid}")
    settled = await app.earnings.settlement(account_id, EntryId(body.settlement_id))
    return SettlementGetResponse(
        settlement_id=settled.entry.entry_id,
        delta_micros=settled.entry.delta_micros,
        facts=dict(settled.entry.facts),
        sales=[
            SettledSale(
                entry_hash=sale.entry_hash,
                amounts_micros={origin.value: amount for origin, amount in sale.amounts.items()},
                leaf=sale.leaf,
            )
            for sale in settled.sales
        ],
        sales_are_whole=settled.sales_are_whole,
    )
