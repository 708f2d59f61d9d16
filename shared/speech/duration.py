"""How long a recording is, as far as its bytes say."""

import math
import struct
from collections.abc import Mapping
from typing import Any

MS_PER_S = 1_000
WORST_BYTES_PER_S = 750
"""Opus, the thriftiest format that providers take, goes down to 6 kbit/s: no file holds more sound."""
USUAL_BYTES_PER_S = 4_000
"""A voice recorded at 32 kbit/s. For estimates only."""
AUDIO_TOKEN_MS = 100
"""OpenAI counts a token for each tenth of a second of sound (its guide to the cost of audio)."""
SECONDS_MAX = 10**9
"""No recording is longer; a provider that reports more has its report capped."""
SAMPLE_RATES = range(1_000, 384_001)
CHANNELS_MAX = 32
SAMPLE_BITS = (8, 16, 24, 32, 64)
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_CHUNKS_MAX = 64


def longest_ms(content: bytes) -> int:
    """The longest that the recording can be: exact for plain WAV, else at the thriftiest rate there is."""
    exact = wav_ms(content)
    return _ms(len(content), WORST_BYTES_PER_S) if exact is None else exact


def usual_ms(content: bytes) -> int:
    """How long the recording probably is."""
    exact = wav_ms(content)
    return _ms(len(content), USUAL_BYTES_PER_S) if exact is None else exact


def reported_ms(answer: Mapping[str, Any]) -> int | None:
    """What the provider says of the length: as such, as what it bills, or in tokens of sound. None: nothing usable."""
    reported = answer.get("usage")
    usage = reported if isinstance(reported, dict) else {}
    details = usage.get("input_token_details")
    tokens = details.get("audio_tokens") if isinstance(details, dict) else None
    for seconds in (answer.get("duration"), usage.get("seconds")):
        if (ms := _positive_ms(seconds)) is not None:
            return ms
    return tokens * AUDIO_TOKEN_MS if type(tokens) is int and tokens > 0 else None


def wav_ms(content: bytes) -> int | None:
    """The length of uncompressed WAV, rounded up; None for everything else.

    By what each sample takes and by the bytes that are there: what the header says of its own length, or of bytes in a
    second, decoders overlook, and a client could make it small.
    """
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return None
    place, bytes_per_s = 12, None
    for _ in range(_CHUNKS_MAX):
        name, length = content[place : place + 4], content[place + 4 : place + 8]
        if len(length) < 4:
            return None
        if name == b"fmt ":
            bytes_per_s = _wav_bytes_per_s(content[place + 8 : place + 34])
        if name == b"data":
            return bytes_per_s and _ms(len(content) - place - 8, bytes_per_s)
        size = int.from_bytes(length, "little")
        place += 8 + size + size % 2
    return None


def _wav_bytes_per_s(head: bytes) -> int | None:
    if len(head) < 16:
        return None
    kind, channels, sample_rate, _, _, bits = struct.unpack("<HHIIHH", head[:16])
    if kind == _EXTENSIBLE and len(head) == 26:
        kind = int.from_bytes(head[24:26], "little")
    plain = kind in (_PCM, _FLOAT) and 1 <= channels <= CHANNELS_MAX and bits in SAMPLE_BITS
    return sample_rate * channels * bits // 8 if plain and sample_rate in SAMPLE_RATES else None


def _ms(size_bytes: int, bytes_per_s: int) -> int:
    return max(1, -(-size_bytes * MS_PER_S // bytes_per_s))


def _positive_ms(seconds: object) -> int | None:
    """Some providers write the number as text."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float | str):
        return None
    try:
        number = float(seconds)
    except (ValueError, OverflowError):
        return None
    if not 0 < number < float("inf"):
        return None
    # Rounded up, but not for the error of a binary fraction.
    return max(1, math.ceil(round(min(number, SECONDS_MAX) * MS_PER_S, 3)))
