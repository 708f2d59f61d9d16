"""Freeze an account, or let it go. Called by operators; a repeat changes nothing more and finishes what is unfinished.

Of a wallet, all cards and sessions of its owner follow, and payouts wait. The reason stays on the account's record,
which its owner may read: `decisions/account:{account_id}`.
"""

from typing import Annotated, Literal

from msgspec import Meta

from shared.app import App
from shared.base.body import LAST, Body, IdempotencyKey, ShortText
from shared.base.ids import AccountId
from shared.web.auth import Caller
from shared.web.function import http_function

FreezableId = Annotated[str, Meta(max_length=200, pattern=rf"^(user|card|pool|earn):[!-.0-~]+{LAST}")]


class AccountFreezeRequest(Body, frozen=True, kw_only=True):
    """Which account, whether it is to be frozen, and why. Its owner sees the reason."""

    account_id: FreezableId
    frozen: bool
    reason: ShortText
    idempotency_key: IdempotencyKey


class AccountFreezeResponse(Body, frozen=True, kw_only=True):
    """The decision, and how the account stands now: a card stays frozen while its owner's wallet is."""

    account_id: str
    frozen: bool
    reason: str
    by: str
    decided_at_ms: int
    status: Literal["open", "frozen", "closed"]


@http_function(
    auth="service",
    scope="account:freeze",
    body=AccountFreezeRequest,
    path_param="account_id",
    path_suffix="/freeze",
    answer=AccountFreezeResponse,
)
async def account_freeze(body: AccountFreezeRequest, caller: Caller, app: App) -> AccountFreezeResponse:
    """Raise AccountAbsent (404), AccountNotOpen (403), AccountNotFrozen or KeyReused (409), FreezeUnfinished (503)."""
    account_id = AccountId(body.account_id)
    change = app.freezing.freeze if body.frozen else app.freezing.unfreeze
    done = await change(account_id, key=body.idempotency_key, reason=body.reason, by=caller.name)
    return AccountFreezeResponse(
        account_id=done.account_id,
        frozen=done.is_freeze,
        reason=done.decision.outcome,
        by=done.decision.by,
        decided_at_ms=done.decision.at_ms,
        status=done.status.value,
    )
