"""What a job has made by models that its request names, and whether they make that: asked when the job is started, so
that nobody waits for a refusal, and again before each is paid for, since catalogs change.
"""

from collections.abc import Iterable

from shared.agents.desk import Filming, Painting
from shared.agents.errors import JobInvalid
from shared.base.errors import CredenceError, Kind
from shared.base.units import Unit
from shared.catalog.allowed import check_allowed
from shared.catalog.models import Modality, Model, Price
from shared.catalog.service import Catalog
from shared.images import rules as image_rules
from shared.images.models import ImageRequest

_WRONG = frozenset({Kind.INVALID, Kind.ABSENT})


def check_orders(catalog: Catalog, models_allowed: frozenset[str] | None, orders: Iterable[Painting | Filming]) -> None:
    """Raise JobInvalid, which names the parameter, for what a model does not make, or ModelNotAllowed."""
    try:
        for order in orders:
            match order:
                case Painting():
                    painted_by(catalog, models_allowed, order)
                case Filming():
                    filmed_by(catalog, models_allowed, order)
    except CredenceError as refusal:
        if refusal.kind not in _WRONG:
            raise
        raise JobInvalid(refusal.message, param=f"params.{refusal.param}") from None


def painted_by(catalog: Catalog, models_allowed: frozenset[str] | None, order: Painting) -> tuple[Model, Price]:
    """The model that paints it, and its price. Raise ModelNotAllowed, ImageInvalid, or what the catalog does."""
    model, price = catalog.model_for(order.model, {Modality.IMAGE}, {Unit.IMAGE}, "images")
    check_allowed(model, models_allowed)
    image_rules.check(request_of(order), model)
    return model, price


def filmed_by(catalog: Catalog, models_allowed: frozenset[str] | None, order: Filming) -> tuple[Model, Price]:
    """The model that films it, and its price. Raise ModelNotAllowed, JobInvalid, or what the catalog does."""
    model, price = catalog.model_for(order.model, {Modality.VIDEO}, {Unit.VIDEO_MS}, "videos")
    check_allowed(model, models_allowed)
    lengths = model.video_seconds
    if lengths and order.seconds not in lengths:
        told = ", ".join(str(seconds) for seconds in lengths)
        raise JobInvalid(f"{model.id} makes videos of these seconds only: {told}.", param="seconds")
    return model, price


def request_of(order: Painting) -> ImageRequest:
    """What is asked of images for one picture."""
    return ImageRequest(model=order.model, prompt=order.prompt, size=order.size)
