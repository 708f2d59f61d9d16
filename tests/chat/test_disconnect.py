"""Clients that leave: what is charged then, at every stage of a stream."""

import asyncio
import json
from typing import Any

import msgspec
import pytest

from shared.catalog.models import Capability
from shared.catalog.service import Catalog
from shared.chat.models import ChatRequest
from shared.chat.service import ChatStream
from shared.providers.models import DisconnectPolicy
from tests.chat.builders import MILLION, TEXT_MODEL, VISION_MODEL, image, model_of, request_of, says, text
from tests.chat.conftest import Shop
from tests.providers import fake

DRAIN, ESTIMATE, FREE = DisconnectPolicy
SAID = [fake.chunk("", role="assistant"), *(fake.chunk("x" * 40) for _ in range(3)), fake.chunk(finish="stop")]
STREAM = fake.stream(*map(fake.event, SAID), fake.event(fake.usage_chunk(1_000, 50)), fake.DONE)
REPORTED, PROMPT_ONLY = 1_050, -1
STREAMED = {"stream": True}


def estimated(request: ChatRequest, words: int) -> int:
    """What we count for so many words of forty bytes: a token for every four bytes, the prompt's JSON included."""
    prompt_bytes = len(json.dumps(request.messages, separators=(",", ":"))) + len("[null,{}]")
    return -(-prompt_bytes // 4) + 10 * words


async def read_and_leave(stream: ChatStream, events: int) -> None:
    """Read so many events, then leave as the response does: the generator stays where it is."""
    relay = stream.events()
    for _ in range(events):
        await anext(relay)
    await stream.close()


@pytest.mark.parametrize(
    ("policy", "events", "charged"),
    [
        # Before the first event, and after the role only: the provider has read the prompt, and bills that.
        (DRAIN, 0, REPORTED),
        (DRAIN, 1, REPORTED),
        (ESTIMATE, 0, PROMPT_ONLY),
        (ESTIMATE, 1, PROMPT_ONLY),
        (FREE, 0, 0),
        (FREE, 1, 0),
        # In the middle.
        (DRAIN, 3, REPORTED),
        (ESTIMATE, 2, 1),
        (ESTIMATE, 3, 2),
        (FREE, 3, 0),
        # After the finish, before `[DONE]`: the answer is whole, so it is charged as such, whatever the policy.
        (DRAIN, 5, REPORTED),
        (ESTIMATE, 5, REPORTED),
        (FREE, 5, REPORTED),
        # After `[DONE]`: charged already, and not again.
        (DRAIN, 6, REPORTED),
        (ESTIMATE, 6, REPORTED),
        (FREE, 6, REPORTED),
    ],
)
async def test_leaving_is_charged_as_the_providers_policy_says(
    shop: Shop, policy: DisconnectPolicy, events: int, charged: int
) -> None:
    """At every stage of a stream. Small numbers count words that we had to estimate, none of them with the prompt."""
    shop.first.policy = policy
    shop.first.replies.append(STREAM)
    request = request_of(**STREAMED)

    await read_and_leave(await shop.stream(request), events)

    words = max(charged, 0)
    assert await shop.spent_micros() == (charged if charged in (0, REPORTED) else estimated(request, words))
    for entry in shop.captures():
        facts = dict(entry.facts)
        left_early = events < 6
        assert facts["outcome"] == ("abandoned" if left_early else "finished")
        assert facts.get("disconnect_policy") == (policy.value if left_early else None)


@pytest.mark.parametrize("events", [0, 1, 2, 4])
async def test_a_model_that_thinks_is_read_to_its_end(shop: Shop, events: int) -> None:
    """Its thoughts are billed and not shown: who leaves when the words have come, or before, would not pay for them."""
    thinker = msgspec.structs.replace(TEXT_MODEL, capabilities=frozenset({Capability.REASONING}))
    shop.catalog = Catalog([thinker], {"first"})
    said = [*map(fake.event, SAID), fake.event(fake.usage_chunk(1_000, 4_000)), fake.DONE]
    shop.first.replies.append(fake.stream(*said))

    await read_and_leave(await shop.stream(request_of(**STREAMED)), events)

    (entry,) = shop.captures()
    facts = dict(entry.facts)
    assert (facts["prompt_tokens"], facts["completion_tokens"]) == ("1000", "4000")
    assert (facts["outcome"], facts["disconnect_policy"]) == ("abandoned", "drain")


async def test_leaving_fills_no_providers_cache_for_nothing(shop: Shop) -> None:
    """Anthropic counts the prompt, and what of it went into its cache, before the first word."""
    model = model_of(cache_write_micros_per_mtok=2 * MILLION, providers=("first",))
    shop.catalog = Catalog([model], {"first"})
    written = {**fake.usage(700, 1), "prompt_tokens_details": {"cache_creation_tokens": 600}}
    shop.first.replies.append(fake.stream(*map(fake.event, [{**SAID[0], "usage": written}, *SAID[1:]]), fake.DONE))

    await read_and_leave(await shop.stream(request_of(**STREAMED)), 1)

    assert await shop.spent_micros() == 100 + 2 * 600 + 1


@pytest.mark.parametrize("policy", list(DisconnectPolicy))
async def test_a_stream_that_is_left_is_hung_up(shop: Shop, policy: DisconnectPolicy) -> None:
    """A provider must not write on for nobody: its connection closes even if it would never end."""
    shop.first.policy = policy
    shop.first.replies.append(fake.hang(*map(fake.event, SAID[:3])))

    await read_and_leave(await shop.stream(request_of(**STREAMED), silence_timeout_s=0.2), 2)

    async with asyncio.timeout(5):
        while not shop.first.written:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("broken", [fake.cut, fake.stream, fake.hang])
async def test_a_drain_that_breaks_charges_what_came(shop: Shop, broken: Any) -> None:
    """All that was read counts, delivered or not: the policy says that the provider bills it."""
    shop.first.policy = DRAIN
    shop.first.replies.append(broken(*map(fake.event, SAID[:4])))
    request = request_of(**STREAMED)

    await read_and_leave(await shop.stream(request, silence_timeout_s=0.2), 1)

    assert await shop.spent_micros() == estimated(request, 3)


async def test_pictures_are_paid_by_those_who_leave(shop: Shop) -> None:
    """The provider has looked at them before its first word."""
    shop.first.replies.append(STREAM)
    request = request_of(says([text("what?"), image()]), model=VISION_MODEL.id, **STREAMED)

    await read_and_leave(await shop.stream(request), 2)

    assert await shop.spent_micros() >= VISION_MODEL.image_tokens_max


async def test_what_a_provider_counted_so_far_is_charged_with_what_came_after(shop: Shop) -> None:
    """Some count the prompt at the start and the answer only at its end."""
    shop.first.replies.append(
        fake.stream(*map(fake.event, [{**SAID[0], "usage": fake.usage(700, 1)}, *SAID[1:]]), fake.DONE)
    )

    await read_and_leave(await shop.stream(request_of(**STREAMED)), 3)

    assert await shop.spent_micros() == 700 + 1 + 20


async def test_a_request_that_is_cancelled_gives_its_hold_back(shop: Shop) -> None:
    """Before the provider answers: nothing was delivered."""
    shop.first.replies.extend([fake.mute, fake.mute])
    chats = shop.chats()
    for ask in (chats.answer, chats.stream):
        task = asyncio.ensure_future(ask(shop.asking(), request_of()))
        async with asyncio.timeout(5):
            while len(shop.first.asked) < shop._calls:
                await asyncio.sleep(0.005)

        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task
    assert await shop.spent_micros() == 0


async def test_a_reader_that_is_cancelled_in_the_middle_is_one_that_left(shop: Shop) -> None:
    """The relay may be torn down while it waits for the provider's next word."""
    shop.first.replies.append(fake.hang(*map(fake.event, SAID[:3])))
    request = request_of(**STREAMED)
    stream = await shop.stream(request)
    seen = []

    async def relay() -> None:
        try:
            async for event in stream.events():
                seen.append(event)  # noqa: PERF401 - a comprehension that is cancelled has seen nothing
        finally:
            await stream.close()

    task = asyncio.ensure_future(relay())
    async with asyncio.timeout(5):
        while len(seen) < 3:
            await asyncio.sleep(0.005)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert await shop.spent_micros() == estimated(request, 2)
