"""Stripe's REST API over aiohttp, which the functions that call it may load.

Not Stripe's own library: importing it takes 0.15 s, half of a cold start. A contract test has the library and this
speak with the same stand-in.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import aiohttp
import msgspec

from shared.base.secret import Secret
from shared.payments.errors import RailRefused, RailUnavailable

API_VERSION = "2026-10-28.endive"
"""The version whose shapes `rail.py` reads; an account's default may be another."""
TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 5.0
ATTEMPTS_MAX = 3
"""A repeat is harmless: GETs change nothing, and a POST carries its key."""
BACKOFF_S = 0.5
"""Doubled after each attempt."""
ANSWER_BYTES_MAX = 4 * 1024 * 1024
_NAME = "Stripe"
Params = Mapping[str, Any]


class StripeApi(Protocol):
    """What the rail asks of Stripe. Raise RailUnavailable when nothing is known of the outcome, or RailRefused."""

    async def get(self, path: str, params: Params) -> dict[str, Any]:
        """Read an object or a list."""

    async def post(self, path: str, params: Params, *, key: str) -> dict[str, Any]:
        """Make something, once per key."""


class StripeGateway:
    """Belongs to one event loop; connections are pooled across calls."""

    def __init__(self, api_key: Secret, base_url: str) -> None:
        self._api_key = api_key
        self._base_url = base_url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str, params: Params) -> dict[str, Any]:
        query = form_of(params)
        return await self._ask("GET", f"{path}?{query}" if query else path, None, {})

    async def post(self, path: str, params: Params, *, key: str) -> dict[str, Any]:
        return await self._ask("POST", path, form_of(params), {"idempotency-key": key})

    async def close(self) -> None:
        """Close the pooled connections."""
        if self._session is not None:
            await self._session.close()

    async def _ask(self, method: str, path: str, form: str | None, headers: Mapping[str, str]) -> dict[str, Any]:
        for attempt in range(ATTEMPTS_MAX):
            try:
                status, body = await self._send(method, path, form, headers)
            except (aiohttp.ClientError, TimeoutError):
                status, body = 503, {}
            if status == 200:
                return body
            if status != 429 and status < 500 and not _is_in_use(status, body):
                raise RailRefused(_NAME, _code_of(body, status))
            if attempt < ATTEMPTS_MAX - 1:
                await asyncio.sleep(BACKOFF_S * 2**attempt)
        raise RailUnavailable(_NAME)

    async def _send(
        self, method: str, path: str, form: str | None, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, Any]]:
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar())
        common = {
            "authorization": f"Bearer {self._api_key.reveal()}",
            "stripe-version": API_VERSION,
            "content-type": "application/x-www-form-urlencoded",
        }
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
        async with self._session.request(
            method,
            self._base_url + path,
            data=form,
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


def _is_in_use(status: int, body: Mapping[str, Any]) -> bool:
    """Another request of the same key is under way; it is the only 409 that passes."""
    return status == 409 and _code_of(body, status) == "idempotency_key_in_use"


def _code_of(body: Mapping[str, Any], status: int) -> str:
    """Stripe's own word for what is wrong; never its message, which may repeat what we sent."""
    error = body.get("error")
    code = error.get("code") or error.get("type") if isinstance(error, dict) else None
    return code if isinstance(code, str) and len(code) <= 100 else f"status {status}"


def form_of(params: Params) -> str:
    """Parameters as Stripe reads them: `line_items[0][quantity]=1`."""
    return urlencode(_flat("", params), quote_via=quote)


def _flat(name: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [pair for key, inner in value.items() for pair in _flat(f"{name}[{key}]" if name else key, inner)]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [pair for index, inner in enumerate(value) for pair in _flat(f"{name}[{index}]", inner)]
    return [(name, str(value))]
