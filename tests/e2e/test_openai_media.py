"""Embeddings, pictures and recordings through the official OpenAI client against the deployment."""

from typing import Any

import openai
import pytest

from local.deployment import Deployment
from local.people import Person
from local.stack import Stack
from tests.clients import add_person, answer, balance_micros, call
from tests.e2e.books import Books

EMBEDDING = "BAAI/bge-en-icl"
SPEECH, RECORDING = "openai/whisper-1", ("a.mp3", b"ID3" * 5_000, "audio/mpeg")
QUICK_SPEECH = "openai/gpt-4o-transcribe"
IMAGE, IMAGE_MICROS = "black-forest-labs/flux-schnell", 450_000


def charged_of(deployment: Deployment, member: Person, before_micros: int, usage: Any, receipt_id: str) -> int:
    """What the balance lost, after a look at the usage and the receipt: all three say the same."""
    charged = before_micros - balance_micros(deployment, member)
    receipt = answer(call(deployment, "GET", f"/v1/receipts/{receipt_id}", member.token))
    assert usage["cost_details"] == {"charged_micros": charged, "receipt_id": receipt_id}
    assert receipt["entry"]["delta_micros"] == -charged
    return charged


@pytest.mark.parametrize("form", [None, "float", "base64"])
async def test_texts_are_embedded(
    client: openai.AsyncOpenAI, deployment: Deployment, member: Person, form: Any
) -> None:
    """One embedding for each text, as numbers, however the client had them sent."""
    before = balance_micros(deployment, member)
    fields = {} if form is None else {"encoding_format": form}

    raw = await client.embeddings.with_raw_response.create(model=EMBEDDING, input=["Hello", "there"], **fields)

    parsed: Any = raw.parse()
    usage = parsed.usage.model_dump()
    assert charged_of(deployment, member, before, usage, raw.headers["x-credence-receipt"]) > 0
    assert [item.index for item in parsed.data] == [0, 1]
    assert all(isinstance(item.embedding, str if form == "base64" else list) for item in parsed.data)
    assert usage["prompt_tokens"] == usage["total_tokens"] > 0
    assert parsed.model == EMBEDDING


async def test_a_picture_is_made(client: openai.AsyncOpenAI, deployment: Deployment, member: Person) -> None:
    """What came is charged, not what was asked for: the stand-in makes one of two."""
    before = balance_micros(deployment, member)

    raw = await client.images.with_raw_response.generate(model=IMAGE, prompt="A cat", n=2, size="512x512")

    parsed: Any = raw.parse()
    usage = parsed.usage.model_dump()
    assert charged_of(deployment, member, before, usage, raw.headers["x-credence-receipt"]) == IMAGE_MICROS
    assert parsed.data[0].b64_json.startswith("iVBOR")
    assert parsed.model == IMAGE


async def test_a_dearer_picture_is_refused_in_the_clients_own_type(client: openai.AsyncOpenAI) -> None:
    """It names the field, and nothing is held."""
    with pytest.raises(openai.BadRequestError) as refusal:
        await client.images.generate(model=IMAGE, prompt="A cat", size="1536x1024")

    assert (refusal.value.code, refusal.value.param) == ("invalid_request", "size")


@pytest.mark.parametrize("form", ["json", "verbose_json"])
async def test_a_recording_is_written_down(
    client: openai.AsyncOpenAI, deployment: Deployment, member: Person, form: Any
) -> None:
    """The stand-in tells a length of two and a half seconds to those who ask for it."""
    before = balance_micros(deployment, member)

    raw = await client.audio.transcriptions.with_raw_response.create(
        model=SPEECH, file=RECORDING, response_format=form, language="en"
    )

    parsed: Any = raw.parse()
    usage = parsed.usage if isinstance(parsed.usage, dict) else parsed.usage.model_dump()
    assert charged_of(deployment, member, before, usage, raw.headers["x-credence-receipt"]) == 37_500
    assert parsed.text == "Hello from the stand-in."
    assert usage["audio_ms"] == 2_500


@pytest.mark.parametrize(
    ("form", "begins"),
    [("text", "Hello"), ("srt", "1\n00:00:00,000 --> 00:00:02,500\nHello"), ("vtt", "WEBVTT\n\n00:")],
)
async def test_a_recording_is_told_as_text(client: openai.AsyncOpenAI, form: Any, begins: str) -> None:
    """The client takes these for what they are."""
    told: Any = await client.audio.transcriptions.create(model=SPEECH, file=RECORDING, response_format=form)

    assert told.startswith(begins)


@pytest.mark.parametrize("model", [SPEECH, QUICK_SPEECH])
async def test_a_recording_is_told_in_events(
    client: openai.AsyncOpenAI, deployment: Deployment, member: Person, model: str
) -> None:
    """In pieces where the model tells them, in one where it does not; the last event has the cost."""
    before = balance_micros(deployment, member)

    raw = await client.audio.transcriptions.with_raw_response.create(model=model, file=RECORDING, stream=True)

    events: list[Any] = [event async for event in raw.parse()]
    *deltas, done = events
    usage = done.usage if isinstance(done.usage, dict) else done.usage.model_dump()
    assert charged_of(deployment, member, before, usage, raw.headers["x-credence-receipt"]) > 0
    assert done.type == "transcript.text.done"
    assert "".join(event.delta for event in deltas) == done.text == "Hello from the stand-in."
    assert (len(deltas) > 1) == (model == QUICK_SPEECH)


@pytest.mark.parametrize("kind", ["embeddings", "images", "speech"])
async def test_what_cannot_be_paid_is_refused(stack: Stack, deployment: Deployment, books: Books, kind: str) -> None:
    """402 in the client's own type, and not tried again."""
    person = add_person(stack, deployment)
    await books.fund(person, 0)
    async with openai.AsyncOpenAI(base_url=f"{deployment.url}/v1", api_key=person.token) as client:
        calls: dict[str, Any] = {
            "embeddings": lambda: client.embeddings.create(model=EMBEDDING, input="Hello"),
            "speech": lambda: client.audio.transcriptions.create(model=SPEECH, file=RECORDING),
            "images": lambda: client.images.generate(model=IMAGE, prompt="A cat"),
        }
        with pytest.raises(openai.APIStatusError) as refusal:
            await calls[kind]()

    assert (refusal.value.status_code, refusal.value.code) == (402, "insufficient_credits")
