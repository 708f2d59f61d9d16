"""Texts that are told while a recording is written down: what the client gets, and who pays when it does not stay."""

from typing import Any

import pytest

from shared.providers.models import DisconnectPolicy
from shared.speech.stream import DELTA, DONE
from tests.chat.conftest import Shop
from tests.chat.wire import read_named
from tests.providers import fake
from tests.speech.builders import MODEL, QUICK, heard, request_of, speech_of

DRAIN, ESTIMATE, FREE = DisconnectPolicy
DELTAS: list[dict[str, Any]] = [{"type": DELTA, "delta": text} for text in ("Hello ", "there.")]
USED = {"type": "tokens", "input_tokens": 20, "input_token_details": {"audio_tokens": 20}, "output_tokens": 4}
"""Twenty tenths of a second."""
FINISHED: dict[str, Any] = {"type": DONE, "text": "Hello there.", "usage": USED}
WRITTEN = fake.stream(*map(fake.event, [*DELTAS, FINISHED]), fake.DONE)
REPORTED, ESTIMATED = 2_000, 1_875


async def stream_of(shop: Shop, model: str = QUICK.id) -> Any:
    return await speech_of(shop).stream(shop.asking(), request_of(model=model, stream="true"))


async def test_a_text_arrives_in_pieces_and_is_charged_once(shop: Shop) -> None:
    """The pieces as they came; the last event tells the length and the cost."""
    shop.first.replies.append(WRITTEN)

    stream = await stream_of(shop)
    *deltas, done = await read_named(stream)

    (entry,) = shop.captures()
    facts = dict(entry.facts)
    cost = {"cost": 0.002, "cost_details": {"charged_micros": REPORTED, "receipt_id": entry.entry_id}}
    assert deltas == DELTAS
    assert done == {**FINISHED, "usage": {**USED, "audio_ms": 2_000, **cost}}
    assert stream.headers["x-credence-receipt"] == entry.entry_id
    assert (facts["outcome"], facts["audio_ms"], facts["usage_source"]) == ("finished", "2000", "reported")
    assert await shop.spent_micros() == REPORTED
    assert shop.first.asked[0].payload["stream"] == ["true"]


async def test_the_charge_stands_before_the_text_is_done(shop: Shop) -> None:
    """Who has read the end of a stream can read its receipt."""
    shop.first.replies.append(WRITTEN)
    stream = await stream_of(shop)

    charged_at = [len(shop.captures()) async for _ in stream.events()]
    await stream.close()

    assert charged_at == [0, 0, 1]


async def test_a_model_that_waits_tells_its_text_at_once(shop: Shop) -> None:
    """Charged before; the provider is not asked for a stream."""
    shop.first.replies.append(fake.whole(heard(duration=2)))

    stream = await stream_of(shop, MODEL.id)
    charged = len(shop.captures())
    delta, done = await read_named(stream)

    (entry,) = shop.captures()
    assert charged == 1
    assert delta == {"type": DELTA, "delta": "Hello there."}
    assert (done["type"], done["text"]) == (DONE, "Hello there.")
    assert done["usage"]["cost_details"] == {"charged_micros": 2_000, "receipt_id": entry.entry_id}
    assert stream.headers["x-credence-receipt"] == entry.entry_id
    assert "stream" not in shop.first.asked[0].payload


@pytest.mark.parametrize("model", [MODEL.id, QUICK.id])
async def test_silence_is_told_and_charged_by_its_length(shop: Shop, model: str) -> None:
    """The client is told that it is done."""
    silence = {**FINISHED, "text": ""}
    shop.first.replies.append(fake.stream(fake.event(silence)) if model == QUICK.id else fake.whole(heard("")))

    (done,) = await read_named(await stream_of(shop, model))

    assert done["text"] == ""
    assert await shop.spent_micros() == done["usage"]["cost_details"]["charged_micros"] > 0


@pytest.mark.parametrize(
    ("policy", "events", "charged", "outcome"),
    [
        # The provider has the recording and bills its length, whether any of the text was read or not.
        (DRAIN, 0, REPORTED, "abandoned"),
        (ESTIMATE, 0, ESTIMATED, "abandoned"),
        (FREE, 0, 0, None),
        (DRAIN, 1, REPORTED, "abandoned"),
        (ESTIMATE, 1, ESTIMATED, "abandoned"),
        (ESTIMATE, 2, ESTIMATED, "abandoned"),
        (FREE, 2, 0, None),
        # The end was charged before it was sent.
        (DRAIN, 3, REPORTED, "finished"),
        (ESTIMATE, 3, REPORTED, "finished"),
        (FREE, 3, REPORTED, "finished"),
    ],
)
async def test_leaving_is_charged_as_the_providers_policy_says(
    shop: Shop, policy: DisconnectPolicy, events: int, charged: int, outcome: str | None
) -> None:
    """At every stage, and never twice."""
    shop.first.policy = policy
    shop.first.replies.append(WRITTEN)
    stream = await stream_of(shop)
    relay = stream.events()
    for _ in range(events):
        await anext(relay)

    await stream.close()

    assert [dict(entry.facts)["outcome"] for entry in shop.captures()] == ([outcome] if outcome else [])
    assert await shop.spent_micros() == charged


async def test_who_has_read_much_and_leaves_heard_a_long_recording(shop: Shop) -> None:
    """Pressed into few bytes it looks short; what was said of it does not."""
    shop.first.replies.append(fake.stream(fake.event({"type": DELTA, "delta": "x" * 100}), fake.event(FINISHED)))
    stream = await stream_of(shop)
    relay = stream.events()
    await anext(relay)

    await stream.close()

    assert await shop.spent_micros() == 5_000


@pytest.mark.parametrize(
    "ending",
    [
        fake.cut(*map(fake.event, DELTAS)),
        fake.stream(*map(fake.event, DELTAS), fake.DONE),
        fake.stream(*map(fake.event, [*DELTAS, {"type": "error", "error": {"message": "no"}}])),
        fake.stream(*map(fake.event, [*DELTAS, {"type": DONE, "text": None}])),
        fake.stream(*map(fake.event, DELTAS), b"data: no json\n\n"),
    ],
)
async def test_a_text_that_is_never_finished_is_free(shop: Shop, ending: fake.Reply) -> None:
    """The client is told so in OpenAI's form, and none of the provider's own words."""
    shop.first.replies.append(ending)

    *deltas, fault = await read_named(await stream_of(shop))

    assert deltas == DELTAS
    assert fault["error"]["code"] == "upstream_unavailable"
    assert "Nothing was charged." in fault["error"]["message"]
    assert await shop.spent_micros() == 0
