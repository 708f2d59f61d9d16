"""Razorpay's REST API over aiohttp, which the functions that call it may load.

Not Razorpay's own library, which blocks while it waits and brings `requests` with it. A contract test has the library
and this speak with the same stand-in.
"""

import asyncio
import base64
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlencode

import aiohttp
import msgspec

from shared.base.secret import Secret
from shared.payments.errors import RailRefused, RailUnavailable

TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 5.0
ATTEMPTS_MAX = 3
"""A repeat is harmless: GETs change nothing, an order has its receipt, a refund its key."""
BACKOFF_S = 0.5
"""Doubled after each attempt."""
ANSWER_BYTES_MAX = 4 * 1024 * 1024
REFUND_KEY_HEADER = "x-refund-idempotency"
_NAME = "Razorpay"


class RazorpayApi(Protocol):
    """What the rail asks of Razorpay. Raise RailUnavailable when nothing is known of the outcome, or RailRefused."""

    async def get(self, path: str, params: Mapping[str, int]) -> dict[str, Any]:
        """Read an object or a list."""

    async def post(self, path: str, body: Mapping[str, Any], *, key: str | None = None) -> dict[str, Any]:
        """Make something; a refund once per key."""


class RazorpayGateway:
    """Belongs to one event loop; connections are pooled across calls."""

    def __init__(self, key_id: str, key_secret: Secret, base_url: str) -> None:
        self._key_id = key_id
        self._key_secret = key_secret
        self._base_url = base_url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str, params: Mapping[str, int]) -> dict[str, Any]:
        return await self._ask("GET", f"{path}?{urlencode(params)}" if params else path, None, {})

    async def post(self, path: str, body: Mapping[str, Any], *, key: str | None = None) -> dict[str, Any]:
        headers = {} if key is None else {REFUND_KEY_HEADER: key}
        return await self._ask("POST", path, msgspec.json.encode(body), headers)

    async def close(self) -> None:
        """Close the pooled connections."""
        if self._session is not None:
            await self._session.close()

    async def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> dict[str, Any]:
        for attempt in range(ATTEMPTS_MAX):
            try:
                status, answer = await self._send(method, path, body, headers)
            except (aiohttp.ClientError, TimeoutError):
                status, answer = 503, {}
            if status == 200:
                return answer
            # 409: another request of the same key is under way.
            if status not in (409, 429) and status < 500:
                raise RailRefused(_NAME, _code_of(answer, status))
            if attempt < ATTEMPTS_MAX - 1:
                await asyncio.sleep(BACKOFF_S * 2**attempt)
        raise RailUnavailable(_NAME)

    async def _send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, Any]]:
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar())
        pair = f"{self._key_id}:{self._key_secret.reveal()}".encode()
        common = {
            "authorization": f"Basic {base64.b64encode(pair).decode()}",
            "content-type": "application/json",
        }
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
        async with self._session.request(
            method,
            self._base_url + path,
            data=body,
            headers={**common, **headers},
            allow_redirects=False,
            timeout=timeout,
        ) as response:
            return response.status, await _object(response)


async def _object(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """The JSON object of an answer; empty for anything else, which the status then explains."""
    raw = bytearray()
    async for piece in response.content.iter_any():
        raw += piece
        if len(raw) > ANSWER_BYTES_MAX:
            raise aiohttp.ClientPayloadError("the answer is too long")
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        raise aiohttp.ClientPayloadError("the answer is no JSON") from None
    return body if isinstance(body, dict) else {}


def _code_of(answer: Mapping[str, Any], status: int) -> str:
    """Razorpay's own word for what is wrong; never its description, which may repeat what we sent."""
    error = answer.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) and len(code) <= 100 else f"status {status}"
