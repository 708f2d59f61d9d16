"""Pure decisions about the catalog: what names a price, what a change makes of a model, what seeding would write."""

import hashlib
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from shared.base.body import Body, Misshapen, shape
from shared.catalog.models import Line, Model, Price

MODELS_MAX = 500
"""Rows of a catalog: as many edits as one reading takes in, so that none is left out."""
VERSIONS_MAX = 10**6
"""A model whose price changes every minute gets there in two years; a larger number is a slip of the hand."""
Version = Annotated[int, Meta(gt=0, le=VERSIONS_MAX)]


class Edit(Body, frozen=True, kw_only=True):
    """What an operator made of a model: all of it that a row of the file does not say for ever."""

    price: Price
    enabled: bool
    price_version: Line


def digest_of(price: Price) -> str:
    """Names a price of the file on receipts, alike in every process: a hash of the kinds and what each costs."""
    prices = msgspec.structs.asdict(price)
    lines = [f"{kind}={prices[kind]}" for kind in sorted(prices) if kind != "sure" and prices[kind] is not None]
    return "file-" + hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def edited(row: Model, edit: Edit) -> Model:
    """The row with the operator's price and state. Raise ValueError when it would not be one that can be sold."""
    return msgspec.structs.replace(row, price=edit.price, enabled=edit.enabled, price_version=edit.price_version)


def read_edit(row: Model, fields: Mapping[str, object]) -> Model:
    """The row under what is stored as an edit of it. Raise ValueError, naming the place, for what is no edit of it."""
    try:
        return edited(row, shape(Edit, {name: fields.get(name) for name in Edit.__struct_fields__}))
    except Misshapen as fault:
        raise ValueError(str(fault)) from None
