"""Requests, what a stream of events says, and what the official client makes of it."""

import json
from typing import Any

import openai
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response as ClientsResponse
from openai.types.responses import ResponseStreamEvent
from pydantic import ConfigDict, TypeAdapter

from shared.base.body import shape
from shared.base.ids import RequestId
from shared.providers.events import event_of
from shared.providers.models import StreamEvent
from shared.responses.models import ResponseRequest
from shared.responses.service import Responses
from shared.responses.told import ResponseTeller, Telling
from tests.chat.builders import TEXT_MODEL
from tests.chat.conftest import Shop

NOW_S = 1_700_000_000
TOOL: dict[str, Any] = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": True}
_events: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent, config=ConfigDict(defer_build=True))


def request_of(given: object = "hi", **fields: object) -> ResponseRequest:
    """A request as it comes out of a body."""
    return shape(ResponseRequest, {"model": TEXT_MODEL.id, "input": given, **fields})


def telling_of(**fields: object) -> Telling:
    """A response that begins now."""
    return Telling(request_of(**fields), RequestId("req_1"), lambda: NOW_S * 1_000)


def teller_of(**fields: object) -> ResponseTeller:
    return ResponseTeller(telling_of(**fields))


def responses_of(shop: Shop, **timeouts: float) -> Responses:
    """The service over the shop's providers and ledger."""
    return Responses(shop.chats(**timeouts), shop.clock)


def chunk_event(data: dict[str, Any]) -> StreamEvent:
    """A chunk as the providers' side hands it on."""
    return StreamEvent(event_of(data), data)


def read(told: bytes) -> list[dict[str, Any]]:
    """The events in what was told; each says its kind twice."""
    said = []
    for block in told.decode().removesuffix("\n\n").split("\n\n"):
        kind, data = block.split("\n")
        said.append(json.loads(data.removeprefix("data: ")))
        assert kind == "event: " + said[-1]["type"]
    return said


def assembled(events: list[dict[str, Any]]) -> ClientsResponse:
    """The response as the official client puts it together, which fails on what OpenAI would not send.

    Every event has the fields that the client's own type demands, and they are numbered without a gap.
    """
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    state: Any = ResponseStreamState(text_format=openai.omit, input_tools=openai.omit)
    for event in events:
        state.handle_event(_events.validate_python(event))
    return ClientsResponse.model_validate(events[-1]["response"])
