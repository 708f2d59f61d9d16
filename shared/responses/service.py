"""A response of OpenAI's Responses API: asked as a chat, told as a response. All that costs is the chat's."""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.base.clock import Clock
from shared.base.errors import CredenceError
from shared.calls.models import Asking
from shared.chat.again import StreamAgain
from shared.chat.service import Chats
from shared.chat.stream import ChatStream
from shared.responses.asked import chat_of, name_here
from shared.responses.models import Response, ResponseRequest
from shared.responses.told import ResponseTeller, Telling, response_of


class Responses:
    """Answers responses, on any model that chats. Keeps none of them."""

    def __init__(self, chats: Chats, clock: Clock) -> None:
        self._chats = chats
        self._clock = clock

    async def answer(self, asking: Asking, request: ResponseRequest) -> Response:
        """The whole response, charged. Nothing is charged when this raises anything but ClientLeft."""
        telling = Telling(request, asking.request_id, self._clock)
        with _names_of_responses():
            answer = await self._chats.answer(asking, chat_of(request))
        return Response(response_of(telling, answer.body), answer.headers)

    async def stream(self, asking: Asking, request: ResponseRequest) -> ChatStream | StreamAgain:
        """A response under way. Raises like `answer` until the provider has begun; afterwards the stream tells."""
        telling = Telling(request, asking.request_id, self._clock)
        with _names_of_responses():
            return await self._chats.stream(asking, chat_of(request), ResponseTeller(telling))


@contextmanager
def _names_of_responses() -> Iterator[None]:
    """Let refusals name fields as the client knows them."""
    try:
        yield
    except CredenceError as error:
        error.param = name_here(error.param)
        raise
