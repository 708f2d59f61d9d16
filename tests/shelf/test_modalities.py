"""Every kind of call is served by contributed keys, for all of them go the same way."""

from typing import Any

import pytest

from shared.ledger.models import HOUSE_REVENUE
from shared.resources.models import KEY_FACT, KeyId
from tests.chat.builders import TEXT_MODEL
from tests.chat.wire import read_named
from tests.embeddings import builders as embeddings
from tests.images import builders as images
from tests.images import test_stream as image_streams
from tests.providers import fake
from tests.responses import builders as responses
from tests.shelf.conftest import SECRET, Library, asked_with
from tests.shelf.test_lending import ANSWERED
from tests.speech import builders as speech
from tests.speech import test_stream as speech_streams


async def embed(library: Library) -> None:
    library.shop.first.replies.append(fake.whole(embeddings.embedded([0.5], usage={"prompt_tokens": 1_000})))
    await embeddings.embeddings_of(library.shop).answer(library.shop.asking(), embeddings.request_of())


async def paint(library: Library) -> None:
    library.shop.first.replies.append(fake.whole(images.painted(images.PNG)))
    await images.images_of(library.shop).answer(library.shop.asking(), images.request_of())


async def hear(library: Library) -> None:
    library.shop.first.replies.append(fake.whole(speech.heard(duration=2.5)))
    await speech.speech_of(library.shop).transcribe(library.shop.asking(), speech.request_of())


async def subtitle(library: Library) -> None:
    """A form that we make ourselves out of what the provider tells."""
    segments = [{"start": 0, "end": 1, "text": "Hello"}]
    library.shop.first.replies.append(fake.whole(speech.heard(duration=2.5, segments=segments)))
    await speech.speech_of(library.shop).transcribe(library.shop.asking(), speech.request_of(response_format="srt"))


async def paint_streamed(library: Library) -> None:
    library.shop.first.replies.append(image_streams.PAINTED)
    await read_named(await image_streams.stream_of(library.shop))


async def hear_streamed(library: Library) -> None:
    library.shop.first.replies.append(speech_streams.WRITTEN)
    await read_named(await speech_streams.stream_of(library.shop))


async def hear_at_once(library: Library) -> None:
    """A stream from a provider that has none."""
    library.shop.first.replies.append(fake.whole(speech.heard(duration=2.5)))
    await read_named(await speech_streams.stream_of(library.shop, speech.MODEL.id))


async def respond(library: Library) -> None:
    library.shop.first.replies.append(ANSWERED)
    await responses.responses_of(library.shop).answer(library.shop.asking(), responses.request_of())


async def respond_streamed(library: Library) -> None:
    library.shop.first.replies.append(fake.stream(*fake.hello()))
    stream = await responses.responses_of(library.shop).stream(library.shop.asking(), responses.request_of(stream=True))
    async for _ in stream.events():
        pass
    await stream.close()


MODELS = (TEXT_MODEL.id, embeddings.MODEL.id, images.MODEL.id, speech.MODEL.id, speech.QUICK.id)
CALLS = [
    embed,
    paint,
    paint_streamed,
    hear,
    subtitle,
    hear_streamed,
    hear_at_once,
    respond,
    respond_streamed,
]


@pytest.mark.parametrize("call", CALLS)
async def test_a_contributed_key_serves_it_and_its_owner_is_paid(library: Library, call: object) -> None:
    await library.add(models=MODELS)

    await call(library)  # type: ignore[operator]

    assert [asked_with(asked) for asked in library.shop.first.asked] == [f"{SECRET}-key1"]
    (entry,) = library.shop.captures()
    shares = {str(leg.account_id): leg.amount_micros for leg in entry.legs}
    assert dict(entry.facts)[KEY_FACT] == "key1"
    assert sum(shares.values()) == -entry.delta_micros
    assert abs(shares["earn:grace"] * 1_000 + entry.delta_micros * 765) < 1_000
    assert shares.keys() == {"earn:grace", HOUSE_REVENUE}
    await library.shelf.settle_down()
    key = library.store.keys[KeyId("key1")]
    assert key.leased_micros - key.returned_micros == -entry.delta_micros


@pytest.mark.parametrize(
    ("stream", "reply"),
    [
        (image_streams.stream_of, fake.cut(fake.event(image_streams.PARTIALS[0]))),
        (speech_streams.stream_of, fake.cut(fake.event(speech_streams.DELTAS[0]))),
    ],
)
async def test_a_work_that_a_provider_broke_off_pays_nobody_and_is_asked_of_nobody_else(
    library: Library, stream: Any, reply: fake.Reply
) -> None:
    """The platform's own key does not go on with what a contributed one began."""
    await library.add(models=MODELS)
    library.shop.first.replies.append(reply)

    await read_named(await stream(library.shop))

    assert [asked_with(asked) for asked in (*library.shop.first.asked, *library.shop.second.asked)] == [
        f"{SECRET}-key1"
    ]
    assert not library.shop.captures()
    await library.shelf.settle_down()
    key = library.store.keys[KeyId("key1")]
    assert key.leased_micros == key.returned_micros
