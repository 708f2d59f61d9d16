"""A chain in memory: blocks that become final two later and can be dropped, a dollar, and people with keys."""

import base64
import hashlib
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from coincurve import PrivateKey
from msgspec.structs import replace

from shared.chain.errors import CallRefused, ChainUnavailable, FacilitatorUnavailable, SettlementRefused
from shared.chain.keccak import keccak_256
from shared.chain.models import Address, Authorization, Block, Digest, Log, Moved, Offer, Receipt, Token
from shared.chain.rules import AUTHORIZATION_USED, TRANSFER, claim_text, is_transfer
from shared.chain.signatures import authorization_digest, checksummed, text_digest, word

BLOCKS_TO_FINAL = 2
TOKEN = Token(
    chain_id=31_337,
    asset=Address("0x" + "d0" * 20),
    receiver=Address("0x" + "c0de" * 10),
    name="USD Coin",
    version="2",
)
OTHER_TOKEN = replace(TOKEN, asset=Address("0x" + "e0" * 20))


@dataclass
class Person:
    """Somebody with a key, and as many dollars as they like."""

    number: int
    key: PrivateKey = field(init=False)
    address: Address = field(init=False)

    def __post_init__(self) -> None:
        self.key = PrivateKey(word(self.number))
        public = self.key.public_key.format(compressed=False)[1:]
        self.address = Address("0x" + keccak_256(public)[-20:].hex())

    def sign(self, digest: bytes) -> str:
        raw = self.key.sign_recoverable(digest, hasher=None)
        return "0x" + (raw[:64] + bytes([raw[64] + 27])).hex()

    def claim(self, order_id: str, transaction: Digest) -> str:
        """The signature that says whose transaction it is, and for what."""
        return self.sign(text_digest(claim_text(TOKEN, order_id=order_id, transaction=transaction)))

    def payment(self, required: dict[str, Any], *, now_s: int, nonce: Digest) -> str:
        """PAYMENT-SIGNATURE for the price that a 402 asks."""
        asked = required["accepts"][0]
        authorization = Authorization(
            sender=self.address,
            receiver=Address(asked["payTo"].lower()),
            amount=int(asked["amount"]),
            valid_after_s=now_s - 600,
            valid_before_s=now_s + asked["maxTimeoutSeconds"],
            nonce=nonce,
            signature="",
        )
        signed = {
            "from": checksummed(self.address),
            "to": asked["payTo"],
            "value": asked["amount"],
            "validAfter": str(authorization.valid_after_s),
            "validBefore": str(authorization.valid_before_s),
            "nonce": nonce,
        }
        payload = {"signature": self.sign(authorization_digest(TOKEN, authorization)), "authorization": signed}
        return base64.b64encode(json.dumps({"x402Version": 2, "payload": payload, "accepted": asked}).encode()).decode()


