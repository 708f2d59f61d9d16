"""A facilitator on this machine: x402's own code for it, behind the HTTP API, settling on a local chain for real.

Its faults can be switched on: answers lost after the work was done, lies, silence.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web
from x402 import x402FacilitatorSync
from x402.mechanisms.evm import FacilitatorWeb3Signer
from x402.mechanisms.evm.exact import register_exact_evm_facilitator
from x402.schemas import PaymentPayload, PaymentRequirements

from local.process import HOST

CONFIRMATION_TIMEOUT_S = 10.0
Fault = Callable[[dict[str, Any]], dict[str, Any] | None]
"""Makes another answer of what `/settle` answers; None loses it."""


class LocalFacilitator:
    """Verifies and settles with a key of its own, which pays the fees."""

    def __init__(self, rpc_url: str, private_key: str, network: str) -> None:
        signer = FacilitatorWeb3Signer(private_key, rpc_url, confirmation_timeout_seconds=CONFIRMATION_TIMEOUT_S)
        self._facilitator = x402FacilitatorSync()
        register_exact_evm_facilitator(self._facilitator, signer, networks=network)
        self._runner: web.AppRunner | None = None
        self.url = ""
        self.settled = 0
        """How often it was asked to settle."""
        self.fault: Fault | None = None

    async def start(self) -> None:
        """Serve on a free port."""
        app = web.Application()
        app.router.add_post("/verify", self._verify)
        app.router.add_post("/settle", self._settle)
        app.router.add_get("/supported", self._supported)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, 0).start()
        self.url = f"http://{HOST}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Serve no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def answer(self, verb: str, request: web.Request) -> web.Response:
        """What the API answers at `/verb`, for whoever serves it at an address of their own."""
        verbs = {"verify": self._verify, "settle": self._settle}
        return await verbs[verb](request) if verb in verbs else web.Response(status=404)

    async def _verify(self, request: web.Request) -> web.Response:
        payload, requirements = await _asked(request)
        answer = await asyncio.to_thread(self._facilitator.verify, payload, requirements)
        return web.json_response(answer.model_dump(by_alias=True, exclude_none=True))

    async def _settle(self, request: web.Request) -> web.Response:
        self.settled += 1
        payload, requirements = await _asked(request)
        settled = await asyncio.to_thread(self._facilitator.settle, payload, requirements)
        answer: dict[str, Any] | None = settled.model_dump(by_alias=True, exclude_none=True)
        if self.fault is not None and answer is not None:
            answer = self.fault(answer)
        return web.Response(status=502) if answer is None else web.json_response(answer)

    async def _supported(self, _: web.Request) -> web.Response:
        supported = self._facilitator.get_supported()
        return web.json_response(supported.model_dump(by_alias=True, exclude_none=True))


async def _asked(request: web.Request) -> tuple[PaymentPayload, PaymentRequirements]:
    body = await request.json()
    return (
        PaymentPayload.model_validate(body["paymentPayload"]),
        PaymentRequirements.model_validate(body["paymentRequirements"]),
    )
