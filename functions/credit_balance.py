"""Tell the credits of the caller's wallet or card in OpenRouter's shape, exact micros beside. Called by programs.

Reads only.
"""

from shared.app import App
from shared.base.body import Body, Empty
from shared.base.micros import CREDIT_MICROS
from shared.web.auth import Caller
from shared.web.function import http_function


class CreditBalance(Body, frozen=True, kw_only=True):
    """Credits as numbers for the tools that know this shape, micros for those who count."""

    total_credits: float
    total_usage: float
    balance_micros: int
    held_micros: int
    spendable_micros: int


class CreditBalanceResponse(Body, frozen=True, kw_only=True):
    """OpenRouter's envelope."""

    data: CreditBalance


@http_function(auth="holder", method="GET", answer=CreditBalanceResponse)
async def credit_balance(body: Empty, caller: Caller, app: App) -> CreditBalanceResponse:
    """Raise AccountAbsent (404) when the account was never started."""
    head = await app.ledger.head(caller.account_id)
    return CreditBalanceResponse(
        data=CreditBalance(
            total_credits=(head.balance_micros + head.spent_micros) / CREDIT_MICROS,
            total_usage=head.spent_micros / CREDIT_MICROS,
            balance_micros=head.balance_micros,
            held_micros=app.ledger.held_micros(head),
            spendable_micros=app.ledger.spendable_micros(head),
        )
    )
