"""Embeddings, images and transcriptions over OpenAI's wire: asked as given, checked for shape, refused like chats."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from shared.base.errors import CredenceError
from shared.base.secret import Secret
from shared.providers.errors import UpstreamBusy, UpstreamRefused, UpstreamUnavailable
from shared.providers.gateway import Upstreams
from shared.providers.models import RECORDING_BYTES_MAX, AudioForm, DisconnectPolicy, Provider, Wire
from tests.providers import fake as says
from tests.providers.fake import FakeProvider

EMBEDDING = {"object": "embedding", "index": 0, "embedding": [0.1, -0.2]}
EMBEDDINGS = {"object": "list", "data": [EMBEDDING], "usage": {"prompt_tokens": 3, "total_tokens": 3}}
IMAGES = {"created": 1, "data": [{"b64_json": "aGk="}, {"url": "https://example.com/cat.png"}]}
TRANSCRIPTION = {"text": "Hello.", "usage": {"type": "duration", "seconds": 2}}
RECORDING = AudioForm(
    model="upstream/ears",
    file_name='a "b" ☃.mp3',
    content=b"\x00\xff" * 1_000,
    media_type="audio/mpeg",
    fields=(
        ("response_format", "verbose_json"),
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
    ),
)
Ask = Callable[[Upstreams, Provider], Awaitable[Any]]
ASKS: dict[str, tuple[str, Ask, dict[str, Any]]] = {
    "embeddings": ("/v1/embeddings", lambda to, of: to.embeddings(of, {"model": "m", "input": ["a"]}), EMBEDDINGS),
    "images": ("/v1/images/generations", lambda to, of: to.images(of, {"model": "m", "prompt": "a"}), IMAGES),
    "transcription": ("/v1/audio/transcriptions", lambda to, of: to.transcription(of, RECORDING), TRANSCRIPTION),
}
each_ask = pytest.mark.parametrize(("path", "ask", "answer"), ASKS.values(), ids=ASKS)


@each_ask
async def test_an_answer_comes_as_it_was_given(
    upstreams: Upstreams, fake: FakeProvider, path: str, ask: Ask, answer: dict[str, Any]
) -> None:
    """At the provider's own address, with the key in its header."""
    fake.replies.append(says.whole(answer))

    assert await ask(upstreams, fake.provider) == answer

    (asked,) = fake.asked
    assert asked.path == path
    assert asked.headers["Authorization"] == f"Bearer {fake.provider.key.reveal()}"


@each_ask
@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, UpstreamRefused), (401, UpstreamUnavailable), (429, UpstreamBusy), (500, UpstreamUnavailable)],
)
async def test_refusals_are_those_of_chats(
    upstreams: Upstreams,
    fake: FakeProvider,
    path: str,
    ask: Ask,
    answer: dict[str, Any],
    status: int,
    kind: type[CredenceError],
) -> None:
    """One table for all that a provider is asked."""
    fake.replies.append(says.refuse(status))

    with pytest.raises(kind):
        await ask(upstreams, fake.provider)


@each_ask
@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"data": []},
        {"data": {}},
        {"data": [7]},
        {"data": [{}]},
        {"data": [{"embedding": 7, "url": None}]},
        {"text": None},
        b'{"text": "\\ud800", "data": [{"embedding": [NaN], "url": "\\ud800"}]}',
        b"WEBVTT",
    ],
)
async def test_an_answer_of_another_shape_is_a_failure(
    upstreams: Upstreams, fake: FakeProvider, path: str, ask: Ask, answer: dict[str, Any], body: object
) -> None:
    """Found before anything is charged."""
    fake.replies.append(says.whole(body))

    with pytest.raises(UpstreamUnavailable):
        await ask(upstreams, fake.provider)


@each_ask
async def test_a_provider_of_another_wire_does_not_offer_it(
    upstreams: Upstreams, fake: FakeProvider, path: str, ask: Ask, answer: dict[str, Any]
) -> None:
    """And is not asked."""
    other = Provider("other", fake.url, Secret("key"), DisconnectPolicy.FREE, Wire.ANTHROPIC)

    with pytest.raises(UpstreamUnavailable, match="does not offer"):
        await ask(upstreams, other)

    assert not fake.asked


