"""Give one entry of the caller's wallet or card as a receipt that proves itself. Called by programs; reads only."""

from typing import Annotated

from msgspec import Meta

from shared.app import App
from shared.base.body import LAST, Body
from shared.base.ids import EntryId
from shared.proof.receipt import Receipt
from shared.web.auth import Caller
from shared.web.function import http_function


class ReceiptRequest(Body, frozen=True, kw_only=True):
    """Which receipt."""

    receipt_id: Annotated[str, Meta(pattern=rf"^[0-9a-f]{{64}}{LAST}")]


@http_function(auth="holder", method="GET", body=ReceiptRequest, path_param="receipt_id", answer=Receipt)
async def receipt_get(body: ReceiptRequest, caller: Caller, app: App) -> Receipt:
    """Raise EntryAbsent (404), for somebody else's receipt as for none.

    `proof` is null, and `proof_missing` says why, until the next checkpoint has covered the entry.
    """
    entry = await app.ledger.entry(caller.account_id, EntryId(body.receipt_id))
    return await app.receipts.receipt(entry)
