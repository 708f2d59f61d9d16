"""JSON asked of an operator's own endpoints: bounded in time and size, no proxies, no redirects, no retries."""

from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import msgspec

from shared.base.egress import AddressRefused, checked_host
from shared.base.fetcher import CONNECT_TIMEOUT_S, guarded_session
from shared.base.secret import Secret

ANSWER_BYTES_MAX = 4 * 1024 * 1024
"""A receipt of a transaction that fills a block with logs; what is usual is a thousandth of it."""
CONNECTIONS_MAX = 20


class Unanswered(Exception):
    """No JSON object came back. What was asked may have been done all the same. The message names no address."""


def open_local_session() -> aiohttp.ClientSession:
    """For development: goes wherever the settings say. Never used in production."""
    connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX)
    return aiohttp.ClientSession(connector=connector, trust_env=False, cookie_jar=aiohttp.DummyCookieJar())


class Endpoint:
    """One base URL, which may hold a key. Belongs to one event loop."""

    def __init__(
        self,
        url: Secret,
        *,
        timeout_s: float,
        headers: Mapping[str, str] | None = None,
        open_session: Callable[[], aiohttp.ClientSession] | None = None,
    ) -> None:
        """Without `open_session` only public https hosts are called. Raise AddressRefused for another URL."""
        if open_session is None:
            checked_host(url.reveal())
        self._url = url
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        self._headers = {"content-type": "application/json", "accept-encoding": "identity", **(headers or {})}
        self._open_session = open_session or _open_guarded
        self._session: aiohttp.ClientSession | None = None

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON object that is answered, whatever the status. Raise Unanswered."""
        if self._session is None:
            self._session = self._open_session()
        try:
            async with self._session.post(
                self._url.reveal() + path,
                data=msgspec.json.encode(body),
                headers=self._headers,
                allow_redirects=False,
                timeout=self._timeout,
            ) as response:
                answer = msgspec.json.decode(await _read(response))
        except (aiohttp.ClientError, AddressRefused, TimeoutError, OSError, ValueError, RecursionError) as error:
            # An error of aiohttp names the URL, so only its class goes on.
            raise Unanswered(type(error).__name__) from None
        if not isinstance(answer, dict):
            raise Unanswered("no object")
        return answer

    async def close(self) -> None:
        """Close the pooled connections."""
        if self._session is not None:
            await self._session.close()


def _open_guarded() -> aiohttp.ClientSession:
    return guarded_session(connections_max=CONNECTIONS_MAX)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for piece in response.content.iter_any():
        content += piece
        if len(content) > ANSWER_BYTES_MAX:
            raise ValueError("the answer is too long")
    return bytes(content)
