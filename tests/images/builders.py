"""Requests for pictures, what providers answer, and a model that paints."""

from typing import Any

from shared.base.body import shape
from shared.catalog.models import Capability, Modality, Model, Price, Route
from shared.images.models import ImageRequest
from shared.images.service import Images
from tests.chat.conftest import Shop

PICTURE_MICROS = 40_000
PNG = "iVBORw0KGgo="
MODEL = Model(
    id="maker/pictures",
    name="Pictures",
    modality=Modality.IMAGE,
    context_tokens=1_000,
    capabilities=frozenset({Capability.STREAMING}),
    price=Price(image_micros=PICTURE_MICROS),
    price_version="7",
    routes=tuple(Route(provider=name, model=f"{name}/pictures") for name in ("first", "second")),
    added="2026-11-21",
)


def request_of(**fields: object) -> ImageRequest:
    """A request as it comes out of a body."""
    return shape(ImageRequest, {"model": MODEL.id, "prompt": "Hello", **fields})


def painted(*pictures: object, **fields: object) -> dict[str, Any]:
    """What a provider answers."""
    return {"created": 1_700_000_000, "data": [{"b64_json": picture} for picture in pictures], **fields}


def images_of(shop: Shop) -> Images:
    """The service over the shop's providers and ledger."""
    return Images(*shop.calls(MODEL))
