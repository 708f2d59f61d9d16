"""Calls providers over OpenAI's wire format. Keys are sent to their own provider's host and nowhere else."""

import json
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import aiohttp

from shared.base.errors import CredenceError
from shared.providers.errors import Fault, UpstreamBusy, UpstreamRefused, UpstreamUnavailable
from shared.providers.models import Provider, StreamEvent

CONNECT_TIMEOUT_S = 5.0
SILENCE_TIMEOUT_S = 120.0
"""The longest a provider may say nothing; slow reasoning models think for a minute before the first token."""
CALL_TIMEOUT_S = 280.0
"""The longest call: twenty seconds inside the function's own limit, so that the charge is still made."""
ANSWER_BYTES_MAX = 32 * 1024 * 1024
REFUSAL_BYTES_MAX = 64 * 1024
EVENT_BYTES_MAX = 4 * 1024 * 1024
CONNECTIONS_MAX = 500
_REQUEST_AT_FAULT = frozenset({400, 413, 415, 422})
_MESSAGE_CHARS_MAX = 500


class Upstreams:
    """The providers configured here. Belongs to one event loop; connections are pooled across calls."""

    def __init__(self, providers: Iterable[Provider], *, silence_timeout_s: float = SILENCE_TIMEOUT_S) -> None:
        self._providers = {provider.name: provider for provider in providers}
        self._silence_timeout_s = silence_timeout_s
        self._session: aiohttp.ClientSession | None = None

    def __getitem__(self, name: str) -> Provider:
        return self._providers[name]

    async def chat(
        self, provider: Provider, payload: Mapping[str, Any], *, timeout_s: float = CALL_TIMEOUT_S
    ) -> dict[str, Any]:
        """One whole answer. Raise UpstreamRefused, UpstreamBusy or UpstreamUnavailable. Never retries."""
        async with await self._post(provider, payload, timeout_s) as response:
            try:
                answer = json.loads(await _read(response, ANSWER_BYTES_MAX))
                # Python reads numbers and half characters that it cannot write again; better known before the charge.
                json.dumps(answer, ensure_ascii=False, allow_nan=False).encode()
            except (aiohttp.ClientError, TimeoutError, ValueError, RecursionError):
                raise UpstreamUnavailable(provider.name, "broke off or garbled its answer") from None
        if not isinstance(answer, dict) or not isinstance(answer.get("choices"), list):
            raise UpstreamUnavailable(provider.name, "gave an answer that is no chat completion")
        return answer

    async def chat_stream(
        self, provider: Provider, payload: Mapping[str, Any], *, timeout_s: float = CALL_TIMEOUT_S
    ) -> "UpstreamStream":
        """An answer as it is written. Raises like `chat`, before the first event; `timeout_s` is for all of it."""
        return UpstreamStream(provider, await self._post(provider, payload, timeout_s))

    async def close(self) -> None:
        """Close the pooled connections."""
        if self._session is not None:
            await self._session.close()

    async def _post(self, provider: Provider, payload: Mapping[str, Any], timeout_s: float) -> aiohttp.ClientResponse:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX)
            self._session = aiohttp.ClientSession(connector=connector, trust_env=False)
        try:
            response = await self._session.post(
                f"{provider.base_url}/chat/completions",
                data=_encode(payload),
                headers={"authorization": f"Bearer {provider.key.reveal()}", "content-type": "application/json"},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=timeout_s, sock_connect=CONNECT_TIMEOUT_S, sock_read=self._silence_timeout_s
                ),
            )
        except (aiohttp.ClientError, TimeoutError):
            raise UpstreamUnavailable(provider.name, "could not be reached") from None
        if response.status == 200:
            return response
        try:
            raise await _refusal(provider, response)
        finally:
            response.release()


