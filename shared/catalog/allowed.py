"""Whether a caller who may call some models only may call this one."""

from shared.catalog.errors import ModelNotAllowed
from shared.catalog.models import Model


def check_allowed(model: Model, models_allowed: frozenset[str] | None) -> None:
    """Raise ModelNotAllowed unless the model is one of those, by the catalog's own name; None allows all."""
    if models_allowed is not None and model.id not in models_allowed:
        raise ModelNotAllowed(model.id)
