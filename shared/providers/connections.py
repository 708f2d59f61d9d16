"""The connections to providers: bounded in time and size, no proxies, no redirects followed."""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from shared.base.errors import CredenceError
from shared.providers.errors import Fault, UpstreamRefused, UpstreamUnavailable
from shared.providers.models import ANSWER_BYTES_MAX, AudioForm, Call, Provider
from shared.providers.refusals import refusal_of

CONNECT_TIMEOUT_S = 5.0
REFUSAL_BYTES_MAX = 64 * 1024
CONNECTIONS_MAX = 500
BROKEN = (aiohttp.ClientError, TimeoutError)
"""What reading from a connection raises when the other end or the time has gone."""
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S)
_MOVED = frozenset({301, 302, 303, 307, 308})
_JSON = {"content-type": "application/json"}


class TooLong(Exception):
    """A body has more bytes than we read."""


class Connections:
    """Belongs to one event loop; connections are pooled across calls."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._guarded_session: aiohttp.ClientSession | None = None

    async def post_json(
        self, call: Call, path: str, payload: Mapping[str, Any], headers: Mapping[str, str]
    ) -> "Answer":
        """The answer to a JSON body at the provider's own address. Raise one of the three refusals. Never retries."""
        return await self._send("POST", call, path, msgspec.json.encode(payload), {**headers, **_JSON})

    async def post_form(self, call: Call, path: str, form: AudioForm, headers: Mapping[str, str]) -> "Answer":
        """The answer to a form with a file. Raises like `post_json`."""
        try:
            body = aiohttp.FormData()
            for name, value in (("model", form.model), *form.fields):
                body.add_field(name, value)
            body.add_field("file", form.content, filename=form.file_name, content_type=form.media_type)
            multipart = body()
        except (ValueError, TypeError):
            raise UpstreamRefused("The form carries a name or a type that no header can.", param="file") from None
        return await self._send("POST", call, path, multipart, headers)

    async def get(self, call: Call, path: str, headers: Mapping[str, str], *, may_move: bool = False) -> "Answer":
        """What stands at a path of the provider's own address. Raises like `post_json`.

        With `may_move` a redirect is an answer too, which tells where it is `moved_to`; it is not followed.
        """
        return await self._send("GET", call, path, None, headers, may_move=may_move)

    async def close(self) -> None:
        """Close the pooled connections."""
        for session in (self._session, self._guarded_session):
            if session is not None:
                await session.close()

    def _session_for(self, provider: Provider) -> aiohttp.ClientSession:
        """The session whose connections may go where this provider is. Raise AddressRefused."""
        if provider.guarded:
            # Loaded here since few deployments have such a provider, and all would start more slowly.
            from shared.base.egress import checked_host
            from shared.base.fetcher import guarded_session

            checked_host(provider.base_url)
            self._guarded_session = self._guarded_session or guarded_session(connections_max=CONNECTIONS_MAX)
            return self._guarded_session
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX)
            self._session = aiohttp.ClientSession(connector=connector, trust_env=False)
        return self._session

    async def _send(
        self,
        method: str,
        call: Call,
        path: str,
        body: bytes | aiohttp.Payload | None,
        headers: Mapping[str, str],
        *,
        may_move: bool = False,
    ) -> "Answer":
        ends_at_s = asyncio.get_running_loop().time() + call.timeout_s
        try:
            session = self._session_for(call.provider)
            async with asyncio.timeout(min(call.timeout_s, call.silence_s)):
                response = await session.request(
                    method,
                    call.provider.base_url + path,
                    data=body,
                    headers=headers,
                    allow_redirects=False,
                    timeout=_TIMEOUT,
                )
        except (*BROKEN, CredenceError):
            raise UpstreamUnavailable(call.provider.name, "could not be reached") from None
        answer = Answer(call.provider.name, response, silence_s=call.silence_s, ends_at_s=ends_at_s)
        if response.status == 200 or (may_move and response.status in _MOVED):
            return answer
        async with answer:
            raise await _refusal(call, response, answer)


class Answer:
    """A provider's answer, to be read once and in time; `async with` gives its connection back.

    One timer watches all of it: aiohttp would set one for each read, which costs as much as reading does.
    """

    def __init__(
        self,
        provider_name: str,
        response: aiohttp.ClientResponse,
        *,
        silence_s: float,
        ends_at_s: float,
    ) -> None:
        self._provider_name = provider_name
        self._response = response
        self._silence_s = silence_s
        self._ends_at_s = ends_at_s
        self._loop = asyncio.get_running_loop()
        self._waits_since_s: float | None = None
        """Since when the read under way waits. Between reads it is us who are silent."""
        self._watch()

    @property
    def headers(self) -> Mapping[str, str]:
        """What stands above the answer; names in any case."""
        return self._response.headers

    @property
    def moved_to(self) -> str | None:
        """Where a redirect leads, perhaps nowhere; None for what is no redirect."""
        return self._response.headers.get("location", "") if self._response.status in _MOVED else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._response.release()

    async def to_object(self) -> dict[str, Any]:
        """The whole answer as a JSON object that can be written again. Raise UpstreamUnavailable."""
        try:
            # This parser knows no numbers and half characters that could not be written again: better found out before
            # the charge than after it.
            answer = msgspec.json.decode(await self.read_all(ANSWER_BYTES_MAX))
        except TooLong:
            # No failure of the route: the request asked for so much, and would anywhere.
            what = "gave an answer that is too long to be passed on"
            raise UpstreamUnavailable(self._provider_name, what, fault=Fault.UNFIT) from None
        except (*BROKEN, ValueError, RecursionError):
            raise UpstreamUnavailable(self._provider_name, "broke off or garbled its answer") from None
        if not isinstance(answer, dict):
            raise UpstreamUnavailable(self._provider_name, "gave an answer that is no object")
        return answer

    async def to_bytes(self, bytes_max: int) -> bytes:
        """The whole answer as it came. Raise UpstreamUnavailable."""
        try:
            return await self.read_all(bytes_max)
        except TooLong:
            what = "gave an answer that is too long to be kept"
            raise UpstreamUnavailable(self._provider_name, what, fault=Fault.UNFIT) from None
        except BROKEN:
            raise UpstreamUnavailable(self._provider_name, "broke off its answer") from None

    async def read(self) -> bytes:
        """The next piece as it comes, empty at the end. May raise BROKEN."""
        self._waits_since_s = self._loop.time()
        piece = await self._response.content.readany()
        self._waits_since_s = None
        return piece

    async def read_all(self, bytes_max: int) -> bytes:
        """The whole body. May raise BROKEN, and TooLong when it is longer than `bytes_max`."""
        body = bytearray()
        while piece := await self.read():
            body += piece
            if len(body) > bytes_max:
                raise TooLong
        return bytes(body)

    def close(self) -> None:
        """Drop the connection; a provider that notices stops writing."""
        self._timer.cancel()
        self._response.close()

    def _watch(self) -> None:
        """Break off what takes too long or is silent for too long; look again when that may next be so."""
        now_s = self._loop.time()
        due_at_s = min((self._waits_since_s or now_s) + self._silence_s, self._ends_at_s)
        if due_at_s > now_s:
            self._timer = self._loop.call_at(due_at_s, self._watch)
        else:
            self._response.content.set_exception(TimeoutError())
            self._response.close()


async def _refusal(call: Call, response: aiohttp.ClientResponse, answer: Answer) -> CredenceError:
    try:
        body = await answer.read_all(REFUSAL_BYTES_MAX)
    except (*BROKEN, TooLong):
        body = b""
    return refusal_of(call, status=response.status, headers=response.headers, body=body)
