"""A node and a facilitator that misbehave: nothing they send is believed, waited for without end, or told to others."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from shared.base.egress import AddressRefused
from shared.base.secret import Secret
from shared.chain.errors import ChainUnavailable, FacilitatorUnavailable, SettlementRefused, WrongChain
from shared.chain.facilitator import HttpFacilitator
from shared.chain.gateway import ANSWER_BYTES_MAX, Endpoint, Unanswered, open_local_session
from shared.chain.models import Address, Authorization, Digest, Offer, Token
from shared.chain.node import Node

TIMEOUT_S = 0.5
TOKEN = Token(
    chain_id=1, asset=Address("0x" + "01" * 20), receiver=Address("0x" + "02" * 20), name="USD Coin", version="2"
)
OFFER = Offer(order_id="order-1", amount=1, url="https://credence.example/")
HASH = Digest("0x" + "ab" * 32)
AUTHORIZATION = Authorization(
    sender=TOKEN.asset,
    receiver=TOKEN.receiver,
    amount=1,
    valid_after_s=0,
    valid_before_s=1,
    nonce=HASH,
    signature="0x" + "11" * 65,
)
BLOCK = {"number": "0x1", "hash": HASH, "timestamp": "0x2"}
RECEIPT = {"transactionHash": HASH, "status": "0x1", "blockNumber": "0x1", "blockHash": HASH, "logs": []}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Answers whatever it is told to."""

    def __init__(self) -> None:
        self.handler: Handler = self.results
        self.result: Any = None
        self.chain_id = "0x1"

    async def results(self, request: web.Request) -> web.Response:
        """As a node: the chain id to who asks for it, else `result`."""
        method = (await request.json())["method"]
        result = self.chain_id if method == "eth_chainId" else self.result
        return web.json_response({"jsonrpc": "2.0", "id": 1, "result": result})

    async def answer(self, request: web.Request) -> web.StreamResponse:
        return await self.handler(request)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_post("/{path:.*}", server.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"  # type: ignore[attr-defined]
    yield server
    await runner.cleanup()


@pytest.fixture
async def endpoint(server: Server) -> AsyncIterator[Endpoint]:
    url = Secret(server.url)  # type: ignore[attr-defined]
    endpoint = Endpoint(url, timeout_s=TIMEOUT_S, open_session=open_local_session)
    yield endpoint
    await endpoint.close()


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(ANSWER_BYTES_MAX // 65_536 + 2):
        await response.write(b" " * 65_536)
    # What follows could be read, if only it were waited for.
    await response.write(b'{"jsonrpc": "2.0", "id": 1, "result": "0x1", "success": true}')
    return response


async def silent(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(TIMEOUT_S * 4)
    return web.Response()


async def elsewhere(_: web.Request) -> web.StreamResponse:
    raise web.HTTPTemporaryRedirect("http://127.0.0.1:1/")


async def garbled(_: web.Request) -> web.StreamResponse:
    return web.Response(body=b"\xff{")


async def listed(_: web.Request) -> web.StreamResponse:
    return web.json_response([])


async def refused(_: web.Request) -> web.StreamResponse:
    return web.json_response({"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "no"}})


@pytest.mark.parametrize("handler", [endless, silent, elsewhere, garbled, listed, refused])
async def test_a_node_that_does_not_answer_as_it_should_is_unavailable(
    server: Server, endpoint: Endpoint, handler: Handler
) -> None:
    server.handler = handler

    with pytest.raises(ChainUnavailable):
        await Node(endpoint, chain_id=1).head()


async def test_an_answer_without_end_is_not_read_to_the_end(server: Server, endpoint: Endpoint) -> None:
    server.handler = endless

    with pytest.raises(Unanswered):
        await endpoint.post("", {})


@pytest.mark.parametrize(
    "result",
    [
        "text",
        [],
        {},
        RECEIPT | {"transactionHash": "0x" + "cd" * 32},
        RECEIPT | {"status": None},
        RECEIPT | {"blockNumber": 1},
        RECEIPT | {"blockHash": "0x12"},
        RECEIPT | {"logs": None},
        RECEIPT | {"logs": [{}]},
        RECEIPT | {"logs": [{"logIndex": "0x0", "address": "0x1", "topics": [], "data": "0x"}]},
    ],
)
async def test_a_receipt_of_another_shape_is_none(server: Server, endpoint: Endpoint, result: object) -> None:
    server.result = result

    with pytest.raises(ChainUnavailable):
        await Node(endpoint, chain_id=1).find_receipt(HASH)


async def test_a_log_that_was_taken_back_is_left_out(server: Server, endpoint: Endpoint) -> None:
    log = {"logIndex": "0x0", "address": TOKEN.asset, "topics": [], "data": "0x", "removed": True}
    server.result = RECEIPT | {"logs": [log, log | {"logIndex": "0x1", "removed": False}]}

    receipt = await Node(endpoint, chain_id=1).find_receipt(HASH)

    assert receipt is not None
    assert [log.index for log in receipt.logs] == [1]


async def test_another_chain_is_refused_at_every_call_until_it_is_the_right_one(
    server: Server, endpoint: Endpoint
) -> None:
    node = Node(endpoint, chain_id=1)
    server.chain_id, server.result = "0x2", BLOCK

    for _ in range(2):
        with pytest.raises(WrongChain):
            await node.finalized()
    server.chain_id = "0x1"

    assert (await node.finalized()).number == 1


async def test_no_error_tells_the_address_which_may_hold_a_key() -> None:
    endpoint = Endpoint(Secret("http://127.0.0.1:1/v2/the-key"), timeout_s=TIMEOUT_S, open_session=open_local_session)

    with pytest.raises(Unanswered) as unanswered:
        await endpoint.post("", {})
    with pytest.raises(ChainUnavailable) as unavailable:
        await Node(endpoint, chain_id=1).finalized()
    await endpoint.close()

    assert "the-key" not in str(unanswered.value) + unavailable.value.message + unavailable.value.reason
    assert unanswered.value.__cause__ is None


@pytest.mark.parametrize("url", ["http://node.example/", "https://127.0.0.1/", "https://node.example:8545/"])
def test_a_node_inside_is_not_called_in_production(url: str) -> None:
    with pytest.raises(AddressRefused):
        Endpoint(Secret(url), timeout_s=TIMEOUT_S)


@pytest.mark.parametrize("handler", [endless, silent, elsewhere, garbled, listed])
async def test_of_a_facilitator_that_does_not_answer_nothing_is_known(
    server: Server, endpoint: Endpoint, handler: Handler
) -> None:
    server.handler = handler

    with pytest.raises(FacilitatorUnavailable):
        await HttpFacilitator(endpoint).settle(AUTHORIZATION, OFFER, TOKEN)


async def test_a_facilitators_words_are_bounded_before_anybody_sees_them(server: Server, endpoint: Endpoint) -> None:
    async def wordy(_: web.Request) -> web.StreamResponse:
        return web.Response(text=json.dumps({"success": False, "errorReason": "<script>" * 1_000}))

    server.handler = wordy

    with pytest.raises(SettlementRefused) as refused_:
        await HttpFacilitator(endpoint).settle(AUTHORIZATION, OFFER, TOKEN)

    assert refused_.value.reason.startswith("_script_")
    assert len(refused_.value.reason) == 100
