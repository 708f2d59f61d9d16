"""An answer as it is kept, to be told again."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from shared.base.units import Counts


class KeptAnswer(Struct, frozen=True):
    """One whole answer in plain text, with what it took to make it."""

    content: str
    told_model: str
    """The model as the provider named it in its answer."""
    created_s: int
    """When it was made. Told again, it says so."""
    provider: str
    upstream_model: str
    counts: Counts
    reported: Mapping[str, Any]
    """The provider's usage, as it was told the first time without our cost."""
