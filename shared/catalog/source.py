"""Compiles `catalog.toml`, which people write, to `catalog.json`, which functions load.

Python parses TOML itself, which every cold start would pay for: docs/decisions/0015. A test fails when the two differ.
"""

import tomllib
from typing import Any

import msgspec

from shared.base.body import Body, Misshapen, shape
from shared.catalog.models import Capability, Line, Modality, Model
from shared.catalog.rules import MODELS_MAX, digest_of
from shared.catalog.service import COMPILED
from shared.catalog.terms import Terms

SOURCE = COMPILED.with_suffix(".toml")


class Source(Body, frozen=True, kw_only=True):
    """All that the file says. `terms` also says which providers there are."""

    terms: dict[Line, Terms]
    models: list[dict[str, Any]]


def compile_source(text: str) -> list[Model]:
    """The rows of a catalog as it is written. Raise ValueError, naming the row that cannot be sold, or Misshapen."""
    source = shape(Source, tomllib.loads(text))
    if len(source.models) > MODELS_MAX:
        raise ValueError(f"a catalog has at most {MODELS_MAX} rows")
    return [_compile_row(row, source.terms) for row in source.models]


def _compile_row(row: dict[str, Any], terms: dict[str, Terms]) -> Model:
    try:
        model = shape(Model, row)
        return _with_terms(model, terms)
    except (Misshapen, ValueError) as fault:
        raise ValueError(f"{row.get('id')}: {fault}") from None


def _with_terms(model: Model, terms: dict[str, Terms]) -> Model:
    """The row with what its providers' terms say, and the name of its price. Raise ValueError for what is missing."""
    if model.price is None or not model.routes:
        raise ValueError("a row has a price and at least one route")
    if (model.modality is Modality.VISION) != (Capability.VISION in model.capabilities):
        raise ValueError("a model that sees, and no other, has the capability vision")
    providers = [route.provider for route in model.routes]
    if unknown := [provider for provider in providers if provider not in terms]:
        raise ValueError(f"the file has no terms of {', '.join(unknown)}")
    return msgspec.structs.replace(
        model,
        price_version=digest_of(model.price),
        # A key serves the routes of its own provider only, so one provider that allows it is enough.
        pooling=any(terms[provider].pooling for provider in providers),
        pooling_reason=" ".join(f"{provider}: {terms[provider].reason}" for provider in providers),
    )


def to_json(models: list[Model]) -> bytes:
    """The compiled file: one row a line, so that a difference shows which one changed."""
    rows = [msgspec.json.encode(model, order="sorted") for model in models]
    return b"[\n" + b",\n".join(rows) + b"\n]\n"


def compile_terms(text: str) -> bytes:
    """The terms alone, one provider a line, for what asks of a provider and not of a model. Raise Misshapen."""
    terms = shape(Source, tomllib.loads(text)).terms
    rows = [
        msgspec.json.encode(name) + b": " + msgspec.json.encode(terms[name], order="sorted") for name in sorted(terms)
    ]
    return b"{\n" + b",\n".join(rows) + b"\n}\n"