class UpstreamStream:
    """Server-sent events of one answer. Iterate it once; `async with` closes the connection."""

    def __init__(self, provider: Provider, response: aiohttp.ClientResponse) -> None:
        self.provider = provider
        self._response = response

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connection; a provider that notices stops writing."""
        self._response.close()

    async def events(self) -> AsyncIterator[StreamEvent]:
        """Every event up to and with `[DONE]`. Raise UpstreamUnavailable when the stream breaks or cannot be read."""
        pending = b""
        try:
            async for piece in self._response.content.iter_any():
                pending = (pending + piece).replace(b"\r\n", b"\n")
                *complete, pending = pending.split(b"\n\n")
                for block in complete:
                    if event := self._event(block):
                        yield event
                        if event.data is None:
                            return
                if len(pending) > EVENT_BYTES_MAX:
                    raise UpstreamUnavailable(self.provider.name, "sent an event without end")
            if event := self._event(pending):
                yield event
        except (aiohttp.ClientError, TimeoutError):
            raise UpstreamUnavailable(self.provider.name, "broke off its answer") from None

    def _event(self, block: bytes) -> StreamEvent | None:
        """The event in a block of lines, or None for comments, blanks and events without data."""
        lines = [line[5:].strip() for line in block.split(b"\n") if line.startswith(b"data:")]
        # A line break can only stand between JSON's tokens, where a space says the same and keeps one event one line.
        text = b" ".join(lines).strip()
        if not text:
            return None
        raw = b"data: " + text + b"\n\n"
        if text == b"[DONE]":
            return StreamEvent(raw, None)
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            raise UpstreamUnavailable(self.provider.name, "garbled its answer")
        return StreamEvent(raw, data)


def _encode(payload: Mapping[str, Any]) -> bytes:
    """The request's bytes. Raise UpstreamRefused for a number such as 1e999, which parsers read and JSON cannot say."""
    try:
        return json.dumps(payload, separators=(",", ":"), allow_nan=False).encode()
    except ValueError:
        raise UpstreamRefused("The request carries a number that is out of range.") from None


async def _read(response: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    """The whole body. Raise ValueError when it is longer than `bytes_max`."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > bytes_max:
            raise ValueError("the answer is too long")
    return bytes(body)


async def _refusal(provider: Provider, response: aiohttp.ClientResponse) -> CredenceError:
    """What a status other than 200 means to the caller. Only words about the caller's own request are passed on."""
    if response.status == 429:
        return UpstreamBusy(provider.name, _retry_after_ms(response.headers))
    if response.status in _REQUEST_AT_FAULT:
        return UpstreamRefused(
            f"The provider {provider.name} refused the request: {await _message(provider, response)}"
        )
    if response.status in (401, 402, 403):
        fault = Fault.KEY if response.status == 401 else Fault.DENIED
        return UpstreamUnavailable(provider.name, "does not accept our account at the moment", fault=fault)
    if response.status == 404:
        # The address and the model's name in it are ours, so it is no fault of the request.
        return UpstreamUnavailable(provider.name, "does not serve this at the moment", fault=Fault.DENIED)
    retry_after_ms = _retry_after_ms(response.headers)
    return UpstreamUnavailable(provider.name, f"failed with status {response.status}", retry_after_ms=retry_after_ms)


async def _message(provider: Provider, response: aiohttp.ClientResponse) -> str:
    try:
        said = json.loads(await _read(response, REFUSAL_BYTES_MAX))
        message = said["error"]["message"] if isinstance(said["error"], dict) else said["error"]
        return str(message).replace(provider.key.reveal(), "...")[:_MESSAGE_CHARS_MAX].encode(errors="replace").decode()
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError, RecursionError):
        return f"status {response.status}"


def _retry_after_ms(headers: Mapping[str, str]) -> int | None:
    """When to come back, in either of the forms of RFC 9110, or in OpenAI's own. None for what cannot be understood."""
    for name, unit_ms in (("retry-after-ms", 1), ("retry-after", 1000)):
        if (value := headers.get(name, "")).isascii() and value.isdigit() and len(value) < 8:
            return int(value) * unit_ms
    try:
        date = parsedate_to_datetime(headers["retry-after"])
        return max(0, round((date.timestamp() - time.time()) * 1000))
    except (KeyError, ValueError, OverflowError, OSError):
        return None
