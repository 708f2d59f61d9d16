"""What is known of a token on a chain, of payments with it, and of what their senders sign."""

from typing import Annotated, NewType

from msgspec import Meta, Struct

from shared.base.body import LAST

Address = NewType("Address", str)
"""`0x` and 40 hex digits, small letters."""
Digest = NewType("Digest", str)
"""`0x` and 64 hex digits, small letters: a transaction, a block, a topic, a nonce."""

HexAddress = Annotated[str, Meta(pattern=rf"^0x[0-9a-fA-F]{{40}}{LAST}")]
HexDigest = Annotated[str, Meta(pattern=rf"^0x[0-9a-fA-F]{{64}}{LAST}")]
HexSignature = Annotated[str, Meta(pattern=rf"^0x[0-9a-fA-F]{{130}}{LAST}")]
"""65 bytes: r, s, v. Contracts sign in other forms, which are not taken."""

UNITS_PER_CENT = 10_000
"""USDC has six decimals."""
AMOUNT_MAX = 10**15
"""A thousand million dollars. A larger amount is a mistake of ours."""


class Token(Struct, frozen=True, kw_only=True):
    """The token that is taken, on its chain, and where it is to be sent."""

    chain_id: int
    asset: Address
    receiver: Address
    """Ours."""
    name: str
    version: str
    """Both as the token's EIP-712 domain says them: on Base "USD Coin" and "2"."""

    @property
    def network(self) -> str:
        """As CAIP-2 writes the chain."""
        return f"eip155:{self.chain_id}"


class Claim(Struct, frozen=True, kw_only=True):
    """Somebody says that a transaction pays for an order, and signs it: see `rules.claim_text`."""

    order_id: str
    amount: int
    """What the order costs, in the token's smallest unit."""
    created_at_s: int
    """When the order was made. What was sent earlier cannot have been for it."""
    transaction: Digest
    signature: str
    log_index: int | None = None
    """Which of the transaction's transfers, when there are several."""


class Transfer(Struct, frozen=True, kw_only=True):
    """A payment that the chain will not take back."""

    payment_id: str
    """The payment in the real world, the same however it was learned of: see `rules.payment_id_of`."""
    sender: Address
    amount: int
    transaction: Digest
    log_index: int
    block: int
    paid_at_s: int


class Log(Struct, frozen=True):
    """One event of a transaction."""

    index: int
    """Within the block."""
    address: Address
    topics: tuple[Digest, ...]
    data: str


class Receipt(Struct, frozen=True, kw_only=True):
    """What became of a transaction, as a node tells it."""

    transaction: Digest
    succeeded: bool
    block: int
    block_hash: Digest
    logs: tuple[Log, ...]


class Moved(Struct, frozen=True, kw_only=True):
    """A transfer of the token to us or from us, as the logs of a range of blocks list it."""

    transaction: Digest
    block: int
    log_index: int
    """Within the block."""
    is_received: bool
    amount: int


class Block(Struct, frozen=True):
    """The head of a block."""

    number: int
    hash: Digest
    at_s: int


class Offer(Struct, frozen=True, kw_only=True):
    """What an order costs over x402."""

    order_id: str
    amount: int
    url: str
    """What is paid for, as the client calls it."""
    description: str = ""
    timeout_s: int = 600
    """How long a client's authorization is to be good for."""


class Authorization(Struct, frozen=True, kw_only=True):
    """A transfer that its sender has signed and anybody may carry out, once (EIP-3009)."""

    sender: Address
    receiver: Address
    amount: int
    valid_after_s: int
    valid_before_s: int
    nonce: Digest
    signature: str


class Reservation(Struct, frozen=True):
    """Which order an authorization pays for, said before anybody can see it on the chain."""

    order_id: str
    from_block: int
    """Where the chain ended then; the transfer stands in a later block."""
