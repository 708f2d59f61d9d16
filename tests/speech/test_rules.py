"""How long a recording can be, what is charged for it, and in which form it is told."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.base.units import Unit
from shared.metering.models import UsageSource
from shared.metering.rules import charge_micros
from shared.providers.models import RECORDING_BYTES_MAX
from shared.speech import duration, rules
from shared.speech.errors import SpeechInvalid
from shared.speech.models import Form
from tests.chat.builders import json_values
from tests.speech.builders import MODEL, MP3, heard, request_of, wav

PCM_GUID = bytes.fromhex("0100000000001000800000aa00389b71")
TRUE_FORMAT = wav(0, rate=8_000, bits=8, before=b"")[12:36]
"""A format that some decoders go by when another follows."""
SEGMENTS = [{"start": 0, "end": 2.5, "text": " Hello\n\nthere."}, {"start": 3_661.001, "end": 3_662, "text": "Bye."}]


def quote_of(content: bytes = MP3) -> Any:
    assert MODEL.price is not None
    return rules.quote_of(request_of(content, name="a.wav"), MODEL, MODEL.price)


def test_a_second_format_makes_no_recording_shorter() -> None:
    """Half an hour at eight kilobytes a second, said to be a blink at a hundred megabytes a second."""
    liar = wav(14_400_000, rate=384_000, channels=32, bits=64, before=TRUE_FORMAT)

    assert quote_of(liar).counts_max[Unit.AUDIO_MS] >= 1_800_000


@given(
    st.integers(0, 5_000),
    st.sampled_from([8_000, 16_000, 44_100, 48_000]),
    st.integers(1, 8),
    st.sampled_from([8, 16, 24, 32]),
    st.integers(0, 2**32 - 1),
)
def test_plain_wav_is_as_long_as_its_samples(size: int, rate: int, channels: int, bits: int, told: int) -> None:
    """Whatever its header says of length or bytes in a second: a client writes that, and decoders overlook it."""
    content = wav(size, rate=rate, channels=channels, bits=bits, told_bytes=told)

    exact_ms = max(1, math.ceil(size * 1_000 / (rate * channels * bits // 8)))
    assert duration.longest_ms(content, "A.wav") == duration.usual_ms(content, "a.WAV", "Hello.") == exact_ms


@given(st.binary(min_size=1, max_size=3_000))
def test_everything_else_is_as_long_as_its_bytes_allow(content: bytes) -> None:
    """At the thriftiest rate there is; the estimate is shorter, and neither is nothing."""
    assert duration.longest_ms(content, "a.wav") >= len(content) * 1_000 / duration.WORST_BYTES_PER_S
    assert 0 < duration.usual_ms(content, "a.wav", "") <= duration.longest_ms(content, "a.wav")


def test_wav_that_is_called_otherwise_is_taken_for_the_worst() -> None:
    """A decoder that goes by the name finds another sound in it: frames of MP3 may stand where samples should."""
    assert duration.longest_ms(wav(75_000), "a.mp3") > 100_000 > duration.longest_ms(wav(75_000), "a.wav")


def test_much_text_is_no_short_recording() -> None:
    """A client can press an hour of speech into few bytes; where nobody tells its length, what was said does."""
    assert duration.usual_ms(bytes(400), "a.ogg", "x" * 1_200) == 60_000
    assert duration.usual_ms(bytes(400), "a.ogg", "\u6f22" * 400) == 60_000
    assert duration.usual_ms(bytes(400_000), "a.ogg", "x" * 1_200) == 100_000


@pytest.mark.parametrize(
    "content",
    [
        wav(400, kind=2),
        wav(400, kind=0x55),
        wav(400, rate=0),
        wav(400, rate=2**31),
        wav(400, channels=0),
        wav(400, bits=1),
        wav(400, kind=3, bits=16),
        wav(400, kind=0xFFFE),
        wav(400, kind=0xFFFE, more=bytes(8) + b"\1" + bytes(15)),
        wav(400, before=TRUE_FORMAT),
        wav(400, before=b"XMA2\4\0\0\0abcd"),
        wav(400, before=b"LIST\3\0\0\0abc\0"),
        wav(400)[:40],
        b"RIFF\0\0\0\0WAVE",
        b"RIFF\0\0\0\0WAVEdata\0\0\0\0" + bytes(400),
        b"RIFF\0\0\0\0WAVE" + b"LIST\0\0\0\0" * 100,
    ],
)
def test_wav_that_is_not_plain_is_taken_for_the_worst(content: bytes) -> None:
    """It may hold any compressed sound."""
    assert duration.wav_ms(content) is None


def test_an_extensible_format_may_be_plain_too() -> None:
    """Recorders of more than sixteen bits write it."""
    assert duration.wav_ms(wav(32_000, kind=0xFFFE, more=bytes(8) + PCM_GUID)) == 1_000


@given(
    st.dictionaries(
        st.sampled_from(["duration", "usage"]), json_values | st.fixed_dictionaries({"seconds": json_values})
    )
)
def test_no_report_charges_nothing_or_more_than_the_quote(report: dict[str, Any]) -> None:
    """Whatever a provider says of the length."""
    usage = rules.usage_of(heard(**report), request_of())

    assert usage is not None
    assert 0 < charge_micros(quote_of(), usage) <= quote_of().amount_micros == 10_000


@pytest.mark.parametrize(
    ("report", "reported_ms"),
    [
        ({"duration": 8.47}, 8_470),
        ({"duration": "8.47"}, 8_470),
        ({"duration": 2}, 2_000),
        ({"duration": 0.0001}, 1),
        ({"duration": 1e300}, duration.SECONDS_MAX * 1_000),
        ({"usage": {"type": "duration", "seconds": 3}}, 3_000),
        ({"duration": 0, "usage": {"seconds": 3}}, 3_000),
        ({"usage": {"type": "tokens", "input_token_details": {"audio_tokens": 25}}}, 2_500),
        ({"duration": 0}, None),
        ({"duration": -5}, None),
        ({"duration": "nan"}, None),
        ({"duration": "inf"}, None),
        ({"duration": True}, None),
        ({"duration": 10**400}, None),
        ({"duration": "soon", "usage": "lots"}, None),
        ({}, None),
    ],
)
def test_a_report_is_taken_when_it_can_be_one(report: dict[str, Any], reported_ms: int | None) -> None:
    """Else we estimate, and the receipt says so."""
    usage = rules.usage_of(heard(**report), request_of())

    assert usage is not None
    assert usage.count(Unit.AUDIO_MS) == (1_875 if reported_ms is None else reported_ms)
    assert usage.source is (UsageSource.ESTIMATED if reported_ms is None else UsageSource.REPORTED)


def test_silence_is_charged_by_its_length() -> None:
    """The provider has listened to it, and bills that; an unreported length is estimated by the bytes."""
    assert rules.usage_of(heard(" \n", duration=5), request_of()).counts == {Unit.AUDIO_MS: 5_000}
    assert rules.usage_of(heard(""), request_of()).counts == {Unit.AUDIO_MS: 1_875}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stream": "true", "response_format": "srt"}, "response_format"),
        ({"stream": "yes"}, "stream"),
        ({"content": b""}, "file"),
        ({"content": bytes(RECORDING_BYTES_MAX + 1)}, "file"),
        ({"File": "x"}, "File"),
        ({"MODEL": "x"}, "MODEL"),
        ({"other": {"name": "b.mp3", "media_type": "audio/mpeg", "content": b"x"}}, "other"),
        ({"more[]": [{"name": "b.mp3", "media_type": "audio/mpeg", "content": b"x"}]}, "more[]"),
        *[({name: "x"}, name) for name in rules.NOT_FOR_SALE],
    ],
)
def test_what_cannot_be_priced_is_refused(fields: dict[str, Any], param: str) -> None:
    """Another recording than the one that was weighed, first of all."""
    with pytest.raises(SpeechInvalid) as refusal:
        rules.check(request_of(**fields))
    assert refusal.value.param == param


def test_a_provider_is_sent_what_the_client_asked() -> None:
    """Under its own name for the model, with fields that we do not know; text is asked for as JSON."""
    request = request_of(
        response_format="text", stream="false", language="en", **{"timestamp_granularities[]": ["word"]}
    )
    rules.check(request)

    form = rules.upstream_form(request, "their/name")

    assert (form.model, form.file_name, form.media_type, form.content) == ("their/name", "a.mp3", "audio/mpeg", MP3)
    assert form.fields == (("response_format", "json"), ("language", "en"), ("timestamp_granularities[]", "word"))
    assert rules.upstream_form(request_of(stream="true"), "m", streamed=True).fields == (
        ("response_format", "json"),
        ("stream", "true"),
    )
    assert rules.upstream_form(request_of(response_format="srt"), "m").fields == (("response_format", "verbose_json"),)


def test_segments_become_subtitles() -> None:
    """In both formats; no text can end its block early."""
    answer = heard(segments=SEGMENTS)

    assert rules.subtitles(answer, Form.SRT) == (
        "1\n00:00:00,000 --> 00:00:02,500\nHello there.\n\n2\n01:01:01,001 --> 01:01:02,000\nBye.\n"
    )
    assert rules.subtitles(answer, Form.VTT) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:02.500\nHello there.\n\n01:01:01.001 --> 01:01:02.000\nBye.\n"
    )


@pytest.mark.parametrize(
    "segments",
    [None, "x", [None], [{}], [{"start": 0, "end": "2", "text": "a"}], [{"start": 0, "end": math.inf, "text": ""}]],
)
def test_segments_that_tell_no_time_are_none(segments: object) -> None:
    """Then the provider has not answered what was asked."""
    with pytest.raises(ValueError, match="segment"):
        rules.subtitles(heard(segments=segments), Form.SRT)
