"""A request of OpenAI's Responses API as its clients send it, and the answer with its charge."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from shared.base.body import Body, ForeignBody
from shared.chat.models import MESSAGES_MAX, TOKENS_ASKED_MAX, TOOLS_MAX

METADATA_MAX = 16
"""Pairs of metadata, as OpenAI has it, and the lengths below too."""
INCLUDES_MAX = 16
_Word = Annotated[str, Meta(max_length=64)]


class Reasoning(Body, frozen=True, kw_only=True):
    """How much the model is to think. A summary is told wherever the provider gives one."""

    effort: _Word | None = None
    summary: _Word | None = None
    generate_summary: _Word | None = None


class TextFormat(Body, frozen=True, kw_only=True):
    """The form of the answer's text."""

    type: Literal["text", "json_object", "json_schema"]
    name: _Word | None = None
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class Text(Body, frozen=True, kw_only=True):
    """What the answer's text is to be."""

    format: TextFormat | None = None
    verbosity: _Word | None = None


class FunctionTool(Body, frozen=True, kw_only=True):
    """A function that the model may call."""

    type: Literal["function"]
    name: Annotated[str, Meta(min_length=1, max_length=128)]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ResponseRequest(ForeignBody, frozen=True, kw_only=True):
    """The fields we read. Any other is refused by its name, since nothing is passed on that was not translated."""

    model: Annotated[str, Meta(min_length=1, max_length=200)]
    input: str | Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=MESSAGES_MAX)]
    instructions: str | None = None
    max_output_tokens: Annotated[int, Meta(ge=1, le=TOKENS_ASKED_MAX)] | None = None
    temperature: float | None = None
    top_p: float | None = None
    text: Text | None = None
    reasoning: Reasoning | None = None
    tools: Annotated[list[dict[str, Any]], Meta(max_length=TOOLS_MAX)] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    metadata: (
        Annotated[
            dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]],
            Meta(max_length=METADATA_MAX),
        ]
        | None
    ) = None
    include: Annotated[list[str], Meta(max_length=INCLUDES_MAX)] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    """All that OpenAI has here is a padding against those who measure events on their way; ours have none."""
    store: bool | None = None
    """Accepted, since it is OpenAI's default, and told as false: nothing is stored."""
    background: bool | None = None
    truncation: str | None = None
    service_tier: str | None = None
    credence_cache: Literal["use"] | None = None
    """Ours, as in a chat."""


class Response(Struct, frozen=True):
    """A whole answer: the body to send, and headers that tell the charge and the route."""

    body: dict[str, Any]
    headers: Mapping[str, str]
