"""A chat is charged alike whatever wire its provider speaks, finished or cut."""

from typing import Any

import pytest

from shared.providers.errors import UpstreamRefused
from shared.providers.models import DisconnectPolicy
from tests.chat.builders import request_of, says
from tests.chat.conftest import Shop
from tests.chat.wire import events_of, words_of
from tests.providers import fake
from tests.providers.native import (
    ANTHROPIC,
    COMPLETION_TOKENS,
    DIALECTS,
    GOOGLE,
    PROMPT_TOKENS,
    WORDS,
    Dialect,
    block_delta,
    message_end,
    message_start,
)

CHARGED = PROMPT_TOKENS + COMPLETION_TOKENS
each_wire = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.wire.value)


@each_wire
async def test_a_whole_answer_is_charged_as_reported(shop: Shop, dialect: Dialect) -> None:
    shop.first.wire = dialect.wire
    shop.first.replies.append(fake.whole(dialect.text))

    answer = await shop.chats().answer(shop.asking(), request_of())

    assert answer.body["choices"][0]["message"]["content"] == "".join(WORDS)
    assert answer.body["usage"]["cost_details"]["charged_micros"] == CHARGED
    assert await shop.spent_micros() == CHARGED


@each_wire
async def test_a_stream_is_charged_as_reported(shop: Shop, dialect: Dialect) -> None:
    """The client gets the words, and the usage only because it asked."""
    shop.first.wire = dialect.wire
    shop.first.replies.append(fake.stream(*dialect.text_stream))

    events = await events_of(shop, stream_options={"include_usage": True})

    assert words_of(events) == "".join(WORDS)
    assert [event["usage"]["prompt_tokens"] for event in events if event and "usage" in event] == [PROMPT_TOKENS]
    assert await shop.spent_micros() == CHARGED


@pytest.mark.parametrize(
    ("dialect", "pieces", "charged"),
    [
        # The prompt as told at the start, the token that had begun, and a token for each piece of four bytes or less.
        (ANTHROPIC, [message_start(), *(block_delta(0, "text_delta", text="word") for _ in range(3))], 1 + 3),
        # All as told by the last piece that came.
        (GOOGLE, GOOGLE.text_stream[:2], 2),
    ],
    ids=["anthropic", "google"],
)
async def test_a_cut_stream_is_charged_for_its_prompt_and_what_came(
    shop: Shop, dialect: Dialect, pieces: list[bytes], charged: int
) -> None:
    """The prompt by the provider's own count, though the provider never got to its end."""
    shop.first.wire = dialect.wire
    shop.first.replies.append(fake.cut(*pieces))

    events = await events_of(shop)

    assert events[-2]["error"]["code"] == "upstream_unavailable"
    assert await shop.spent_micros() == PROMPT_TOKENS + charged


async def test_a_cached_prompt_is_all_of_the_prompt(shop: Shop) -> None:
    """Where the catalog has no price for the cache, what was read and written costs what the rest does."""
    shop.first.wire = ANTHROPIC.wire
    begun = message_start(cache_read_input_tokens=100, cache_creation_input_tokens=20)
    shop.first.replies.append(fake.stream(begun, block_delta(0, "text_delta", text="x"), *message_end()))

    await events_of(shop)

    assert await shop.spent_micros() == CHARGED + 120


async def test_what_one_wire_cannot_say_costs_nothing(shop: Shop) -> None:
    """The request is at fault, so the hold is given back and nobody else is asked."""
    shop.first.wire = ANTHROPIC.wire
    refused: dict[str, Any] = {"response_format": {"type": "json_object"}}

    with pytest.raises(UpstreamRefused, match="response_format json_schema"):
        await shop.chats().answer(shop.asking(), request_of(says("hi"), **refused))

    assert not shop.first.asked
    assert not shop.second.asked
    assert await shop.spent_micros() == 0


async def test_a_failed_wire_is_left_for_another(shop: Shop) -> None:
    """Inside the one hold."""
    shop.first.wire, shop.first.policy = GOOGLE.wire, DisconnectPolicy.DRAIN
    shop.first.replies.append(GOOGLE.refuse(503))
    shop.second.wire = ANTHROPIC.wire
    shop.second.replies.append(fake.whole(ANTHROPIC.text))

    answer = await shop.chats().answer(shop.asking(), request_of())

    assert answer.headers["x-credence-provider"] == "second"
    assert await shop.spent_micros() == CHARGED
