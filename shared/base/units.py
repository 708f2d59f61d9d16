"""The kinds of unit that models are sold by, and what a rate is."""

from collections.abc import Mapping
from enum import StrEnum


class Unit(StrEnum):
    """What is counted. The value names the count on receipts."""

    PROMPT_TOKEN = "prompt_tokens"  # noqa: S105 - a unit, no password
    """Tokens of the prompt that are none of the cheaper or dearer kinds below."""
    CACHED_TOKEN = "cached_tokens"  # noqa: S105
    """Tokens of the prompt that the provider read from its cache."""
    CACHE_WRITE_TOKEN = "cache_write_tokens"  # noqa: S105
    """Tokens of the prompt that it wrote to its cache for five minutes."""
    CACHE_WRITE_LONG_TOKEN = "cache_write_long_tokens"  # noqa: S105
    """The same for an hour."""
    COMPLETION_TOKEN = "completion_tokens"  # noqa: S105
    IMAGE = "images"
    AUDIO_MS = "audio_ms"
    VIDEO_MS = "video_ms"


PROMPT_KINDS = (Unit.CACHED_TOKEN, Unit.CACHE_WRITE_TOKEN, Unit.CACHE_WRITE_LONG_TOKEN)
"""Parts of a prompt that may have a rate of their own; without one they cost what the rest of the prompt does."""

UNITS_PER_RATE = 1_000_000
"""A rate is micros for so many units, so that a thousandth of a micro for a token is still an integer."""

Rates = Mapping[Unit, int]
Counts = Mapping[Unit, int]
