"""How payment providers are asked over HTTP: bounded, tried again where that is harmless, and never quoted.

What differs is each provider's own: who we say we are, its word for what is wrong, and which refusals pass.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import aiohttp
import msgspec

from shared.payments.errors import RailRefused, RailUnavailable

TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 5.0
ATTEMPTS_MAX = 3
"""A repeat is harmless: GETs change nothing, and whatever is made carries its key or, at Razorpay, its receipt."""
BACKOFF_S = 0.5
"""Doubled after each attempt."""
ANSWER_BYTES_MAX = 4 * 1024 * 1024
CODE_CHARS_MAX = 100
Found = dict[str, Any]
"""A JSON object of a provider's."""


class Connections(ABC):
    """Those to one provider. Belongs to one event loop; they are pooled across calls."""

    name: ClassVar[str]
    accepted: ClassVar[tuple[int, ...]] = (200,)
    """Statuses of what was done."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the pooled connections."""
        if self._session is not None:
            await self._session.close()

    @abstractmethod
    async def _attempt(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, Found]:
        """Send it once, as whom the provider knows."""

    @abstractmethod
    def _word_of(self, body: Found) -> object:
        """The provider's own word for what is wrong; never its message, which may repeat what we sent."""

    @abstractmethod
    def _passes(self, status: int, body: Found) -> bool:
        """Whether a refusal, besides too many requests and faults of the provider's, is worth another attempt."""

    async def _ask(self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]) -> Found:
        """Raise RailRefused, or RailUnavailable when nothing is known of the outcome."""
        for attempt in range(ATTEMPTS_MAX):
            try:
                status, body = await self._attempt(method, path, content, headers)
            except (aiohttp.ClientError, TimeoutError):
                status, body = 503, {}
            if status in self.accepted:
                return body
            if status != 429 and status < 500 and not self._passes(status, body):
                raise RailRefused(self.name, self._code_of(status, body))
            if attempt < ATTEMPTS_MAX - 1:
                await asyncio.sleep(BACKOFF_S * 2**attempt)
        raise RailUnavailable(self.name)

    async def _send(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, Found]:
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar())
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
        async with self._session.request(
            method, self._base_url + path, data=content, headers=headers, allow_redirects=False, timeout=timeout
        ) as response:
            return response.status, await _object(response)

    def _code_of(self, status: int, body: Found) -> str:
        word = self._word_of(body)
        return word if isinstance(word, str) and len(word) <= CODE_CHARS_MAX else f"status {status}"


async def _object(response: aiohttp.ClientResponse) -> Found:
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
