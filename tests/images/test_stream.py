"""Pictures that are shown while they are painted: what the client gets, and who pays when it does not get it all."""

from typing import Any

import pytest

from shared.calls.stream import WorkStream
from shared.images.stream import COMPLETED, PARTIAL
from shared.providers.models import DisconnectPolicy
from tests.chat.conftest import Shop
from tests.chat.wire import read_named
from tests.images.builders import PICTURE_MICROS, PNG, images_of, request_of
from tests.providers import fake

DRAIN, ESTIMATE, FREE = DisconnectPolicy
PARTIALS: list[dict[str, Any]] = [{"type": PARTIAL, "b64_json": PNG, "partial_image_index": place} for place in (0, 1)]
FINISHED: dict[str, Any] = {"type": COMPLETED, "b64_json": PNG, "usage": {"total_tokens": 9}}
PAINTED = fake.stream(*map(fake.event, [*PARTIALS, FINISHED]))
STREAMED = {"stream": True, "partial_images": 2}


async def stream_of(shop: Shop) -> WorkStream:
    return await images_of(shop).stream(shop.asking(), request_of(**STREAMED))


async def test_a_picture_arrives_in_steps_and_is_charged_once(shop: Shop) -> None:
    """Partial ones as they came; the finished one tells the cost."""
    shop.first.replies.append(PAINTED)

    stream = await stream_of(shop)
    *partials, finished = await read_named(stream)

    (entry,) = shop.captures()
    details = {"charged_micros": PICTURE_MICROS, "receipt_id": entry.entry_id}
    assert partials == PARTIALS
    assert finished == {
        **FINISHED,
        "usage": {"total_tokens": 9, "images": 1, "cost": 0.04, "cost_details": details},
    }
    assert stream.headers["x-credence-receipt"] == entry.entry_id
    assert await shop.spent_micros() == PICTURE_MICROS
    assert shop.first.asked[0].payload["partial_images"] == 2


@pytest.mark.parametrize(
    ("policy", "events", "outcome"),
    [
        # Before anything was shown, the provider's bill decides.
        (DRAIN, 0, "abandoned"),
        (ESTIMATE, 0, None),
        (FREE, 0, None),
        # Who has seen an unfinished picture pays for it, unless the provider asks nothing either.
        (DRAIN, 1, "abandoned"),
        (ESTIMATE, 1, "abandoned"),
        (FREE, 1, None),
        # The finished one was charged before it was sent.
        (DRAIN, 3, "finished"),
        (ESTIMATE, 3, "finished"),
        (FREE, 3, "finished"),
    ],
)
async def test_leaving_is_charged_as_the_providers_policy_says(
    shop: Shop, policy: DisconnectPolicy, events: int, outcome: str | None
) -> None:
    """At every stage of a picture, and never twice."""
    shop.first.policy = policy
    shop.first.replies.append(PAINTED)
    stream = await stream_of(shop)
    relay = stream.events()
    for _ in range(events):
        await anext(relay)

    await stream.close()

    assert [dict(entry.facts)["outcome"] for entry in shop.captures()] == ([outcome] if outcome else [])
    assert await shop.spent_micros() == (PICTURE_MICROS if outcome else 0)


@pytest.mark.parametrize(
    "ending",
    [
        fake.cut(*map(fake.event, PARTIALS)),
        fake.stream(*map(fake.event, PARTIALS)),
        fake.stream(*map(fake.event, PARTIALS), fake.DONE),
        fake.stream(*map(fake.event, [*PARTIALS, {"type": "error", "error": {"message": "no"}}])),
        fake.stream(*map(fake.event, [*PARTIALS, {"type": COMPLETED, "b64_json": ""}])),
        fake.stream(*map(fake.event, PARTIALS), b"data: no json\n\n"),
    ],
)
async def test_a_picture_that_is_never_finished_is_free(shop: Shop, ending: fake.Reply) -> None:
    """The client is told so in OpenAI's form, and none of the provider's own words."""
    shop.first.replies.append(ending)

    *partials, fault = await read_named(await stream_of(shop))

    assert partials == PARTIALS
    assert fault["error"]["code"] == "upstream_unavailable"
    assert "Nothing was charged." in fault["error"]["message"]
    assert await shop.spent_micros() == 0


@pytest.mark.parametrize("broken", [fake.cut, fake.stream])
async def test_a_drain_that_finds_no_picture_charges_for_what_was_shown(shop: Shop, broken: Any) -> None:
    """Nothing was: it is free."""
    shop.first.policy = DRAIN
    shop.first.replies.append(broken(*map(fake.event, PARTIALS)))

    await (await stream_of(shop)).close()

    assert await shop.spent_micros() == 0
