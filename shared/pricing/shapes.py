"""What functions about prices are asked with."""

from typing import Annotated

from msgspec import Meta

from shared.base.body import LAST

ModelIdText = Annotated[str, Meta(max_length=200, pattern=rf"^[\x21-\x7e]+{LAST}")]
"""Any id, also one that the catalog has no longer: what was recorded of its price is told all the same."""
