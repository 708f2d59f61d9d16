"""Rows of a catalog and changes of them, for tests."""

from typing import Any

from shared.base.body import shape
from shared.catalog.editor import Change
from shared.catalog.models import Model, Price
from shared.catalog.service import Catalog, Edits
from tests.ledger.builders import Ticker

REAL = {"huggingface", "openrouter"}


def row(**fields: Any) -> dict[str, Any]:
    """A row as it is written, of a model that chats."""
    return {
        "id": "maker/model",
        "name": "A model",
        "modality": "text",
        "context_tokens": 1_000,
        "output_tokens_max": 100,
        "price": {"prompt_micros_per_mtok": 1, "completion_micros_per_mtok": 1},
        "routes": [{"provider": "huggingface", "model": "x"}],
        "added": "2026-11-21",
        **fields,
    }


def model(**fields: Any) -> Model:
    """The same as a row of a catalog."""
    return shape(Model, row(**fields))


def catalog_of(
    *rows: dict[str, Any], providers: set[str] = REAL, edits: Edits | None = None, clock: Ticker | None = None
) -> Catalog:
    """A catalog of these rows."""
    return Catalog([shape(Model, fields) for fields in rows], providers, edits, clock or Ticker())


def price(micros: int, **prices: int) -> Price:
    """A price of so many micros, for prompts and answers alike."""
    return Price(prompt_micros_per_mtok=micros, completion_micros_per_mtok=micros, **prices)


def change(expected_version: int = 0, **fields: Any) -> Change:
    """An operator's change of the price to five micros."""
    defaults = {"price": price(5), "enabled": None, "by": "service:olga", "why": "a new list price"}
    return Change(expected_version=expected_version, **(defaults | fields))
