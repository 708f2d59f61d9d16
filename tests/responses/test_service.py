"""Responses from request to charge, over providers that answer as scripted: hold, capture and routes are the chat's."""

from typing import Any

import pytest

from shared.base.errors import CredenceError
from shared.chat.stream import ChatStream
from shared.ledger.models import Entry
from shared.metering.errors import CallUnaffordable
from shared.providers.models import DisconnectPolicy
from tests.chat.conftest import ADA, FUNDS_MICROS, Shop
from tests.providers import fake
from tests.providers.native import DIALECTS, WORDS, Dialect
from tests.responses.builders import TOOL, assembled, read, request_of, responses_of

STREAMED = {"stream": True}


async def events_of(shop: Shop, **fields: object) -> list[dict[str, Any]]:
    """All events of one streamed call."""
    stream = await responses_of(shop).stream(shop.asking(), request_of(**{**STREAMED, **fields}))
    try:
        return [event for piece in [piece async for piece in stream.events()] for event in read(piece)]
    finally:
        await stream.close()


def cost_of(entry: Entry) -> dict[str, Any]:
    return {"charged_micros": -entry.delta_micros, "receipt_id": entry.entry_id}


async def test_a_whole_response_is_charged_as_its_chat(shop: Shop) -> None:
    """The usage tells the cost, the headers the receipt and the route."""
    shop.first.replies.append(fake.whole(fake.completion(usage=fake.usage())))

    response = await responses_of(shop).answer(
        shop.asking(), request_of(instructions="Be brief.", max_output_tokens=50)
    )

    (entry,) = shop.captures()
    (asked,) = shop.first.asked
    assert response.body["output"][0]["content"][0]["text"] == "Hello."
    assert response.body["usage"]["cost_details"] == cost_of(entry)
    assert response.headers["x-credence-receipt"] == entry.entry_id
    assert response.headers["x-credence-provider"] == "first"
    assert response.headers["x-credence-cache"] == "off"
    assert await shop.spent_micros() == 30
    assert asked.path == "/v1/chat/completions"
    assert asked.payload == {
        "model": "first/model",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "max_tokens": 50,
    }


async def test_the_charge_stands_before_the_last_event_is_sent(shop: Shop) -> None:
    """Who has read the end of a stream can read its receipt. No `[DONE]` follows, as at OpenAI."""
    shop.first.replies.append(fake.stream(*fake.hello()))
    stream = await responses_of(shop).stream(shop.asking(), request_of(stream=True))
    charged_at: list[tuple[str, int]] = []
    events = []

    async for piece in stream.events():
        events += read(piece)
        charged_at += [(event["type"], len(shop.captures())) for event in read(piece)]
    await stream.close()

    (entry,) = shop.captures()
    assert charged_at.pop() == ("response.completed", 1)
    assert {charges for _, charges in charged_at} == {0}
    assert assembled(events).output_text == "Hello, world."
    assert events[-1]["response"]["usage"]["cost_details"] == cost_of(entry)
    assert stream.headers["x-credence-receipt"] == entry.entry_id
    assert await shop.spent_micros() == 30


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.wire.value)
@pytest.mark.parametrize("streamed", [False, True])
async def test_every_wire_answers_responses(shop: Shop, dialect: Dialect, streamed: bool) -> None:
    """Tools and all: what goes out is a chat of that wire."""
    shop.first.wire = dialect.wire
    shop.first.replies.append(fake.stream(*dialect.text_stream) if streamed else fake.whole(dialect.text))

    if streamed:
        told = (await events_of(shop, tools=[TOOL]))[-1]["response"]
    else:
        told = (await responses_of(shop).answer(shop.asking(), request_of(tools=[TOOL]))).body

    (message,) = (item for item in told["output"] if item["type"] == "message")
    assert message["content"][0]["text"] == "".join(WORDS)
    assert told["usage"]["cost_details"]["charged_micros"] == await shop.spent_micros()


