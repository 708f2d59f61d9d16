"""Recordings from request to charge, over providers that answer as scripted."""

import pytest

from shared.base.ids import RequestId
from shared.calls.models import Asking
from shared.catalog.errors import ModelNotAllowed, ModelUnknown
from shared.metering.errors import CallUnaffordable
from shared.providers.errors import UpstreamRefused, UpstreamUnavailable
from shared.routing.breaker import CALLS_MIN
from shared.speech.errors import SpeechInvalid
from tests.chat.conftest import ADA, FUNDS_MICROS, Shop
from tests.providers import fake
from tests.speech.builders import MODEL, MP3, heard, request_of, speech_of, wav

SEGMENTS = [{"start": 0, "end": 2.5, "text": "Hello there."}]


async def test_a_recording_is_charged_by_its_reported_length(shop: Shop) -> None:
    """The body as the provider gave it, with the cost; the receipt says the same."""
    shop.first.replies.append(fake.whole(heard(duration=2.5, segments=SEGMENTS)))

    told = await speech_of(shop).transcribe(shop.asking(), request_of(response_format="verbose_json", language="en"))

    (entry,) = shop.captures()
    facts = dict(entry.facts)
    cost = {"cost": 0.0025, "cost_details": {"charged_micros": 2_500, "receipt_id": entry.entry_id}}
    usage = {"type": "duration", "seconds": 3, "audio_ms": 2_500, **cost}
    assert told.body == {**heard(duration=2.5, segments=SEGMENTS), "usage": usage}
    assert told.headers["x-credence-cost-micros"] == "2500"
    assert told.headers["x-credence-balance-micros"] == str(FUNDS_MICROS - 2_500)
    assert (facts["model"], facts["provider"], facts["upstream_model"]) == (MODEL.id, "first", "first/ears")
    assert (facts["audio_ms"], facts["usage_source"], facts["held_micros"]) == ("2500", "reported", "10000")
    (asked,) = shop.first.asked
    assert asked.path == "/v1/audio/transcriptions"
    assert asked.payload == {
        "model": ["first/ears"],
        "response_format": ["verbose_json"],
        "language": ["en"],
        "file": ("a.mp3", "audio/mpeg", MP3),
    }


async def test_a_report_beyond_the_quote_is_charged_as_the_quote(shop: Shop) -> None:
    """A second of plain WAV is a second, whatever the provider says."""
    shop.first.replies.append(fake.whole(heard(duration=3_600)))

    await speech_of(shop).transcribe(shop.asking(), request_of(wav(32_000), name="a.wav"))

    assert await shop.spent_micros() == 1_000


@pytest.mark.parametrize(
    "report", [{}, {"duration": 0}, {"duration": -2}, {"duration": "x"}, {"usage": {"seconds": 0}}]
)
async def test_a_length_that_is_not_told_is_estimated(shop: Shop, report: dict[str, object]) -> None:
    """The receipt says so."""
    shop.first.replies.append(fake.whole(heard(**report)))

    await speech_of(shop).transcribe(shop.asking(), request_of())

    (entry,) = shop.captures()
    assert (-entry.delta_micros, dict(entry.facts)["usage_source"]) == (1_875, "estimated")


@pytest.mark.parametrize(
    ("form", "body", "media_type"),
    [
        ("text", "Hello there.\n", "text/plain"),
        ("srt", "1\n00:00:00,000 --> 00:00:02,500\nHello there.\n", "application/x-subrip"),
        ("vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:02.500\nHello there.\n", "text/vtt"),
    ],
)
async def test_text_is_told_in_the_form_that_was_asked_for(shop: Shop, form: str, body: str, media_type: str) -> None:
    """The charge then stands in the headers alone."""
    shop.first.replies.append(fake.whole(heard(duration=2.5, segments=SEGMENTS)))

    told = await speech_of(shop).transcribe(shop.asking(), request_of(response_format=form))

    assert (told.body, told.media_type) == (body, media_type)
    assert told.headers["x-credence-cost-micros"] == "2500"


async def test_silence_is_charged_as_a_recording_of_its_length(shop: Shop) -> None:
    """Providers bill the length, so hours of silence for nothing would be hours at our cost."""
    shop.first.replies.append(fake.whole(heard("", duration=9)))

    told = await speech_of(shop).transcribe(shop.asking(), request_of())

    assert isinstance(told.body, dict)
    assert told.body["usage"]["cost_details"]["charged_micros"] == 9_000
    assert await shop.spent_micros() == 9_000


@pytest.mark.parametrize(
    ("form", "reply"),
    [
        ("json", fake.refuse(500)),
        ("json", fake.drop),
        ("json", fake.whole({"text": None})),
    ],
)
async def test_a_failure_of_every_provider_is_free(shop: Shop, form: str, reply: fake.Reply) -> None:
    """The hold is given back at once."""
    shop.first.replies.extend([reply] * 10)
    shop.second.replies.extend([reply] * 10)

    with pytest.raises(UpstreamUnavailable):
        await speech_of(shop).transcribe(shop.asking(), request_of(response_format=form))

    assert await shop.spent_micros() == 0


async def test_subtitles_that_no_provider_can_make_are_asked_of_each_once(shop: Shop) -> None:
    """It is no failure of theirs: who asks for them again and again closes the route to nobody."""
    for provider in (shop.first, shop.second):
        provider.replies.extend([fake.whole(heard())] * CALLS_MIN)
    speech = speech_of(shop)

    for _ in range(CALLS_MIN):
        with pytest.raises(UpstreamRefused, match="tells no times"):
            await speech.transcribe(shop.asking(), request_of(response_format="srt"))

    assert len(shop.first.asked) == len(shop.second.asked) == CALLS_MIN
    assert await shop.spent_micros() == 0
    shop.first.replies.append(fake.whole(heard(duration=2.5)))
    assert (await speech.transcribe(shop.asking(), request_of())).headers["x-credence-provider"] == "first"


async def test_a_request_at_fault_is_free_and_asked_of_nobody_else(shop: Shop) -> None:
    """Such as a file that is no sound."""
    shop.first.replies.append(fake.refuse(400))

    with pytest.raises(UpstreamRefused):
        await speech_of(shop).transcribe(shop.asking(), request_of())

    assert not shop.second.asked


async def test_nobody_is_asked_for_what_cannot_be_paid_or_is_not_allowed(shop: Shop) -> None:
    """Each refusal comes before any provider, and holds nothing."""
    service = speech_of(shop)
    only = Asking(account_id=ADA, request_id=RequestId("req_only"), models_allowed=frozenset({"maker/other"}))

    with pytest.raises(CallUnaffordable):
        await service.transcribe(shop.asking(), request_of(bytes(800_000)))
    with pytest.raises(ModelNotAllowed):
        await service.transcribe(only, request_of())
    with pytest.raises(ModelUnknown):
        await service.transcribe(shop.asking(), request_of(model="maker/none"))
    with pytest.raises(SpeechInvalid):
        await service.transcribe(shop.asking(), request_of(b""))

    assert not shop.first.asked
