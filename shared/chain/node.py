"""A node of the chain over JSON-RPC: the few questions that we ask, and its answers taken apart strictly.

https://ethereum.org/developers/docs/apis/json-rpc
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from shared.chain.errors import CallRefused, ChainUnavailable, WrongChain
from shared.chain.gateway import Endpoint, Unanswered
from shared.chain.models import Address, Block, Digest, Log, Moved, Receipt, Token
from shared.chain.rules import AUTHORIZATION_USED, TRANSFER, is_transfer
from shared.chain.signatures import word

NODE_TIMEOUT_S = 10.0
BLOCKS_MAX = 2_000
"""As far as the strictest public nodes look for logs at once. On Base it is more than an hour."""
LOGS_MAX = 20_000
"""In one transaction; a block's gas does not suffice for more."""
Taken = TypeVar("Taken")
BALANCE_OF = bytes.fromhex("70a08231")
AUTHORIZATION_STATE = bytes.fromhex("e94a0102")
"""The first four bytes of the hashes of `balanceOf(address)` and `authorizationState(address,bytes32)`."""


class Node:
    """Reads one chain. Every verb raises ChainUnavailable, and may be repeated."""

    def __init__(self, endpoint: Endpoint, *, chain_id: int) -> None:
        self._endpoint = endpoint
        self._chain_id = chain_id
        self._is_checked = False

    async def find_receipt(self, transaction: Digest) -> Receipt | None:
        """What became of a transaction; None while it stands in no block."""
        found = await self._ask("eth_getTransactionReceipt", transaction)
        return None if found is None else _read(lambda: _receipt_of(found, transaction))

    async def find_block(self, number: int) -> Block | None:
        """The block that stands at a height now; None beyond the end."""
        found = await self._ask("eth_getBlockByNumber", hex(number), False)
        return None if found is None else _read(lambda: _block_of(found))

    async def finalized(self) -> Block:
        """The last block that will not be dropped."""
        return await self._tagged("finalized")

    async def head(self) -> Block:
        """The last block."""
        return await self._tagged("latest")

    async def is_used(self, token: Token, *, sender: Address, nonce: Digest) -> bool:
        """Whether the token has carried out this authorization, or cancelled it."""
        data = AUTHORIZATION_STATE + word(int(sender, 16)) + bytes.fromhex(nonce[2:])
        found = await self._ask("eth_call", {"to": token.asset, "data": "0x" + data.hex()}, "latest")
        return _read(lambda: _integer(found)) == 1

    async def find_use(self, token: Token, *, sender: Address, nonce: Digest, from_block: int) -> Digest | None:
        """The transaction that carried an authorization out, at or soon after a block."""
        to_block = min(from_block + BLOCKS_MAX, (await self.head()).number)
        if to_block < from_block:
            return None
        wanted = {
            "address": token.asset,
            "topics": [AUTHORIZATION_USED, "0x" + word(int(sender, 16)).hex(), nonce],
            "fromBlock": hex(from_block),
            "toBlock": hex(to_block),
        }
        found = await self._ask("eth_getLogs", wanted)
        if not isinstance(found, list) or len(found) > 1:
            raise ChainUnavailable("logs that cannot be")
        return _read(lambda: _digest(found[0]["transactionHash"])) if found else None

    async def moved(self, token: Token, *, from_block: int, to_block: int) -> list[Moved]:
        """What the token logged of our address in these blocks, at most BLOCKS_MAX + 1, in order."""
        us = "0x" + word(int(token.receiver, 16)).hex()
        blocks = range(from_block, to_block + 1)
        received = await self._logged(token, [TRANSFER, None, us], blocks)
        sent = await self._logged(token, [TRANSFER, us], blocks)
        # What we send to ourselves is in both, and moves nothing.
        found = {place: one for place, one in {**received, **sent}.items() if not (place in received and place in sent)}
        return [found[place] for place in sorted(found)]

    async def _logged(self, token: Token, topics: Sequence[str | None], blocks: range) -> dict[tuple[int, int], Moved]:
        span = {"fromBlock": hex(blocks.start), "toBlock": hex(blocks.stop - 1)}
        logs = await self._ask("eth_getLogs", {"address": token.asset, "topics": topics, **span})
        if not isinstance(logs, list) or len(logs) > LOGS_MAX:
            raise ChainUnavailable("logs that cannot be")
        is_received = topics[1] is None
        found = _read(lambda: [_moved_of(log, token, is_received=is_received) for log in logs])
        if any(one.block not in blocks for one in found):
            raise ChainUnavailable("logs of other blocks")
        return {(one.block, one.log_index): one for one in found}

    async def balance(self, token: Token, *, at_block: int) -> int:
        """What our address had after a block. Raise CallRefused where the node does not remember it."""
        data = BALANCE_OF + word(int(token.receiver, 16))
        found = await self._ask("eth_call", {"to": token.asset, "data": "0x" + data.hex()}, hex(at_block))
        return _read(lambda: _integer(found))

    async def _tagged(self, tag: str) -> Block:
        found = await self._ask("eth_getBlockByNumber", tag, False)
        return _read(lambda: _block_of(found))

    async def _ask(self, method: str, *parameters: object) -> Any:
        """The result of one call, on the chain that is configured."""
        if not self._is_checked:
            answer = await self._call("eth_chainId", [])
            served = _read(lambda: _integer(answer))
            if served != self._chain_id:
                raise WrongChain(f"chain {served}")
            self._is_checked = True
        return await self._call(method, parameters)

    async def _call(self, method: str, parameters: Sequence[object]) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        try:
            answer = await self._endpoint.post("", request)
        except Unanswered as error:
            raise ChainUnavailable(f"{method}: {error}") from None
        if answer.get("error") is not None:
            raise CallRefused(f"{method}: refused")
        if "result" not in answer or answer.get("id") != 1:
            raise ChainUnavailable(f"{method}: no answer")
        return answer["result"]


