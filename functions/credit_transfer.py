"""Send paid credits to another person. Called by apps; a repeat with the same key sends nothing more."""

from typing import Annotated

from msgspec import Meta

from shared.app import App
from shared.base.body import LAST, AmountMicros, Body, IdempotencyKey
from shared.base.ids import UserId
from shared.web.auth import Caller
from shared.web.function import http_function


class TransferRequest(Body, frozen=True, kw_only=True):
    """To whom, how much, and the key that makes a second click harmless."""

    recipient: Annotated[str, Meta(pattern=rf"^[A-Za-z0-9_-]{{1,128}}{LAST}")]
    amount_micros: AmountMicros
    idempotency_key: IdempotencyKey
    confirm_repeat: bool = False
    """Needed when the same amount goes to the same person again within ten minutes."""


class TransferResponse(Body, frozen=True, kw_only=True):
    """The entry that proves it, and what is left."""

    receipt_id: str
    amount_micros: int
    balance_micros: int
    repeated: bool


@http_function(auth="user_now", body=TransferRequest, answer=TransferResponse)
async def credit_transfer(body: TransferRequest, caller: Caller, app: App) -> TransferResponse:
    """Raise CreditTooLow (402), AccountAbsent (404), TransferRepeated or KeyReused (409), SendLimitExceeded (429)."""
    sent = await app.ledger.send(
        caller.known_user().uid,
        UserId(body.recipient),
        body.amount_micros,
        key=body.idempotency_key,
        repeat_confirmed=body.confirm_repeat,
    )
    return TransferResponse(
        receipt_id=sent.entry.entry_id,
        amount_micros=-sent.entry.delta_micros,
        balance_micros=sent.entry.balance_micros,
        repeated=sent.repeated,
    )
