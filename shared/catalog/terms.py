"""What providers' terms say of deposited keys: whether they may serve other people's calls, and why."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from shared.base.body import Body

COMPILED_TERMS = Path(__file__).with_name("terms.json")
"""Made from catalog.toml by `python -m credence catalog`."""
UNCHECKED = "No terms of this provider have been checked."


class Terms(Body, frozen=True, kw_only=True):
    """What a provider's terms say of calls that somebody else's key serves."""

    pooling: bool
    reason: Annotated[str, Meta(min_length=1, max_length=500)]


def terms_of(provider: str) -> Terms:
    """The terms of one provider, as the catalog's file has them; of one that it does not know, that nobody looked."""
    known = msgspec.json.decode(COMPILED_TERMS.read_bytes(), type=dict[str, Terms])
    return known.get(provider, Terms(pooling=False, reason=UNCHECKED))
