"""Who carries signed transfers out and pays the chain's fee for it: x402's facilitators, by their HTTP API.

What one says is never believed: whether the money came is read from the chain.
"""

import re
from typing import Protocol

import msgspec
from msgspec import Struct

from shared.chain.errors import FacilitatorUnavailable, SettlementRefused
from shared.chain.gateway import Endpoint, Unanswered
from shared.chain.models import Authorization, Digest, Offer, Token
from shared.chain.x402 import facilitator_request

FACILITATOR_TIMEOUT_S = 60.0
"""It answers once the transfer stands in a block: two seconds on Base, a minute where blocks are full."""
REASON_CHARS_MAX = 100
_DIGEST = re.compile(r"0x[0-9a-fA-F]{64}")
PENDING = "settlement_pending"
"""x402's word for a transaction that was sent and is in no block yet."""


class Facilitator(Protocol):
    """Carries a signed transfer out. May be asked again; a token carries out each nonce once."""

    async def settle(self, authorization: Authorization, offer: Offer, token: Token) -> Digest | None:
        """The transaction that carries it out; None when it is sent and not known.

        Raise SettlementRefused, and FacilitatorUnavailable when nothing is known of the outcome.
        """


class Settled(Struct, frozen=True, rename="camel"):
    """What `/settle` answers."""

    success: bool
    transaction: str = ""
    error_reason: str | None = None


class HttpFacilitator:
    """A facilitator at a URL of the operator's."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def settle(self, authorization: Authorization, offer: Offer, token: Token) -> Digest | None:
        """Ask `/settle`."""
        try:
            found = await self._endpoint.post("/settle", facilitator_request(authorization, offer, token))
            answer = msgspec.convert(found, Settled)
        except (Unanswered, msgspec.ValidationError) as error:
            raise FacilitatorUnavailable(f"/settle: {type(error).__name__}") from None
        if answer.success or answer.error_reason == PENDING:
            return Digest(answer.transaction.lower()) if _DIGEST.fullmatch(answer.transaction) else None
        raise SettlementRefused(_bounded(answer.error_reason))


def _bounded(reason: str | None) -> str:
    """A facilitator's words go into our answers: letters, digits and underscores of them, and not many."""
    text = (reason or "unknown")[:REASON_CHARS_MAX]
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter == "_") else "_" for letter in text)