def _read(take: Callable[[], Taken]) -> Taken:
    """What `take` finds in an answer. Raise ChainUnavailable for one of another shape."""
    try:
        return take()
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise ChainUnavailable("an answer of another shape") from None


def _receipt_of(found: Any, transaction: Digest) -> Receipt:
    logs = found["logs"]
    if _digest(found["transactionHash"]) != transaction or len(logs) > LOGS_MAX:
        raise ValueError("not this transaction")
    return Receipt(
        transaction=transaction,
        succeeded=_integer(found["status"]) == 1,
        block=_integer(found["blockNumber"]),
        block_hash=_digest(found["blockHash"]),
        # A log that a reorganization took back is none.
        logs=tuple(_log_of(log) for log in logs if log.get("removed") is not True),
    )


def _log_of(found: Any) -> Log:
    return Log(
        index=_integer(found["logIndex"]),
        address=Address(_hexadecimal(found["address"], 40)),
        topics=tuple(_digest(topic) for topic in found["topics"]),
        data=_hexadecimal(found["data"]),
    )


def _moved_of(found: Any, token: Token, *, is_received: bool) -> Moved:
    log = _log_of(found)
    if not is_transfer(log, token) or found.get("removed") is True:
        raise ValueError("no transfer")
    return Moved(
        transaction=_digest(found["transactionHash"]),
        block=_integer(found["blockNumber"]),
        log_index=log.index,
        is_received=is_received,
        amount=_integer(log.data),
    )


def _block_of(found: Any) -> Block:
    return Block(number=_integer(found["number"]), hash=_digest(found["hash"]), at_s=_integer(found["timestamp"]))


def _integer(found: Any) -> int:
    return int(_hexadecimal(found), 16)


def _digest(found: Any) -> Digest:
    return Digest(_hexadecimal(found, 64))


def _hexadecimal(found: Any, digits: int | None = None) -> str:
    """Small letters. Raise ValueError."""
    text = str(found).lower()
    if not text.startswith("0x") or (digits is not None and len(text) != digits + 2):
        raise ValueError("no hexadecimal")
    if text != "0x":
        int(text, 16)
    return text