async def test_a_recording_is_sent_whole_with_its_fields_in_order(upstreams: Upstreams, fake: FakeProvider) -> None:
    """A name that comes twice stays two fields, and a file's name cannot forge a header."""
    fake.replies.append(says.whole(TRANSCRIPTION))

    await upstreams.transcription(fake.provider, RECORDING)

    sent = fake.asked[0].payload
    assert sent["model"] == ["upstream/ears"]
    assert sent["response_format"] == ["verbose_json"]
    assert sent["timestamp_granularities[]"] == ["word", "segment"]
    assert sent["file"][1:] == ("audio/mpeg", RECORDING.content)
    assert set(sent) == {"model", "response_format", "timestamp_granularities[]", "file"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"media_type": "audio/mpeg\r\nx-evil: 1"},
        {"file_name": "a\r\nx-evil: 1"},
        {"content": b"x" * (RECORDING_BYTES_MAX + 1)},
    ],
    ids=["type", "name", "too long"],
)
async def test_a_recording_that_cannot_be_sent_is_the_clients_fault(
    upstreams: Upstreams, fake: FakeProvider, wrong: dict[str, Any]
) -> None:
    """It is refused here, and the provider not asked."""
    fields = {"model": "m", "file_name": "a.mp3", "content": b"x", "media_type": "audio/mpeg"}

    with pytest.raises(UpstreamRefused):
        await upstreams.transcription(fake.provider, AudioForm(**{**fields, **wrong}))

    assert not fake.asked


async def test_partial_images_and_text_arrive_as_events(upstreams: Upstreams, fake: FakeProvider) -> None:
    """A picture of megabytes is one event; neither stream ends with `[DONE]`."""
    partial = {"type": "image_generation.partial_image", "b64_json": "x" * 6_000_000, "partial_image_index": 0}
    finished = {"type": "image_generation.completed", "b64_json": "y", "usage": {"total_tokens": 7}}
    said = {"type": "transcript.text.delta", "delta": "Hello"}
    fake.replies += [
        says.stream(b"event: x\n" + says.event(partial), says.event(finished)),
        says.stream(says.event(said)),
    ]

    async with await upstreams.images_stream(fake.provider, {"model": "m", "stream": True}) as pictures:
        assert [event.data async for event in pictures.events()] == [partial, finished]
    async with await upstreams.transcription_stream(fake.provider, RECORDING) as text:
        assert [event.data async for event in text.events()] == [said]


@pytest.mark.parametrize(
    ("splits", "sent"), [(False, {"size": "512x768"}), (True, {"width": 512, "height": 768})], ids=str
)
async def test_a_size_is_told_as_the_provider_takes_it(
    upstreams: Upstreams, fake: FakeProvider, splits: bool, sent: dict[str, Any]
) -> None:
    """In one field or in two."""
    fake.replies.append(says.whole(IMAGES))
    provider = msgspec.structs.replace(fake.provider, splits_size=splits)

    await upstreams.images(provider, {"model": "m", "prompt": "a", "size": "512x768"})

    assert fake.asked[0].payload == {"model": "m", "prompt": "a", **sent}


async def test_fields_are_fitted_to_the_provider(fake: FakeProvider) -> None:
    """Some know a field under another name, and some refuse one that we add of our own accord."""
    provider = Provider(
        "fitted",
        fake.url,
        Secret("key"),
        DisconnectPolicy.FREE,
        renamed=(("max_tokens", "max_completion_tokens"),),
        unknown=frozenset({"stream_options"}),
    )
    upstreams = Upstreams([provider])
    fake.replies.append(says.whole(says.completion()))

    await upstreams.chat(provider, {"model": "m", "max_tokens": 7, "stream_options": {"include_usage": True}})

    assert fake.asked[0].payload == {"model": "m", "max_completion_tokens": 7}
    await upstreams.close()
