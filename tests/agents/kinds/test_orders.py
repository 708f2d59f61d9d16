"""What kinds have made by models that their params name, and which of it is refused before there is a job."""

from typing import Any

import pytest

from shared.agents.errors import JobInvalid
from shared.agents.registry import MODULES, kind_of, params_of
from shared.agents.sales import check_orders
from shared.catalog.errors import ModelNotAllowed
from shared.catalog.service import Catalog

CHATS, PAINTS, FILMS = "google/gemma-2-2b-it", "black-forest-labs/flux-schnell", "google/veo-3.1-fast-generate-001"
VIDEO = {"prompt": "A cat sleeps.", "model": FILMS, "seconds": 4}
IMAGES = {"prompts": ["A cat.", "A dog that barks."], "model": PAINTS}


def check(kind: str, params: dict[str, Any], *, models_allowed: frozenset[str] | None = None) -> None:
    chosen = kind_of(kind)
    catalog = Catalog.from_file({"standin"})
    check_orders(catalog, models_allowed, chosen.orders(params_of(chosen, params)))


@pytest.mark.parametrize(
    ("kind", "params", "param", "told"),
    [
        ("video", {**VIDEO, "seconds": 5}, "params.seconds", "4, 6, 8"),
        ("video", {**VIDEO, "model": CHATS}, "params.model", "videos"),
        ("video", {**VIDEO, "model": "no/such"}, "params.model", "no model"),
        ("images", {**IMAGES, "model": FILMS}, "params.model", "images"),
        ("images", {**IMAGES, "size": "4096x4096"}, "params.size", "1024"),
    ],
)
def test_what_a_named_model_cannot_do_is_refused_by_the_parameters_name(
    kind: str, params: dict[str, Any], param: str, told: str
) -> None:
    with pytest.raises(JobInvalid, match=told) as refusal:
        check(kind, params)

    assert refusal.value.param == param


@pytest.mark.parametrize(("kind", "params"), [("video", VIDEO), ("images", IMAGES)])
def test_what_it_can_do_is_not_and_a_card_for_other_models_is(kind: str, params: dict[str, Any]) -> None:
    check(kind, params, models_allowed=frozenset({params["model"]}))
    with pytest.raises(ModelNotAllowed):
        check(kind, params, models_allowed=frozenset({CHATS}))


def test_kinds_that_name_no_model_order_nothing() -> None:
    """They are asked with the job's own, which is looked at besides."""
    named = {name for name in MODULES if "model" in kind_of(name).params.__struct_fields__}

    assert named == {"images", "video"}
