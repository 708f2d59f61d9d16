"""Recordings, what providers answer, and a model that listens."""

import struct
from typing import Any

import msgspec

from shared.base.body import shape
from shared.catalog.models import Capability, Modality, Model, Price, Route
from shared.speech.models import SpeechRequest
from shared.speech.service import Speech
from tests.chat.conftest import Shop

SECOND_MICROS = 1_000
"""One micro for each millisecond: charges are lengths."""
MODEL = Model(
    id="maker/ears",
    name="Ears",
    modality=Modality.SPEECH,
    context_tokens=448,
    price=Price(audio_second_micros=SECOND_MICROS),
    price_version="7",
    routes=tuple(Route(provider=name, model=f"{name}/ears") for name in ("first", "second")),
    added="2026-11-21",
)
QUICK = msgspec.structs.replace(MODEL, id="maker/quick", capabilities=frozenset({Capability.STREAMING}))
"""It tells a text while it writes it."""
MP3 = b"ID3" + bytes(7_497)
"""At most ten seconds, probably 1,875 milliseconds."""


def request_of(content: bytes = MP3, *, name: str = "a.mp3", **fields: object) -> SpeechRequest:
    """A request as it comes out of a form."""
    file = {"name": name, "media_type": "audio/mpeg", "content": content}
    return shape(SpeechRequest, {"model": MODEL.id, "file": file, **fields})


def wav(
    samples_bytes: int,
    *,
    rate: int = 16_000,
    channels: int = 1,
    bits: int = 16,
    kind: int = 1,
    told_bytes: int = 0,
    before: bytes = b"LIST\4\0\0\0abcd",
    more: bytes = b"",
) -> bytes:
    """A WAV file of so many bytes of sound, whose header says `told_bytes` of them and a wrong rate of bytes. Chunks
    stand before its format; `more` ends that."""
    head = struct.pack("<HHIIHH", kind, channels, rate, 2**31, 1, bits) + more
    chunks = before + b"fmt " + struct.pack("<I", len(head)) + head
    data = b"data" + struct.pack("<I", told_bytes) + bytes(samples_bytes)
    return b"RIFF" + struct.pack("<I", len(chunks) + len(data) + 4) + b"WAVE" + chunks + data


def heard(text: object = "Hello there.", **fields: object) -> dict[str, Any]:
    """What a provider answers."""
    return {"text": text, **fields}


def speech_of(shop: Shop) -> Speech:
    """The service over the shop's providers and ledger."""
    return Speech(*shop.calls(MODEL, QUICK))
