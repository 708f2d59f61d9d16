"""Open the caller's wallet and grant the welcome bonus earned so far.

Called by apps after sign-in and again when an e-mail address or a telephone was verified; a repeat grants nothing
twice.
"""

from typing import Literal

from shared.app import App
from shared.base.body import Body, Empty
from shared.web.auth import Caller
from shared.web.function import http_function


class WelcomeStage(Body, frozen=True, kw_only=True):
    """One stage of the welcome bonus."""

    stage: str
    amount_micros: int
    status: Literal["granted", "waiting", "claimed"]
    reason: str | None
    """By what the person was known again: `email_claimed`, `phone_claimed`, `device_claimed`, `card_claimed`."""


class AccountStartResponse(Body, frozen=True, kw_only=True):
    """The wallet as it stands."""

    account_id: str
    created: bool
    balance_micros: int
    welcome: list[WelcomeStage]


@http_function(auth="user_now", answer=AccountStartResponse)
async def account_start(body: Empty, caller: Caller, app: App) -> AccountStartResponse:
    """A stage waits until what it asks for is verified; start again afterwards. Raise RiskUnavailable (503)."""
    user = caller.known_user()
    email = user.email if user.email_verified else None
    started = await app.accounts.start(user.uid, email, user.phone, caller.client)
    return AccountStartResponse(
        account_id=started.account_id,
        created=started.created,
        balance_micros=started.balance_micros,
        welcome=[
            WelcomeStage(
                stage=stage.name, amount_micros=stage.amount_micros, status=stage.status.value, reason=stage.reason
            )
            for stage in started.welcome
        ],
    )
