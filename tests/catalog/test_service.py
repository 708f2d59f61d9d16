"""The catalog: the file that ships, and what of it can be called and bought."""

import datetime
from typing import Any

import pytest

from shared.base.body import Misshapen, shape
from shared.catalog.errors import ModelUnfit, ModelUnknown, ModelUnpriced
from shared.catalog.models import CHAT_MODALITIES, Modality, Model, Route
from shared.catalog.service import STANDIN, Catalog

REAL = {"huggingface", "openrouter"}
PRODUCT = {
    "meta-llama/Meta-Llama-3.1-8B-Instruct": Modality.TEXT,
    "google/gemma-2-2b-it": Modality.TEXT,
    "google/gemma-3-27b-it": Modality.VISION,
    "Qwen/Qwen2.5-VL-72B-Instruct": Modality.VISION,
    "nvidia/Nemotron-Nano-V2-12b": Modality.VISION,
    "black-forest-labs/flux-schnell": Modality.IMAGE,
    "black-forest-labs/flux-dev": Modality.IMAGE,
    "BAAI/bge-en-icl": Modality.EMBEDDING,
}
"""The models that the product names."""


def row(**fields: Any) -> dict[str, Any]:
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


def catalog_of(*rows: dict[str, Any], providers: set[str] = REAL) -> Catalog:
    return Catalog([shape(Model, fields) for fields in rows], providers)


def test_file_has_every_model_that_the_product_names() -> None:
    """Each with a price for the kind of call it answers, and served by somebody."""
    models = {model.id: model for model in Catalog.from_file(REAL).available()}

    assert {name: models[name].modality for name in PRODUCT} == PRODUCT
    for model in models.values():
        assert model.price is not None
        assert (model.price.image_micros is not None) == (model.modality is Modality.IMAGE)
        assert (model.price.completion_micros_per_mtok is not None) == (model.modality in CHAT_MODALITIES)
        assert not model.pooling
        datetime.date.fromisoformat(model.added)


def test_every_chat_model_of_the_file_can_be_called() -> None:
    """By its own id, with both of its prices."""
    catalog = Catalog.from_file({STANDIN})

    for model in catalog.available():
        if model.modality in CHAT_MODALITIES:
            assert catalog.chat_model(model.id)[0] is model


def test_standin_serves_every_model_and_only_where_it_is() -> None:
    """Locally each of them answers; without any provider there is no model at all."""
    everything = Catalog.from_file(REAL | {STANDIN})

    assert len(everything.available()) == len(Catalog.from_file({STANDIN}).available()) >= len(PRODUCT)
    assert not Catalog.from_file(set()).available()


def test_real_providers_come_before_the_standin() -> None:
    """A key in `.env` switches to real models, in the file's order."""
    catalog = Catalog.from_file(REAL | {STANDIN})
    model, _ = catalog.chat_model("google/gemma-3-27b-it")

    assert [route.provider for route in catalog.routes(model)] == ["huggingface", "openrouter", STANDIN]
    assert catalog.routes(model)[-1] == Route(provider=STANDIN, model=model.id)


def test_a_provider_without_a_key_is_absent() -> None:
    """Its models are not listed and are unknown, unless somebody else serves them."""
    catalog = Catalog.from_file({"huggingface"})
    only_openrouter = "nvidia/Nemotron-Nano-V2-12b"

    assert only_openrouter not in {model.id for model in catalog.available()}
    with pytest.raises(ModelUnknown):
        catalog.chat_model(only_openrouter)
    model, _ = catalog.chat_model("google/gemma-3-27b-it")
    assert [route.provider for route in catalog.routes(model)] == ["huggingface"]


@pytest.mark.parametrize("name", ["", "gpt-4", "META-LLAMA/Meta-Llama-3.1-8B-Instruct", "x" * 200, "../secrets"])
def test_an_unknown_model_is_a_clear_404(name: str) -> None:
    """Ids are exact; the message points at the list and repeats no more than a bit of what was asked."""
    with pytest.raises(ModelUnknown) as refusal:
        Catalog.from_file(REAL).chat_model(name)

    assert refusal.value.code == "model_not_found"
    assert "x" * 101 not in refusal.value.message


@pytest.mark.parametrize("name", ["black-forest-labs/flux-dev", "BAAI/bge-en-icl"])
def test_a_model_of_another_kind_does_not_chat(name: str) -> None:
    """Even where the stand-in would answer."""
    with pytest.raises(ModelUnfit):
        Catalog.from_file({STANDIN}).chat_model(name)


@pytest.mark.parametrize(
    "price",
    [None, {}, {"prompt_micros_per_mtok": 1}, {"completion_micros_per_mtok": 1}, {"image_micros": 1}],
)
def test_what_has_no_price_is_not_sold(price: dict[str, int] | None) -> None:
    """Half a price is none: a call would have a free side."""
    with pytest.raises(ModelUnpriced):
        catalog_of(row(price=price)).chat_model("maker/model")


@pytest.mark.parametrize(
    "fields",
    [
        {"price": {"prompt_micros_per_mtok": 0, "completion_micros_per_mtok": 1}},
        {"price": {"prompt_micros_per_mtok": 1, "completion_micros_per_mtok": -1}},
        {"price": {"prompt_per_token": 1}},
        {"context_tokens": 0},
        {"modality": "smell"},
        {"output_tokens_max": 0},
        {"modality": "vision", "image_tokens_max": 0},
        {"colour": "blue"},
    ],
)
def test_a_row_that_would_sell_for_nothing_is_refused(fields: dict[str, Any]) -> None:
    """Prices and bounds of zero, typing errors: found when the file loads, not when somebody finds out."""
    with pytest.raises(Misshapen):
        catalog_of(row(**fields))


def test_no_two_rows_share_an_id() -> None:
    """The second would silently change the first one's price."""
    with pytest.raises(ValueError, match="maker/model"):
        catalog_of(row(), row(name="Another"))
