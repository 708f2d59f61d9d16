"""Give one entry of the caller's wallet as a receipt, with all that its hash covers. Called by programs; reads only."""

from typing import Annotated, Any

from msgspec import Meta

from shared.app import App
from shared.base.body import LAST, Body
from shared.base.ids import EntryId
from shared.base.micros import format_credits
from shared.ledger.documents import entry_document
from shared.web.auth import Caller
from shared.web.function import http_function


class ReceiptRequest(Body, frozen=True, kw_only=True):
    """Which receipt."""

    receipt_id: Annotated[str, Meta(pattern=rf"^[0-9a-f]{{64}}{LAST}")]


class ReceiptResponse(Body, frozen=True, kw_only=True):
    """What a person reads first, then the entry as it is hashed."""

    receipt_id: str
    kind: str
    credits: str
    balance_credits: str
    facts: dict[str, str]
    entry: dict[str, Any]


@http_function(auth="user", method="GET", body=ReceiptRequest, path_param="receipt_id", answer=ReceiptResponse)
async def receipt_get(body: ReceiptRequest, caller: Caller, app: App) -> ReceiptResponse:
    """Raise EntryAbsent (404), for somebody else's receipt as for none."""
    entry = await app.ledger.entry(caller.account_id, EntryId(body.receipt_id))
    return ReceiptResponse(
        receipt_id=entry.entry_id,
        kind=entry.kind.value,
        credits=format_credits(entry.delta_micros),
        balance_credits=format_credits(entry.balance_micros),
        facts=dict(entry.facts),
        entry=entry_document(entry),
    )
