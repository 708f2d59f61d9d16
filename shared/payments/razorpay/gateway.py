"""Razorpay's REST API over aiohttp, which the functions that call it may load.

Not Razorpay's own library, which blocks while it waits and brings `requests` with it. A contract test has the library
and this speak with the same stand-in.
"""

import base64
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlencode

import msgspec

from shared.base.secret import Secret
from shared.payments.connections import Connections, Found

REFUND_KEY_HEADER = "x-refund-idempotency"


class RazorpayApi(Protocol):
    """What the rail asks of Razorpay. Raise RailUnavailable when nothing is known of the outcome, or RailRefused."""

    async def get(self, path: str, params: Mapping[str, int]) -> dict[str, Any]:
        """Read an object or a list."""

    async def post(self, path: str, body: Mapping[str, Any], *, key: str | None = None) -> dict[str, Any]:
        """Make something; a refund once per key."""


class RazorpayGateway(Connections):
    """The client that the functions share."""

    name = "Razorpay"

    def __init__(self, key_id: str, key_secret: Secret, base_url: str) -> None:
        super().__init__(base_url)
        self._key_id = key_id
        self._key_secret = key_secret

    async def get(self, path: str, params: Mapping[str, int]) -> dict[str, Any]:
        return await self._ask("GET", f"{path}?{urlencode(params)}" if params else path, None, {})

    async def post(self, path: str, body: Mapping[str, Any], *, key: str | None = None) -> dict[str, Any]:
        headers = {} if key is None else {REFUND_KEY_HEADER: key}
        return await self._ask("POST", path, msgspec.json.encode(body), headers)

    async def _attempt(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, Found]:
        pair = f"{self._key_id}:{self._key_secret.reveal()}".encode()
        common = {
            "authorization": f"Basic {base64.b64encode(pair).decode()}",
            "content-type": "application/json",
        }
        return await self._send(method, path, content, {**common, **headers})

    def _word_of(self, body: Found) -> object:
        error = body.get("error")
        return error.get("code") if isinstance(error, dict) else None

    def _passes(self, status: int, body: Found) -> bool:
        """Another request of the same key is under way."""
        return status == 409
