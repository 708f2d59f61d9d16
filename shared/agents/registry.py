"""Which kinds of jobs there are. Each is loaded by whoever asks for it."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from shared.agents.errors import JobInvalid
from shared.agents.kind import Kind
from shared.base.body import Misshapen, shape

MODULES = {name: f"shared.agents.kinds.{name}" for name in ("code", "data", "images", "research", "video")}
"""A kind's module has it as `KIND`."""
Kinds = Callable[[str], Kind]
"""Gives a kind by its name, like `kind_of`."""


def kind_of(name: str) -> Kind:
    """Raise JobInvalid for one that there is not."""
    if name not in MODULES:
        raise JobInvalid(f"There is no such kind of job. There are: {', '.join(sorted(MODULES))}.", param="kind")
    kind: Kind = import_module(MODULES[name]).KIND
    return kind


def params_of(kind: Kind, given: dict[str, Any]) -> Any:
    """What a request says of a job of this kind. Raise JobInvalid."""
    try:
        return shape(kind.params, given)
    except Misshapen as fault:
        place = f"params.{fault.place}" if fault.place else "params"
        raise JobInvalid(fault.reason, param=place[:200]) from None
