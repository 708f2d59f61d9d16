"""What an order on a chain asks for, and by which payments its buyer says to have paid it."""

from msgspec import Struct

from shared.chain.models import Address, Digest, Token


class TransferTerms(Struct, frozen=True, kw_only=True):
    """What pays an order, frozen with it: whatever the settings say later, this is looked for."""

    token: Token
    amount: int
    """In the token's smallest unit, to the last one."""


class TransferClaim(Struct, frozen=True, kw_only=True, tag="transfer"):
    """A transfer that the buyer sent."""

    transaction: Digest
    signature: str
    """Over the text that says so: see `shared.chain.rules.claim_text`."""
    log_index: int | None
    claimed_at_ms: int


class AuthorizationClaim(Struct, frozen=True, kw_only=True, tag="authorization"):
    """A transfer that the buyer signed and a facilitator was asked to carry out."""

    sender: Address
    nonce: Digest
    valid_before_s: int
    claimed_at_ms: int
    is_refused: bool = False
    """The facilitator would not. Whoever else knows it still can, until it ends."""


Claim = TransferClaim | AuthorizationClaim


class Watch(Struct, frozen=True, kw_only=True):
    """All that it takes to see from the chain how an order stands."""

    order_id: str
    amount_minor: int
    created_at_ms: int
    expires_at_ms: int
    terms: TransferTerms
    claims: tuple[Claim, ...]
    payment_id: str | None
