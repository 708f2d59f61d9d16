"""The chain as a part of the local stack: started when somebody first asks for it, with a wallet for whoever buys.

One address serves all of it: a node's JSON-RPC, a facilitator of x402, and a wallet with as many test dollars as it is
asked to send. Until it is asked nothing runs but a socket, so a stack that sells nothing on a chain pays nothing.
"""

import asyncio
import socket
import tempfile
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from local.node import NodeMissing
from local.process import HOST, ProcessFailed

if TYPE_CHECKING:
    from aiohttp import web

    from local.chain.anvil import Chain
    from local.chain.facilitator import LocalFacilitator

RPC_PATH = "/rpc"
FACILITATOR_PATH = "/facilitator"
PAY_PATH = "/wallet/pay"
"""POST {"receiver", "amount", "text"}: send so much and sign the text; answers {"transaction", "signature"}. The chain
then adds the blocks that make it final, unless "final" is false."""
SIGN_PATH = "/wallet/sign"
"""POST {"required"}, the value of PAYMENT-REQUIRED: answers {"payment"}, the value of PAYMENT-SIGNATURE."""
MINE_PATH = "/mine"
"""POST: add the blocks that make final what stands on the chain."""
CHAIN_ID = 31_337
ASSET = "0x5fbdb2315678afecb367f032d93f642f64180aa3"
"""Where the first contract of anvil's first account always stands."""
RECEIVER = "0xc0dec0dec0dec0dec0dec0dec0dec0dec0dec0de"
"""The shop's address. Nobody has its key."""
WALLET_KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
FEE_KEY = "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"
"""Of anvil's second and third account, which everybody knows: the wallet's, and the facilitator's."""
STOP_TIMEOUT_S = 10.0


class LocalChain:
    """A context manager around the server, on a thread of this process that the chain's own process lives with."""

    def __init__(self, report: Callable[[str], None] = lambda line: None) -> None:
        """`report` is told why it does not start, should it not."""
        self._report = report
        self._socket = socket.create_server((HOST, 0))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="chain", daemon=True)
        self._ended = asyncio.Event()
        self._chain: Chain | None = None
        self._facilitator: LocalFacilitator | None = None

    @property
    def url(self) -> str:
        """Where it is served."""
        return f"http://{HOST}:{self._socket.getsockname()[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """The settings that sell credits on it."""
        return {
            "CRYPTO_RPC_URL": self.url + RPC_PATH,
            "CRYPTO_FACILITATOR_URL": self.url + FACILITATOR_PATH,
            "CRYPTO_CHAIN_ID": str(CHAIN_ID),
            "CRYPTO_ASSET": ASSET,
            "CRYPTO_RECEIVER": RECEIVER,
        }

    def started(self) -> "Chain":
        """The chain itself, for tests that do more with it than a wallet can. Raise NodeMissing or ProcessFailed."""
        return asyncio.run_coroutine_threadsafe(self._started(), self._loop).result()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(STOP_TIMEOUT_S)

    def _serve(self) -> None:
        with tempfile.TemporaryDirectory(prefix="credence-") as folder:
            self._folder = Path(folder)
            try:
                self._loop.run_until_complete(self._run())
            finally:
                if self._chain is not None:
                    self._chain.stop()
                self._loop.close()

    async def _run(self) -> None:
        # Loaded here and below, beside whatever the stack waits for: together they take two seconds.
        from aiohttp import web

        @web.middleware
        async def tell(request: web.Request, handler: Callable[[web.Request], Awaitable[Any]]) -> Any:
            try:
                return await handler(request)
            except (NodeMissing, ProcessFailed) as failure:
                self._report(f"The local chain does not start: {failure}")
                return web.json_response({"error": str(failure)}, status=503)

        app = web.Application(middlewares=[tell])
        app.router.add_post(RPC_PATH, self._ask)
        app.router.add_post(FACILITATOR_PATH + "/{verb}", self._facilitate)
        app.router.add_post(PAY_PATH, self._pay)
        app.router.add_post(SIGN_PATH, self._sign)
        app.router.add_post(MINE_PATH, self._mine)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.SockSite(runner, self._socket).start()
        await self._ended.wait()
        await runner.cleanup()

    async def _started(self) -> "Chain":
        # No other request is served meanwhile, so only the first one starts it.
        if self._chain is None:
            from local.chain.anvil import Chain

            chain = Chain(self._folder, chain_id=CHAIN_ID)
            if chain.deploy("Dollar") != ASSET:
                raise ArithmeticError("the dollar stands at another address")
            # There is a past, as on any chain: what comes first is not final at once.
            chain.finalize()
            self._chain = chain
        return self._chain

    async def _ask(self, request: "web.Request") -> "web.Response":
        from aiohttp import ClientSession, web

        chain = await self._started()
        headers = {"content-type": "application/json"}
        async with (
            ClientSession() as session,
            session.post(chain.url, data=await request.read(), headers=headers) as answer,
        ):
            return web.Response(body=await answer.read(), status=answer.status, content_type="application/json")

    async def _facilitate(self, request: "web.Request") -> "web.Response":
        if self._facilitator is None:
            chain = await self._started()
            from local.chain.facilitator import LocalFacilitator

            self._facilitator = LocalFacilitator(chain.url, FEE_KEY, f"eip155:{CHAIN_ID}")
        return await self._facilitator.answer(request.match_info["verb"], request)

    async def _pay(self, request: "web.Request") -> "web.Response":
        from aiohttp import web
        from eth_account.messages import encode_defunct

        chain, wallet, asked = await self._started(), _wallet(), await request.json()
        receiver, amount = asked["receiver"], int(asked["amount"])
        self._enrich(chain, wallet.address, amount)
        transaction = chain.send(wallet.address, ASSET, "transfer(address,uint256)", receiver, amount)
        if asked.get("final", True):
            chain.finalize()
        text = str(asked.get("text", "")).replace("{transaction}", transaction)
        signature = wallet.sign_message(encode_defunct(text=text)).signature.hex()
        return web.json_response({"transaction": transaction, "signature": "0x" + signature.removeprefix("0x")})

    async def _sign(self, request: "web.Request") -> "web.Response":
        from aiohttp import web
        from x402.http.utils import decode_payment_required_header, encode_payment_signature_header
        from x402.mechanisms.evm.exact.client import ExactEvmScheme
        from x402.schemas import PaymentPayload

        chain, wallet, asked = await self._started(), _wallet(), await request.json()
        accepted = decode_payment_required_header(asked["required"]).accepts[0]
        self._enrich(chain, wallet.address, int(accepted.amount))
        payload = ExactEvmScheme(wallet).create_payment_payload(accepted)
        payment = encode_payment_signature_header(PaymentPayload(payload=payload, accepted=accepted))
        return web.json_response({"payment": payment})

    async def _mine(self, request: "web.Request") -> "web.Response":
        from aiohttp import web

        (await self._started()).finalize()
        return web.json_response({})

    def _enrich(self, chain: "Chain", address: str, amount: int) -> None:
        chain.send(chain.accounts[0], ASSET, "mint(address,uint256)", address, amount)


def _wallet() -> Any:
    from eth_account import Account

    return Account.from_key(WALLET_KEY)
