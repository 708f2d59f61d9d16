"""The token that is taken where settings name no other."""

from shared.base.settings import USDC_ON_BASE
from shared.chain.models import Address, Token


def usdc_on_base(receiver: Address) -> Token:
    """Circle's own USDC on Base."""
    return Token(chain_id=8_453, asset=Address(USDC_ON_BASE), receiver=receiver, name="USD Coin", version="2")
