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
SAMPLE_BITS_FLOAT = (32, 64)
WAV_NAMES = (".wav", ".wave")
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_KIND_END = bytes.fromhex("000000001000800000aa00389b71")
"""What follows the kind in the GUID of an extensible format; another end is another format."""
_BESIDE = frozenset({b"LIST", b"JUNK", b"PAD ", b"PEAK", b"bext", b"fact"})
"""Chunks that say nothing of how the sound is written. Others may: `XMA2` overrides the format for some decoders."""
_CHUNKS_MAX = 64
SPOKEN_LETTERS_PER_S = 20
"""Fast speech, some 200 words a minute. For estimates only."""
_SYLLABLES_FROM, _LETTERS_OF_SYLLABLE = "\u2e80", 3
"""From here on stand the scripts of East Asia, in which a character is a syllable or a word."""


def longest_ms(content: bytes, name: str) -> int:
    """The longest that the recording can be: exact for plain WAV, else at the thriftiest rate there is.

    Some decoders go by the file's name: to them plain WAV under another name would be another sound.
    """
    exact = wav_ms(content) if name.lower().endswith(WAV_NAMES) else None
    return _ms(len(content), WORST_BYTES_PER_S) if exact is None else exact


def usual_ms(content: bytes, name: str, text: str) -> int:
    """How long the recording probably is, by its bytes or by what was said in it, whichever is longer: a client can
    press a recording into few bytes, but nobody says much in little time.
    """
    exact = wav_ms(content) if name.lower().endswith(WAV_NAMES) else None
    if exact is not None:
        return exact
    letters = sum(_LETTERS_OF_SYLLABLE if character >= _SYLLABLES_FROM else 1 for character in text)
    return max(_ms(len(content), USUAL_BYTES_PER_S), _ms(letters, SPOKEN_LETTERS_PER_S))


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
    second, decoders overlook, and a client could make it small. None also for what decoders read differently: of two
    formats some take the first and some the last, and some do not know that a chunk of odd length is filled up.
    """
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return None
    place, bytes_per_s = 12, None
    for _ in range(_CHUNKS_MAX):
        name, length = content[place : place + 4], content[place + 4 : place + 8]
        if len(length) < 4:
            return None
        size = int.from_bytes(length, "little")
        if name == b"data":
            return bytes_per_s and _ms(len(content) - place - 8, bytes_per_s)
        if name == b"fmt " and bytes_per_s is None:
            bytes_per_s = _wav_bytes_per_s(content[place + 8 : place + 8 + size])
            plain = bytes_per_s is not None
        else:
            plain = name in _BESIDE
        if size % 2 or not plain:
            return None
        place += 8 + size
    return None


def _wav_bytes_per_s(head: bytes) -> int | None:
    if len(head) < 16:
        return None
    kind, channels, sample_rate, _, _, bits = struct.unpack("<HHIIHH", head[:16])
    if kind == _EXTENSIBLE and head[26:40] == _KIND_END:
        kind = int.from_bytes(head[24:26], "little")
    known = (kind == _PCM and bits in SAMPLE_BITS) or (kind == _FLOAT and bits in SAMPLE_BITS_FLOAT)
    plain = known and 1 <= channels <= CHANNELS_MAX
    return sample_rate * channels * bits // 8 if plain and sample_rate in SAMPLE_RATES else None


def _ms(size: int, per_s: int) -> int:
    return max(1, -(-size * MS_PER_S // per_s))


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
