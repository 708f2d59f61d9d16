"""People with keys, a token on a real local chain, and what they send and sign."""

import os
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct

from local.chain.anvil import Chain
from shared.base.secret import Secret
from shared.chain.gateway import Endpoint, open_local_session
from shared.chain.models import Address, Claim, Digest, Token
from shared.chain.node import NODE_TIMEOUT_S, Node
from shared.chain.rules import claim_text
from shared.chain.service import Transfers

DOLLAR = 1_000_000
PRICE = 4_990_000
RECEIVER = Address("0x" + "c0de" * 10)
WEALTH = 1_000 * DOLLAR


def new_digest() -> Digest:
    """Of nothing."""
    return Digest("0x" + os.urandom(32).hex())


def node_at(url: str, chain_id: int) -> tuple[Node, Endpoint]:
    """A node to read from, and what to close afterwards."""
    endpoint = Endpoint(Secret(url), timeout_s=NODE_TIMEOUT_S, open_session=open_local_session)
    return Node(endpoint, chain_id=chain_id), endpoint


class Person:
    """Somebody with a key, credits of the chain for fees, and dollars."""

    def __init__(self, chain: Chain, token: Token, *, wealth: int = WEALTH) -> None:
        self.account: Any = Account.create()
        self.address = Address(self.account.address.lower())
        self._chain = chain
        self._token = token
        chain.ask("anvil_setBalance", self.address, hex(10**18))
        if wealth:
            chain.send(chain.accounts[0], token.asset, "mint(address,uint256)", self.address, wealth)

    def pay(self, amount: int = PRICE, *, to: str = RECEIVER, asset: str | None = None) -> Digest:
        """Send dollars in a plain transfer."""
        asset = asset or self._token.asset
        return Digest(self._chain.send(self.address, asset, "transfer(address,uint256)", to, amount))

    def sign(self, text: str) -> str:
        """As a wallet does when it is asked to sign a text."""
        return "0x" + self.account.sign_message(encode_defunct(text=text)).signature.hex().removeprefix("0x")

    def claim(
        self,
        transaction: Digest,
        *,
        order_id: str = "order-1",
        amount: int = PRICE,
        log_index: int | None = None,
        created_at_s: int = 0,
    ) -> Claim:
        """Say and sign that a transaction pays for an order."""
        signature = self.sign(claim_text(self._token, order_id=order_id, transaction=transaction))
        return Claim(
            order_id=order_id,
            amount=amount,
            created_at_s=created_at_s,
            transaction=transaction,
            signature=signature,
            log_index=log_index,
        )


class World:
    """The chain with its token, and our view of it."""

    def __init__(self, chain: Chain, node: Node) -> None:
        self.chain = chain
        self.node = node
        self.token = Token(
            chain_id=chain.chain_id,
            asset=Address(chain.deploy("Dollar")),
            receiver=RECEIVER,
            name="USD Coin",
            version="2",
        )
        self.transfers = Transfers(node, self.token)

    def person(self, *, wealth: int = WEALTH) -> Person:
        """Somebody new."""
        return Person(self.chain, self.token, wealth=wealth)
