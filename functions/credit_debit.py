"""Charge an account for finished work. Called by trusted backends; a repeat with the same key answers the same."""

from typing import Annotated

from msgspec import Meta

from shared.app import App
from shared.base.body import LAST, AmountMicros, Body, IdempotencyKey, ShortText
from shared.base.ids import AccountId
from shared.web.auth import Caller
from shared.web.function import http_function


class DebitRequest(Body, frozen=True, kw_only=True):
    """What to charge, to whom, for what."""

    account_id: Annotated[str, Meta(pattern=rf"^(user|card|pool):[A-Za-z0-9_-]{{1,128}}{LAST}")]
    amount_micros: AmountMicros
    reason: ShortText
    idempotency_key: IdempotencyKey


class DebitResponse(Body, frozen=True, kw_only=True):
    """The entry that proves the charge."""

    entry_id: str
    amount_micros: int
    balance_micros: int
    repeated: bool


@http_function(auth="service", scope="credit:debit", body=DebitRequest, answer=DebitResponse)
async def credit_debit(body: DebitRequest, caller: Caller, app: App) -> DebitResponse:
    """Raise CreditTooLow (402), KeyReused (409), AccountAbsent (404) or AccountNotOpen (403)."""
    posted = await app.ledger.debit(
        AccountId(body.account_id),
        body.amount_micros,
        # Each backend has its own keys: two that happen to count alike must not answer for each other.
        key=f"debit:{caller.name}:{body.idempotency_key}",
        facts={"reason": body.reason, "charged_by": caller.name},
    )
    return DebitResponse(
        entry_id=posted.entry.entry_id,
        amount_micros=-posted.entry.delta_micros,
        balance_micros=posted.entry.balance_micros,
        repeated=posted.repeated,
    )
