"""Connections to hosts that somebody else chose, and the reading of what a URL of theirs leads to.

Requests carry no key, no cookie and nothing else of ours.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Set
from concurrent.futures import ThreadPoolExecutor

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from msgspec import Struct

from shared.base.egress import AddressRefused, checked_host, is_public

CONNECTIONS_MAX = 50
CONNECT_TIMEOUT_S = 5.0
NAMES_AT_ONCE_MAX = 8
"""Names being resolved; each takes a thread for as long as its owner's servers let it wait."""
_UNREACHABLE = "What the URL leads to could not be read."
"""One sentence for whatever went wrong: telling a closed port from a forbidden address would map the inside."""


class Fetched(Struct, frozen=True):
    """What a URL led to."""

    content: bytes
    media_type: str


class NameThreads(AbstractResolver):
    """Asks the machine's own resolver, in threads of its own.

    Whoever chooses a name may own the servers that answer for it, and let them be silent. In the loop's own few threads
    that would keep the names of providers waiting too, and with them everybody's calls.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(NAMES_AT_ONCE_MAX, thread_name_prefix="names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raise OSError for a name that nobody knows."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG
        )
        numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(hostname=host, host=str(at[0]), port=port, family=kind, proto=protocol, flags=numeric)
            for kind, _, protocol, _, at in found
        ]

    async def close(self) -> None:
        """Leave the threads that still wait; they end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses only. What it returns is what is connected to, however often a name changes.

    A name of which any address lies inside is not resolved at all.
    """

    def __init__(self, inner: AbstractResolver, *, is_allowed: Callable[[str], bool] = is_public) -> None:
        self._inner = inner
        self._is_allowed = is_allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raise OSError for a name that leads inside, as for one that nobody knows."""
        found = await self._inner.resolve(host, port, family)
        if not found or not all(self._is_allowed(address["host"]) for address in found):
            raise OSError("the name leads to no public address")
        return found

    async def close(self) -> None:
        """Close what it resolves with."""
        await self._inner.close()


def guarded_session(
    resolver: AbstractResolver | None = None,
    *,
    is_allowed: Callable[[str], bool] = is_public,
    tls: ssl.SSLContext | None = None,
    connections_max: int = CONNECTIONS_MAX,
) -> aiohttp.ClientSession:
    """A session whose connections end at public addresses. It must be given URLs that `checked_host` let pass: an
    address in place of a name is connected to without being resolved. Proxies of the environment are not used.
    """
    connector = aiohttp.TCPConnector(
        limit=connections_max,
        resolver=PublicResolver(resolver or NameThreads(), is_allowed=is_allowed),
        ssl=tls or True,
    )
    return aiohttp.ClientSession(connector=connector, trust_env=False, cookie_jar=aiohttp.DummyCookieJar())


class Fetcher:
    """Reads what is at a URL. Belongs to one event loop."""

    def __init__(self, open_session: Callable[[], aiohttp.ClientSession] = guarded_session) -> None:
        self._open_session = open_session
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, url: str, *, bytes_max: int, media_types: Set[str] | None, timeout_s: float) -> Fetched:
        """What is at the URL, uncompressed, from its own host: redirects are not followed. Raise AddressRefused.

        Without `media_types` any will do, for a reader of what proves itself.
        """
        checked_host(url)
        if self._session is None:
            self._session = self._open_session()
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        accepted = "*/*" if media_types is None else ", ".join(sorted(media_types))
        headers = {"accept": accepted, "accept-encoding": "identity"}
        try:
            async with self._session.get(url, headers=headers, allow_redirects=False, timeout=timeout) as response:
                if response.status != 200 or response.headers.get("content-encoding", "identity") != "identity":
                    raise AddressRefused(_UNREACHABLE)
                if media_types is not None and response.content_type not in media_types:
                    raise AddressRefused(f"What the URL leads to is none of {accepted}.")
                content = bytearray()
                async for piece in response.content.iter_any():
                    content += piece
                    if len(content) > bytes_max:
                        raise AddressRefused(f"What the URL leads to has more than {bytes_max} bytes.")
                return Fetched(bytes(content), response.content_type)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
            raise AddressRefused(_UNREACHABLE) from None

    async def close(self) -> None:
        """Close the pooled connections."""
        if self._session is not None:
            await self._session.close()
