"""PayPal's REST API over aiohttp, which the functions that call it may load. The token is fetched when it is needed.

Not PayPal's own library, which is synchronous and knows no disputes. A contract test has the library and this speak
with the same stand-in.
"""

import asyncio
import base64
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlencode

import aiohttp
import msgspec
from msgspec import Struct

from shared.base.clock import Clock
from shared.base.flight import SingleFlight
from shared.base.log import write_line
from shared.base.secret import Secret
from shared.payments.errors import RailRefused, RailUnavailable

TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 5.0
ATTEMPTS_MAX = 3
"""A repeat is harmless: GETs change nothing, and a POST carries its key."""
BACKOFF_S = 0.5
"""Doubled after each attempt."""
ANSWER_BYTES_MAX = 4 * 1024 * 1024
TOKEN_MARGIN_MS = 60_000
"""So long before its end a token is not used any more: a request takes less, its retries included."""
TOKEN_LIFETIME_S_MAX = 9 * 3_600
"""What PayPal gives today. One that claims to live longer is fetched anew all the same."""
_NAME = "PayPal"
_OK = (200, 201)
Params = Mapping[str, str]


class PayPalApi(Protocol):
    """What the rail asks of PayPal. Raise RailUnavailable when nothing is known of the outcome, or RailRefused."""

    async def get(self, path: str, params: Params) -> dict[str, Any]:
        """Read an object or a list."""

    async def post(self, path: str, body: Mapping[str, Any], *, key: str) -> dict[str, Any]:
        """Make something, once per key for as long as PayPal remembers it: hours for orders, 45 days for refunds."""


class _Token(Struct, frozen=True):
    text: str
    good_until_ms: int


class PayPalGateway:
    """Belongs to one event loop; connections and the token are shared by its calls."""

    def __init__(self, client_id: str, client_secret: Secret, base_url: str, clock: Clock) -> None:
        self._client_id = client_id
        self._client_secret = client_secret
        self._base_url = base_url.rstrip("/")
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._token: _Token | None = None
        self._flight: SingleFlight[None, _Token] = SingleFlight()

    async def get(self, path: str, params: Params) -> dict[str, Any]:
        return await self._ask("GET", f"{path}?{urlencode(params)}" if params else path, None, {})

    async def post(self, path: str, body: Mapping[str, Any], *, key: str) -> dict[str, Any]:
        return await self._ask("POST", path, msgspec.json.encode(body), {"paypal-request-id": key})

    async def close(self) -> None:
        """Close the pooled connections."""
        if self._session is not None:
            await self._session.close()

    async def _ask(self, method: str, path: str, content: bytes | None, headers: Params) -> dict[str, Any]:
        common = {"content-type": "application/json", **headers}
        for attempt in range(ATTEMPTS_MAX):
            try:
                token = await self._good_token()
                bearer = {"authorization": f"Bearer {token.text}"}
                status, body = await self._send(method, path, content, {**common, **bearer})
            except (aiohttp.ClientError, TimeoutError):
                status, body = 503, {}
            if status in _OK:
                return body
            if status == 401:
                # Withdrawn before its end. Who was quicker may have a new one already.
                self._token = self._token if self._token is not token else None
            elif status != 429 and status < 500 and not _is_in_progress(status, body):
                raise RailRefused(_NAME, _code_of(body, status))
            if attempt < ATTEMPTS_MAX - 1:
                await asyncio.sleep(BACKOFF_S * 2**attempt)
        raise RailUnavailable(_NAME)

    async def _good_token(self) -> _Token:
        if self._token is not None and self._clock() < self._token.good_until_ms:
            return self._token
        return await self._flight.run(None, self._fetch_token)

    async def _fetch_token(self) -> _Token:
        """Raise RailUnavailable: what was to be asked with the token is still to be done."""
        asked_at_ms = self._clock()
        credentials = base64.b64encode(f"{self._client_id}:{self._client_secret.reveal()}".encode()).decode()
        headers = {"authorization": f"Basic {credentials}", "content-type": "application/x-www-form-urlencoded"}
        status, body = await self._send("POST", "/v1/oauth2/token", b"grant_type=client_credentials", headers)
        text, lifetime_s = body.get("access_token"), body.get("expires_in")
        if status not in _OK or not isinstance(text, str) or not isinstance(lifetime_s, int):
            write_line("ERROR", "paypal_token_refused", status=status, code=_code_of(body, status))
            raise RailUnavailable(_NAME)
        lifetime_ms = min(lifetime_s, TOKEN_LIFETIME_S_MAX) * 1000 - TOKEN_MARGIN_MS
        self._token = _Token(text, asked_at_ms + lifetime_ms)
        return self._token

    async def _send(self, method: str, path: str, content: bytes | None, headers: Params) -> tuple[int, dict[str, Any]]:
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar())
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
        async with self._session.request(
            method, self._base_url + path, data=content, headers=headers, allow_redirects=False, timeout=timeout
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


def _is_in_progress(status: int, body: Mapping[str, Any]) -> bool:
    """Another request of the same key is under way; it is the only 409 that passes."""
    return status == 409 and _code_of(body, status) == "PREVIOUS_REQUEST_IN_PROGRESS"


def _code_of(body: Mapping[str, Any], status: int) -> str:
    """PayPal's own word for what is wrong; never its message, which may repeat what we sent.

    The issue says more than the name, which is one of eight: https://developer.paypal.com/api/rest/responses/.
    """
    details = body.get("details")
    first = details[0] if isinstance(details, list) and details and isinstance(details[0], dict) else {}
    code = first.get("issue") or body.get("name") or body.get("error")
    return code if isinstance(code, str) and len(code) <= 100 else f"status {status}"
