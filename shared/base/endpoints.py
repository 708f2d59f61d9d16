"""Endpoints of an operator's own: servers that speak OpenAI's wire, such as Ollama, llama.cpp or vLLM.

Written as one JSON list: `[{"name": "ollama", "base_url": "http://127.0.0.1:11434/v1", "key": "any"}]`.
"""

import json
from typing import Annotated

from msgspec import Meta

from shared.base.body import LAST, Body, Misshapen, shape
from shared.base.secret import Secret

ENDPOINTS_MAX = 32
_Name = Annotated[str, Meta(pattern=rf"^[a-z][a-z0-9_-]{{0,31}}{LAST}")]
_Address = Annotated[str, Meta(pattern=rf"^https?://[!-~]{{1,2000}}{LAST}")]


class Endpoint(Body, frozen=True, kw_only=True):
    """One of them. The catalog's routes name it by `name`."""

    name: _Name
    base_url: _Address
    key: Secret = Secret("none")
    """Servers at home often ask for none, but their clients always send one."""

    @property
    def is_https(self) -> bool:
        """True when the key cannot be read on its way."""
        return self.base_url.startswith("https://")


class Endpoints(Body, frozen=True, kw_only=True):
    """All of them."""

    custom_providers: Annotated[list[Endpoint], Meta(max_length=ENDPOINTS_MAX)]


def parse_endpoints(text: Secret | None) -> list[Endpoint]:
    """The endpoints in a setting; none when it is absent. Raise ValueError, which repeats no value of it."""
    if text is None:
        return []
    try:
        endpoints = shape(Endpoints, {"custom_providers": json.loads(text.reveal())}).custom_providers
    except Misshapen as fault:
        raise ValueError(f"CUSTOM_PROVIDERS: {fault.place}: {fault.reason}") from None
    except (ValueError, RecursionError):
        raise ValueError("CUSTOM_PROVIDERS is not JSON") from None
    if len({endpoint.name for endpoint in endpoints}) < len(endpoints):
        raise ValueError("CUSTOM_PROVIDERS: two endpoints have one name")
    return endpoints
