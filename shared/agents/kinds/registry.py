"""The kinds there are. A kind's module is loaded when a job of it is started or run, and no other's."""

import importlib
from collections.abc import Mapping

from shared.agents.kind import Kind
from shared.agents.kinds.errors import KindAbsent

_PLACES: Mapping[str, str] = {
    "code": "code:CodeKind",
    "data": "data:DataKind",
    "images": "images:ImagesKind",
}
NAMES = tuple(_PLACES)


def kind_named(name: str) -> Kind:
    """Raise KindAbsent."""
    if name not in _PLACES:
        raise KindAbsent(NAMES)
    module, _, made = _PLACES[name].partition(":")
    kind: Kind = getattr(importlib.import_module(f"shared.agents.kinds.{module}"), made)()
    return kind
