"""Tavily's search API, by which the web is searched where its key is configured.

Source: https://docs.tavily.com/documentation/api-reference/endpoint/search
"""

from typing import Any

import aiohttp
import msgspec

from shared.base.secret import Secret
from shared.tools.errors import SearchUnavailable
from shared.tools.web import Hit

TIMEOUT = aiohttp.ClientTimeout(total=20.0, sock_connect=5.0)
ANSWER_BYTES_MAX = 1024 * 1024
QUERY_CHARS_MAX = 400
EXCERPT_CHARS_MAX = 2_000
TITLE_CHARS_MAX = 200


class Tavily:
    """Belongs to one event loop. Never retries: a job's step does."""

    def __init__(self, base_url: str, key: Secret) -> None:
        self._url = f"{base_url.rstrip('/')}/search"
        self._key = key
        self._session: aiohttp.ClientSession | None = None

    async def hits(self, query: str, *, count: int) -> list[Hit]:
        """The pages that fit best, best first. Raise SearchUnavailable."""
        if self._session is None:
            # Without cookies: one person's search is not to be known by another's.
            self._session = aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar())
        headers = {"authorization": f"Bearer {self._key.reveal().strip()}"}
        asked = {"query": query[:QUERY_CHARS_MAX], "max_results": count, "search_depth": "basic"}
        try:
            async with self._session.post(
                self._url, json=asked, headers=headers, allow_redirects=False, timeout=TIMEOUT
            ) as response:
                if response.status != 200:
                    raise SearchUnavailable
                body = bytearray()
                async for piece in response.content.iter_any():
                    body += piece
                    if len(body) > ANSWER_BYTES_MAX:
                        raise SearchUnavailable
        except (aiohttp.ClientError, TimeoutError):
            raise SearchUnavailable from None
        return _hits_in(bytes(body))[:count]

    async def close(self) -> None:
        """Close the pooled connections."""
        if self._session is not None:
            await self._session.close()


def _hits_in(body: bytes) -> list[Hit]:
    try:
        answer: Any = msgspec.json.decode(body)
        results = answer["results"]
        return [
            Hit(
                str(found.get("title") or "")[:TITLE_CHARS_MAX], found["url"], str(found["content"])[:EXCERPT_CHARS_MAX]
            )
            for found in results
            if isinstance(found["url"], str)
        ]
    except (ValueError, LookupError, TypeError, AttributeError):
        raise SearchUnavailable from None