async def test_an_answer_of_before_is_told_again_for_a_tenth(shop: Shop) -> None:
    """The cache is the chat's own: a response may be told what a chat was."""
    shop.first.replies.append(fake.whole(fake.completion("Hello.", usage=fake.usage())))
    service = responses_of(shop)
    first = await service.answer(shop.asking(), request_of(credence_cache="use"))

    again = await service.answer(shop.asking(), request_of(credence_cache="use"))
    events = await events_of(shop, credence_cache="use")

    assert (first.headers["x-credence-cache"], again.headers["x-credence-cache"]) == ("miss", "hit")
    assert again.body["output"][0]["content"] == first.body["output"][0]["content"]
    assert assembled(events).output_text == "Hello."
    assert await shop.spent_micros() == 30 + 3 + 3


@pytest.mark.parametrize(
    ("policy", "outcome"),
    [(DisconnectPolicy.DRAIN, "reported"), (DisconnectPolicy.ESTIMATE, "estimated"), (DisconnectPolicy.FREE, None)],
)
async def test_leaving_is_charged_as_the_providers_policy_says(
    shop: Shop, policy: DisconnectPolicy, outcome: str | None
) -> None:
    """After the first words."""
    shop.first.policy = policy
    shop.first.replies.append(fake.stream(*fake.hello()))
    stream = await responses_of(shop).stream(shop.asking(), request_of(stream=True))
    assert isinstance(stream, ChatStream)
    relay = stream.events()
    while b"output_text.delta" not in await anext(relay):
        pass

    await stream.close()

    assert [dict(entry.facts)["usage_source"] for entry in shop.captures()] == ([outcome] if outcome else [])
    assert (await shop.spent_micros() > 0) == (outcome is not None)


async def test_a_cut_stream_fails_and_charges_what_came(shop: Shop) -> None:
    """The failed response holds what was said, and its usage what that cost."""
    shop.first.replies.append(fake.cut(*fake.hello()[:4]))

    *_, last = await events_of(shop)

    (entry,) = shop.captures()
    assert last["type"] == "response.failed"
    assert last["response"]["error"]["message"].endswith("Only what was delivered was charged.")
    assert last["response"]["usage"]["cost_details"] == cost_of(entry)
    assert dict(entry.facts)["outcome"] == "cut"


async def test_a_stream_that_fails_before_any_output_is_free(shop: Shop) -> None:
    """And says that it was. These signs of life made it begin; until then another provider would be asked."""
    shop.first.replies.append(fake.cut(*[fake.event(fake.chunk(""))] * 8))

    created, _, failed = await events_of(shop)

    assert created["response"]["id"] == failed["response"]["id"]
    assert failed["response"]["usage"] is None
    assert failed["response"]["error"]["message"].endswith("Nothing was charged.")
    assert not shop.captures()


async def test_nothing_is_held_for_what_is_refused(shop: Shop) -> None:
    """A refusal of the chat names the field of the response."""
    service = responses_of(shop)
    pictures = [{"role": "user", "content": [{"type": "input_image", "image_url": "ftp://x"}]}]
    refused: list[tuple[dict[str, Any], str | None]] = [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"given": pictures, "model": "maker/eyes"}, "input"),
        ({"given": "x" * 2_000_000}, "input"),
    ]

    for fields, param in refused:
        for ask in (service.answer, service.stream):
            with pytest.raises(CredenceError) as refusal:
                await ask(shop.asking(), request_of(**fields))
            assert refusal.value.param == param

    assert not shop.first.asked
    assert (await shop.head()).balance_micros == FUNDS_MICROS


async def test_what_cannot_be_paid_says_what_could(shop: Shop) -> None:
    """By the name that the cap has here."""
    await shop.ledger.debit(ADA, FUNDS_MICROS - 1_000, key="spend", facts={})

    with pytest.raises(CallUnaffordable) as refusal:
        await responses_of(shop).answer(shop.asking(), request_of())

    assert refusal.value.param == "max_output_tokens"
    assert not shop.first.asked
