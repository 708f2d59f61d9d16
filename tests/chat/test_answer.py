"""Whole answers: what the client gets, and what it is charged."""

from typing import Any

import pytest

from tests.chat.builders import TEXT_MODEL, VISION_MODEL, function_tool, image, request_of, says, text
from tests.chat.conftest import FUNDS_MICROS, Shop
from tests.providers import fake


async def test_an_answer_is_charged_by_its_reported_usage(shop: Shop) -> None:
    """Body as the provider gave it, with the cost beside its usage; headers tell charge, route, receipt, balance."""
    shop.first.replies.append(fake.whole(fake.completion("Hello.", usage=fake.usage(10, 20))))

    answer = await shop.chats().answer(shop.asking(), request_of(max_tokens=50))

    (entry,) = shop.captures()
    details = {"charged_micros": 30, "receipt_id": entry.entry_id}
    assert answer.body == {
        **fake.completion("Hello."),
        "usage": {**fake.usage(10, 20), "cost": 0.00003, "cost_details": details},
    }
    assert answer.headers == {
        "x-credence-model": TEXT_MODEL.id,
        "x-credence-provider": "first",
        "x-credence-route": "first=answered",
        "x-credence-attempts": "1",
        "x-credence-cache": "off",
        "x-credence-cost-micros": "30",
        "x-credence-receipt": entry.entry_id,
        "x-credence-balance-micros": str(FUNDS_MICROS - 30),
        "x-ratelimit-limit-requests": "600",
        "x-ratelimit-remaining-requests": "599",
        "x-ratelimit-reset-requests": "60s",
    }
    facts = dict(entry.facts)
    assert (facts["model"], facts["provider"], facts["upstream_model"]) == (TEXT_MODEL.id, "first", "first/model")
    assert (facts["prompt_tokens"], facts["completion_tokens"], facts["usage_source"]) == ("10", "20", "reported")
    assert (facts["outcome"], facts["request_id"], facts["attempts"]) == ("finished", "req_1", "1")


async def test_a_report_beyond_the_quote_is_charged_as_the_quote(shop: Shop) -> None:
    """The client agreed to no more."""
    shop.first.replies.append(fake.whole(fake.completion(usage=fake.usage(10**7, 10**7))))

    await shop.chats().answer(shop.asking(), request_of())

    (entry,) = shop.captures()
    assert -entry.delta_micros == int(dict(entry.facts)["held_micros"])


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": -5, "completion_tokens": -5}, "lots"])
async def test_an_answer_without_a_usable_usage_is_estimated_and_says_so(shop: Shop, usage: object) -> None:
    """The client is told the counts it was charged for."""
    shop.first.replies.append(fake.whole(fake.completion("x" * 400, usage=usage)))

    answer = await shop.chats().answer(shop.asking(), request_of())

    (entry,) = shop.captures()
    told = answer.body["usage"]
    assert dict(entry.facts)["usage_source"] == "estimated"
    assert told["completion_tokens"] == 100
    assert told["total_tokens"] == told["prompt_tokens"] + 100 == told["cost_details"]["charged_micros"]


@pytest.mark.parametrize(
    "body",
    [
        fake.completion(""),
        fake.completion(None, usage=fake.usage(10, 0)),
        fake.completion("", usage=fake.usage(10, 0)),
    ],
)
async def test_no_output_is_free(shop: Shop, body: dict[str, Any]) -> None:
    """No entry is posted, and the answer says that it cost nothing."""
    shop.first.replies.append(fake.whole(body))

    answer = await shop.chats().answer(shop.asking(), request_of())

    assert not shop.captures()
    assert answer.body["usage"]["cost"] == 0
    assert answer.headers["x-credence-cost-micros"] == "0"
    assert "x-credence-receipt" not in answer.headers


async def test_tools_images_and_choices_pass_both_ways(shop: Shop) -> None:
    """Nothing of the wire format is lost between client and provider."""
    calls = [{"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    body = fake.completion(None, tool_calls=calls, usage=fake.usage())
    shop.first.replies.append(fake.whole(body))
    tools = [function_tool()]
    messages = [says([text("what is it?"), image(detail="low")])]
    request = request_of(*messages, model=VISION_MODEL.id, tools=tools, tool_choice="auto", n=2, seed=1)

    answer = await shop.chats().answer(shop.asking(), request)

    (asked,) = shop.first.asked
    assert answer.body["choices"][0]["message"]["tool_calls"] == calls
    assert asked.payload == {
        "model": "first/model",
        "messages": messages,
        "tools": tools,
        "tool_choice": "auto",
        "n": 2,
        "seed": 1,
        "max_tokens": 4_096,
    }
    held = int(dict(shop.captures()[0].facts)["held_micros"])
    assert held >= VISION_MODEL.image_tokens_max + 2 * 4_096


@pytest.mark.parametrize("streamed", [False, True])
async def test_what_the_account_may_still_begin_is_told(shop: Shop, streamed: bool) -> None:
    """In OpenAI's headers, counted by the ledger, so exactly, whichever process answers."""
    left = []
    for _ in range(3):
        shop.first.replies.append(fake.stream(*fake.hello()) if streamed else fake.whole(fake.completion("x")))
        if streamed:
            stream = await shop.stream(request_of(stream=True))
            await stream.close()
            headers = stream.headers
        else:
            headers = dict((await shop.chats().answer(shop.asking(), request_of())).headers)
        left.append(headers["x-ratelimit-remaining-requests"])

    assert left == ["599", "598", "597"]