class MemoryChain:
    """What a node tells of a chain, and what people do on it. Each transaction makes a block."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._numbers = itertools.count(1)
        self.blocks: list[Block] = []
        self.receipts: dict[Digest, Receipt] = {}
        self.used: dict[tuple[str, str], Digest] = {}
        self.is_down = False
        self.forgets = False
        """Whether the node has the state of the last blocks only."""
        self.unexplained = 0
        """What our address has, and no log tells of."""
        self.mine(2 * BLOCKS_TO_FINAL)

    def digest(self) -> Digest:
        """A new one."""
        return Digest("0x" + hashlib.sha256(str(next(self._numbers)).encode()).hexdigest())

    def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            self.blocks.append(Block(len(self.blocks), self.digest(), self._clock() // 1000))

    def finalize(self) -> None:
        self.mine(BLOCKS_TO_FINAL)

    def transfer(
        self,
        sender: Address,
        amount: int,
        *,
        to: Address = TOKEN.receiver,
        asset: Address = TOKEN.asset,
        times: int = 1,
        succeeds: bool = True,
    ) -> Digest:
        """A transaction that sends so much, `times` over."""
        logs = [_log(index, asset, (TRANSFER, _topic(sender), _topic(to)), amount) for index in range(times)]
        return self._put(self.digest(), tuple(logs), succeeds=succeeds)

    def carry_out(self, authorization: Authorization) -> Digest:
        """A transaction that carries an authorization out, as USDC logs it."""
        transaction = self.digest()
        sender = _topic(authorization.sender)
        logs = (
            _log(0, TOKEN.asset, (AUTHORIZATION_USED, sender, authorization.nonce), None),
            _log(1, TOKEN.asset, (TRANSFER, sender, _topic(authorization.receiver)), authorization.amount),
        )
        self.used[authorization.sender, authorization.nonce] = transaction
        return self._put(transaction, logs)

    def reorganize(self) -> None:
        """Drop the last block and what stands in it; its transactions wait to be mined again."""
        dropped = self.blocks.pop()
        for transaction, receipt in self.receipts.items():
            if receipt.block_hash == dropped.hash:
                self.receipts[transaction] = replace(receipt, block_hash=Digest("0x" + "00" * 32))
        self.mine()

    def mine_again(self, transaction: Digest) -> None:
        """Put what was dropped into a new block."""
        self.mine()
        block = self.blocks[-1]
        self.receipts[transaction] = replace(self.receipts[transaction], block=block.number, block_hash=block.hash)

    async def find_receipt(self, transaction: Digest) -> Receipt | None:
        self._require_up()
        return self.receipts.get(transaction)

    async def find_block(self, number: int) -> Block | None:
        self._require_up()
        return self.blocks[number] if number < len(self.blocks) else None

    async def finalized(self) -> Block:
        self._require_up()
        return self.blocks[max(0, len(self.blocks) - 1 - BLOCKS_TO_FINAL)]

    async def head(self) -> Block:
        self._require_up()
        return self.blocks[-1]

    async def is_used(self, token: Token, *, sender: Address, nonce: Digest) -> bool:
        self._require_up()
        return (sender, nonce) in self.used

    async def find_use(self, token: Token, *, sender: Address, nonce: Digest, from_block: int) -> Digest | None:
        self._require_up()
        return self.used.get((sender, nonce))

    async def moved(self, token: Token, *, from_block: int, to_block: int) -> list[Moved]:
        self._require_up()
        us = _topic(token.receiver)
        return [
            Moved(
                transaction=receipt.transaction,
                block=receipt.block,
                log_index=log.index,
                is_received=log.topics[2] == us,
                amount=int(log.data, 16),
            )
            for receipt in sorted(self.receipts.values(), key=lambda one: one.block)
            for log in receipt.logs
            if from_block <= receipt.block <= to_block and is_transfer(log, token)
            # What we send to ourselves moves nothing.
            if (log.topics[1] == us) != (log.topics[2] == us)
        ]

    async def balance(self, token: Token, *, at_block: int) -> int:
        if self.forgets:
            raise CallRefused("too long ago")
        moved = await self.moved(token, from_block=0, to_block=at_block)
        return sum(one.amount if one.is_received else -one.amount for one in moved) + self.unexplained

    def _put(self, transaction: Digest, logs: tuple[Log, ...], *, succeeds: bool = True) -> Digest:
        self.mine()
        block = self.blocks[-1]
        self.receipts[transaction] = Receipt(
            transaction=transaction, succeeded=succeeds, block=block.number, block_hash=block.hash, logs=logs
        )
        return transaction

    def _require_up(self) -> None:
        if self.is_down:
            raise ChainUnavailable("down")


class MemoryFacilitator:
    """Carries out what it is asked to, unless a test says otherwise."""

    def __init__(self, chain: MemoryChain) -> None:
        self._chain = chain
        self.settled = 0
        self.refusal: str | None = None
        self.loses_answers = False

    async def settle(self, authorization: Authorization, offer: Offer, token: Token) -> Digest | None:
        if self.refusal:
            raise SettlementRefused(self.refusal)
        if (authorization.sender, authorization.nonce) in self._chain.used:
            raise SettlementRefused("nonce_used")
        self.settled += 1
        transaction = self._chain.carry_out(authorization)
        if self.loses_answers:
            raise FacilitatorUnavailable("lost")
        return transaction


def _topic(address: Address) -> Digest:
    return Digest("0x" + "00" * 12 + address[2:])


def _log(index: int, asset: Address, topics: tuple[Digest, ...], amount: int | None) -> Log:
    return Log(index=index, address=asset, topics=topics, data="0x" if amount is None else f"0x{amount:064x}")
