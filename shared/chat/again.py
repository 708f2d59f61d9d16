"""Telling a kept answer again instead of asking the model: which requests and answers that is for, what it costs.

Only a client that says so gets it: whoever repeats a question usually wants another answer. Kept are whole answers in
plain text that the model finished by itself; none that was cut, filtered, calls tools, or is one of several.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from shared.answers.models import KeptAnswer
from shared.answers.rules import ANSWER_BYTES_MAX, Place
from shared.answers.service import Answers
from shared.base.economy import ANSWER_AGAIN_PPM
from shared.base.ids import RequestId
from shared.base.units import Rates
from shared.catalog.models import Route
from shared.chat.models import ChatRequest, Tally
from shared.chat.told import Teller
from shared.metering.models import Quote, Usage, UsageSource
from shared.metering.rules import priced_micros, quote
from shared.providers.events import event_of
from shared.providers.models import StreamEvent

PPM = 1_000_000
NOT_OF_THE_ANSWER = frozenset({"credence_cache", "stream", "stream_options"})
"""Fields that say how an answer is sent and not what it is."""
CHUNK_CHARS = 200
"""Of an answer that is streamed again: it is all there, so it comes in few pieces."""
PLAIN = frozenset({"role", "content"})


class Lookup(Struct, frozen=True):
    """What looking for a kept answer came to. Without a place none was looked for, and none will be kept."""

    place: Place | None = None
    found: KeptAnswer | None = None

    @property
    def headers(self) -> dict[str, str]:
        """How a client is told."""
        told = "off" if self.place is None else "miss" if self.found is None else "hit"
        return {"x-credence-cache": told}


def may_be_kept(request: ChatRequest) -> bool:
    """Whether the client wants an answer to be told again, and asks for one that could be."""
    return request.credence_cache == "use" and (request.n or 1) == 1


def identity_of(request: ChatRequest) -> dict[str, Any]:
    """All of a request that its answer may depend on."""
    fields = msgspec.structs.asdict(request)
    return {name: value for name, value in fields.items() if name not in NOT_OF_THE_ANSWER and value is not None}


def quote_again(kept: KeptAnswer, rates: Rates, *, price_version: str) -> Quote:
    """What telling it again costs: a tenth of each rate, rounded up, for what making it once took."""
    cheaper = {unit: -(-rate * ANSWER_AGAIN_PPM // PPM) for unit, rate in rates.items()}
    return quote(cheaper, kept.counts, price_version=price_version)


def usage_again(kept: KeptAnswer) -> Usage:
    """The usage that is charged for, at those rates."""
    return Usage(kept.counts, UsageSource.REPORTED)


def route_of(kept: KeptAnswer) -> Route:
    """Who made it."""
    return Route(provider=kept.provider, model=kept.upstream_model)


def body_again(kept: KeptAnswer, request_id: RequestId, usage: Mapping[str, Any]) -> dict[str, Any]:
    """The answer as OpenAI tells a whole one."""
    message = {"role": "assistant", "content": kept.content, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {**_envelope(kept, request_id), "object": "chat.completion", "choices": [choice], "usage": usage}


class StreamAgain:
    """A kept answer, streamed. It is charged before it begins, so nothing is left to settle."""

    def __init__(
        self,
        kept: KeptAnswer,
        request_id: RequestId,
        *,
        usage: Mapping[str, Any],
        headers: Mapping[str, str],
        teller: Teller,
    ) -> None:
        self._kept = kept
        self._envelope = {**_envelope(kept, request_id), "object": "chat.completion.chunk"}
        self._usage = usage
        self._teller = teller
        self.headers = dict(headers)

    async def events(self) -> AsyncIterator[bytes]:
        """The answer in pieces."""
        for told in (self._teller.begin(), *map(self._teller.tell, self._chunks()), self._teller.end(self._usage)):
            if told:
                yield told
        if self._teller.last:
            yield self._teller.last

    async def close(self) -> None:
        """Nothing is held any more."""

    def _chunks(self) -> Iterator[StreamEvent]:
        yield self._chunk({"role": "assistant", "content": ""})
        for piece in _pieces(self._kept.content):
            yield self._chunk({"content": piece})
        yield self._chunk({}, finish_reason="stop")

    def _chunk(self, delta: Mapping[str, Any], finish_reason: str | None = None) -> StreamEvent:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        data = {**self._envelope, "choices": [choice]}
        return StreamEvent(event_of(data), data)


class Keeper:
    """Collects an answer while it passes, and keeps it in its place if it is one that may be told again."""

    def __init__(self, answers: Answers, place: Place, route: Route) -> None:
        self._answers = answers
        self._place = place
        self._route = route
        self._said: list[str] = []
        self._chars = 0
        self._created: object = None
        self._model: object = None
        self._plain = True
        self._stopped = False

    def add(self, chunk: Mapping[str, Any]) -> None:
        """Take note of a chunk, or of a whole answer."""
        self._created = self._created or chunk.get("created")
        self._model = self._model or chunk.get("model")
        choices = chunk.get("choices") or []
        for choice in choices if isinstance(choices, list) else [choices]:
            self._plain = self._plain and _is_plain(choice)
            if not self._plain:
                self._said.clear()
                return
            said = choice.get("message") or choice.get("delta") or {}
            self._said.append(said.get("content") or "")
            self._chars += len(self._said[-1])
            self._stopped = self._stopped or choice.get("finish_reason") == "stop"
            # Nothing longer is kept, so nothing longer is remembered.
            self._plain = self._chars <= ANSWER_BYTES_MAX

    async def keep(self, tally: Tally, usage: Usage | None, quoted: Quote) -> None:
        """Keep what was collected, once it is charged. What the provider counted wrongly or not at all has no price."""
        if not (self._plain and self._stopped and usage and usage.source is UsageSource.REPORTED and tally.reported):
            return
        if not self._chars:
            return
        if priced_micros(quoted, usage) > quoted.amount_micros:
            return
        answer = KeptAnswer(
            content="".join(self._said),
            told_model=self._model if isinstance(self._model, str) else self._route.model,
            created_s=self._created if type(self._created) is int else 0,
            provider=self._route.provider,
            upstream_model=self._route.model,
            counts=usage.counts,
            reported=tally.reported,
        )
        await self._answers.keep(self._place, answer)


def _is_plain(choice: object) -> bool:
    """Text and nothing beside it: no tools, thoughts, refusals, probabilities; not cut, and not filtered."""
    if not isinstance(choice, dict) or choice.get("logprobs") or choice.get("finish_reason") not in (None, "stop"):
        return False
    said = choice.get("message") or choice.get("delta") or {}
    return (
        isinstance(said, dict)
        and isinstance(said.get("content"), str | None)
        and not any(said[name] for name in said.keys() - PLAIN)
    )


def _pieces(content: str) -> Iterator[str]:
    yield from (content[at : at + CHUNK_CHARS] for at in range(0, len(content), CHUNK_CHARS))


def _envelope(kept: KeptAnswer, request_id: RequestId) -> dict[str, Any]:
    return {"id": f"chatcmpl-{request_id}", "created": kept.created_s, "model": kept.told_model}
