"""A provider as this process knows it, and what comes back from one."""

from enum import StrEnum
from typing import Any

from msgspec import Struct

from shared.base.secret import Secret


class DisconnectPolicy(StrEnum):
    """What we do with a provider's stream, and charge, when the client leaves before its end."""

    DRAIN = "drain"
    """The provider bills the whole answer anyway: read on, charge what it reports."""
    ESTIMATE = "estimate"
    """The provider stops when we do and reports nothing: charge for what was delivered, counted by us."""
    FREE = "free"
    """The provider does not bill an abandoned answer: charge nothing."""


class Provider(Struct, frozen=True):
    """An OpenAI-compatible endpoint and the key that opens it."""

    name: str
    base_url: str
    key: Secret
    disconnect: DisconnectPolicy


class StreamEvent(Struct, frozen=True):
    """One server-sent event: its bytes as they came, and what they say. `data` is None for `[DONE]`."""

    raw: bytes
    data: dict[str, Any] | None
