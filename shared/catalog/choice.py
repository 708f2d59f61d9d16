"""Which model is taken where none was named."""

from collections.abc import Iterable, Set

from shared.catalog.models import Capability, Modality, Model


def cheapest(
    models: Iterable[Model],
    models_allowed: frozenset[str] | None,
    modalities: Set[Modality],
    *,
    without: Set[Capability] = frozenset(),
) -> Model | None:
    """The model with the lowest rates of those that fit; None when none does."""
    fit = [
        model
        for model in models
        if model.modality in modalities
        and model.price is not None
        and (models_allowed is None or model.id in models_allowed)
        and not model.capabilities & without
    ]
    return min(fit, key=_cost, default=None)


def _cost(model: Model) -> tuple[int, str]:
    rates = model.price.rates() if model.price else {}
    return sum(rates.values()), model.id
