"""The catalog that ships: what is in it, and that what functions load is what people wrote."""

import collections
import re
import time

import pytest

from shared.catalog.models import CHAT_MODALITIES, SOLD_BY, Capability, Modality, Model
from shared.catalog.rules import digest_of
from shared.catalog.service import COMPILED, STANDIN, Catalog
from shared.catalog.source import SOURCE, compile_source, to_json

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
PROVIDERS = {
    "openai",
    "anthropic",
    "google",
    "google-openai",
    "openrouter",
    "deepseek",
    "mistral",
    "huggingface",
    "huggingface-nebius",
    "huggingface-nscale",
    "cloudflare",
    "custom",
}
"""And the providers."""
LOAD_MS_MAX = 5.0
"""A cold start pays for it once; TOML would take four times as long."""


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    return {model.id: model for model in Catalog.from_file({STANDIN}).available()}


def test_what_is_loaded_is_what_was_written() -> None:
    """`python -m credence catalog` was run after the last change; every row was checked again by that."""
    assert COMPILED.read_bytes() == to_json(compile_source(SOURCE.read_text(encoding="utf-8")))


def test_only_chats_go_to_a_provider_whose_own_wire_has_only_chats(models: dict[str, Model]) -> None:
    """Video has no function yet."""
    for model in models.values():
        if model.modality in (Modality.EMBEDDING, Modality.IMAGE, Modality.SPEECH):
            assert not {route.provider for route in model.routes} & {"google", "anthropic"}, model.id


def test_loading_takes_no_time() -> None:
    """The best of ten, since the machine is shared."""
    times_ms = []
    for _ in range(10):
        began = time.perf_counter()
        Catalog.from_file({STANDIN})
        times_ms.append((time.perf_counter() - began) * 1000)

    assert min(times_ms) < LOAD_MS_MAX


def test_the_product_names_eight_and_there_are_more_than_eighty(models: dict[str, Model]) -> None:
    """Of every modality."""
    assert {name: models[name].modality for name in PRODUCT} == PRODUCT
    assert len(models) >= 80
    assert {model.modality for model in models.values()} == set(Modality)


def test_every_provider_serves_something(models: dict[str, Model]) -> None:
    """And no row names another."""
    served = collections.Counter(route.provider for model in models.values() for route in model.routes)

    assert served.keys() == PROVIDERS


def test_every_chat_model_can_be_called() -> None:
    """By its own id, with both of its prices."""
    catalog = Catalog.from_file({STANDIN})

    for model in catalog.available():
        if model.modality in CHAT_MODALITIES:
            assert catalog.chat_model(model.id)[0] is model


def test_a_model_has_the_prices_of_its_modality_and_no_stranger_ones(models: dict[str, Model]) -> None:
    """A text model with a price for images would be a slip of the hand."""
    parts_of_prompt = {"cached_micros_per_mtok", "cache_write_micros_per_mtok", "cache_write_long_micros_per_mtok"}
    for model in models.values():
        assert model.price is not None
        priced = {name for name in model.price.__struct_fields__ if name != "sure" and getattr(model.price, name)}
        extra = parts_of_prompt if model.modality in CHAT_MODALITIES else set()
        assert set(SOLD_BY[model.modality]) <= priced <= {*SOLD_BY[model.modality], *extra}, model.id


def test_writing_to_a_cache_costs_no_less_than_not_to(models: dict[str, Model]) -> None:
    """And for an hour no less than for five minutes: the hold counts on the dearest."""
    for model in models.values():
        assert model.price is not None
        rates = model.price.rates()
        prompt, short, long = (
            getattr(model.price, f"{kind}_micros_per_mtok") for kind in ("prompt", "cache_write", "cache_write_long")
        )
        steps = [rate for rate in (prompt, short, long) if rate is not None]
        assert steps == sorted(steps), (model.id, rates)


def test_no_key_is_pooled_and_each_row_says_why(models: dict[str, Model]) -> None:
    """The reason is that of the terms of every provider of the row."""
    for model in models.values():
        assert not model.pooling
        assert all(f"{route.provider}: " in model.pooling_reason for route in model.routes)


def test_a_price_names_its_version(models: dict[str, Model]) -> None:
    """The same price the same name, and another price another."""
    by_version: dict[str, set[object]] = {}
    for model in models.values():
        assert model.price is not None
        assert re.fullmatch(r"file-[0-9a-f]{12}", model.price_version)
        assert model.price_version == digest_of(model.price)
        by_version.setdefault(model.price_version, set()).add(frozenset(model.price.rates().items()))
    assert all(len(prices) == 1 for prices in by_version.values())


def test_a_prompt_with_an_image_is_bounded(models: dict[str, Model]) -> None:
    """One image fits the context of a model that sees; the hold of a call stays finite."""
    for model in models.values():
        assert (Capability.VISION in model.capabilities) == (model.modality is Modality.VISION)
        assert model.image_tokens_max < model.context_tokens
