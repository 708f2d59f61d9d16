"""A model's call as its endpoint answers it: streamed where the request says so, else whole."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from starlette.responses import Response

from shared.calls.models import Asking
from shared.web.answers import json_response
from shared.web.sse import EventSource, EventStreamResponse


class _Asked(Protocol):
    @property
    def stream(self) -> bool | None: ...


class _Stream(EventSource, Protocol):
    @property
    def headers(self) -> Mapping[str, str]: ...


class _Whole(Protocol):
    @property
    def body(self) -> Mapping[str, Any]: ...

    @property
    def headers(self) -> Mapping[str, str]: ...


_Request = TypeVar("_Request", bound=_Asked, contravariant=True)


class Calls(Protocol[_Request]):
    """Whatever makes calls of one sort: chats, responses, pictures."""

    async def stream(self, asking: Asking, request: _Request) -> _Stream: ...

    async def answer(self, asking: Asking, request: _Request) -> _Whole: ...


async def call(calls: Calls[_Request], asking: Asking, request: _Request) -> Response:
    """The call's answer, with the headers that tell its charge and route. Raise what the call does."""
    if request.stream:
        stream = await calls.stream(asking, request)
        return EventStreamResponse(stream, stream.headers)
    return whole(await calls.answer(asking, request))


def whole(answered: _Whole) -> Response:
    """An answer that is there already."""
    return json_response(answered.body, headers=answered.headers)
