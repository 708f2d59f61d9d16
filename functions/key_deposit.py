"""Contribute an API key, which serves other people's calls and earns from them. Called by apps.

The key is sealed before it is stored, and tried at its provider's own address before it serves anybody. A repeat with
the same idempotency key deposits nothing more.
"""

from typing import Annotated

from msgspec import Meta

from shared.app import App
from shared.base.body import Body, IdempotencyKey
from shared.base.micros import AMOUNT_MICROS_MAX, CREDIT_MICROS
from shared.base.secret import Secret
from shared.catalog.models import ModelName
from shared.resources.shapes import ContributionAnswer, ProviderName, view_of
from shared.web.auth import Caller
from shared.web.function import http_function

MODELS_MAX = 20
"""Each may cost a call of the provider to try."""


class KeyDepositRequest(Body, frozen=True, kw_only=True):
    """Which provider's key it is, what it may serve, and how much altogether, at the catalog's prices."""

    provider: ProviderName
    models: Annotated[list[ModelName], Meta(min_length=1, max_length=MODELS_MAX)]
    quota_micros: Annotated[int, Meta(ge=CREDIT_MICROS, le=AMOUNT_MICROS_MAX)]
    key: Secret
    idempotency_key: IdempotencyKey


@http_function(auth="user_now", body=KeyDepositRequest, answer=ContributionAnswer)
async def key_deposit(body: KeyDepositRequest, caller: Caller, app: App) -> ContributionAnswer:
    """Raise ProviderUnknown (404), PoolingRefused (403), ModelNotServed (400), KeyDuplicate or KeyReused (409)."""
    uid = caller.known_user().uid
    key = await app.deposits.deposit(
        uid, body.provider, frozenset(body.models), body.quota_micros, body.key, key=body.idempotency_key
    )
    return ContributionAnswer(contribution=view_of(key, app.clock()))
