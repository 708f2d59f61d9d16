"""Tell what the caller's key may spend, in OpenRouter's shape with exact micros beside. Called by programs.

Reads only.
"""

from datetime import UTC, datetime

from shared.app import App
from shared.base.body import Body, Empty
from shared.base.micros import CREDIT_MICROS
from shared.base.periods import Period
from shared.cards.models import Card, Standing
from shared.web.auth import Caller
from shared.web.function import http_function


class KeyStanding(Body, frozen=True, kw_only=True):
    """Credits as numbers for the tools that know this shape. A wallet has no limit, and keeps no count by period."""

    label: str
    limit: float | None
    limit_remaining: float | None
    limit_reset: str | None
    usage: float
    usage_daily: float | None
    usage_weekly: float | None
    usage_monthly: float | None
    expires_at: str | None
    is_free_tier: bool = False
    balance_micros: int
    spendable_micros: int
    models: list[str] | None


class KeyGetResponse(Body, frozen=True, kw_only=True):
    """OpenRouter's envelope."""

    data: KeyStanding


_RESETS = {Period.DAY: "daily", Period.WEEK: "weekly", Period.MONTH: "monthly", Period.TOTAL: None}


@http_function(auth="holder", method="GET", answer=KeyGetResponse)
async def key_get(body: Empty, caller: Caller, app: App) -> KeyGetResponse:
    """Raise AccountAbsent (404) when the account was never started."""
    standing = await app.cards.standing(caller.account_id)
    return KeyGetResponse(data=_shown(caller.card, standing))


def _shown(card: Card | None, standing: Standing) -> KeyStanding:
    limit = card.terms.limit if card else None
    ends_at_ms = card.terms.expires_at_ms if card else None
    models = card.terms.models if card else None
    return KeyStanding(
        label=card.terms.name if card else "wallet",
        limit=limit.amount_micros / CREDIT_MICROS if limit else None,
        limit_remaining=_credits(standing.limit_left_micros),
        limit_reset=_RESETS[limit.period] if limit else None,
        usage=standing.spent_micros / CREDIT_MICROS,
        usage_daily=_credits(standing.day_micros if card else None),
        usage_weekly=_credits(standing.week_micros if card else None),
        usage_monthly=_credits(standing.month_micros if card else None),
        expires_at=None if ends_at_ms is None else datetime.fromtimestamp(ends_at_ms // 1000, UTC).isoformat(),
        balance_micros=standing.balance_micros,
        spendable_micros=standing.spendable_micros,
        models=None if models is None else sorted(models),
    )


def _credits(micros: int | None) -> float | None:
    return None if micros is None else micros / CREDIT_MICROS
