"""What a row may say: bounds, prices, names. Nothing that could be sold for nothing is a row."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.base.body import Misshapen, shape
from shared.base.units import UNITS_PER_RATE, Unit
from shared.catalog.models import PRICE_MICROS_MAX, SOLD_BY, TOKENS_MAX, Modality, Model, Price
from shared.catalog.rules import digest_of, read_edit
from shared.catalog.source import compile_source
from tests.catalog.builders import model, price, row

KINDS = [name for name in Price.__struct_fields__ if name != "sure"]
prices = st.dictionaries(st.sampled_from(KINDS), st.integers(1, PRICE_MICROS_MAX))
junk = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.text(max_size=5)
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
)


@pytest.mark.parametrize(
    "fields",
    [
        {"price": {"prompt_micros_per_mtok": 0, "completion_micros_per_mtok": 1}},
        {"price": {"prompt_micros_per_mtok": 1, "completion_micros_per_mtok": -1}},
        {"price": {"prompt_micros_per_mtok": 1, "completion_micros_per_mtok": 2**63}},
        {"price": {"prompt_micros_per_mtok": 1, "completion_micros_per_mtok": PRICE_MICROS_MAX + 1}},
        {"price": {"prompt_micros_per_mtok": 1.0, "completion_micros_per_mtok": 1}},
        {"price": {"prompt_micros_per_mtok": True, "completion_micros_per_mtok": 1}},
        {"price": {"prompt_micros_per_mtok": 1}},
        {"price": {"completion_micros_per_mtok": 1}},
        {"price": {"image_micros": 1}},
        {"price": {}},
        {"price": {"prompt_per_token": 1}},
        {"price": {"prompt_micros_per_mtok": 1, "completion_micros_per_mtok": 1, "cached_micros_per_mtok": 2}},
        {"modality": "image", "output_tokens_max": 0},
        {"modality": "speech", "price": {"image_micros": 1}},
        {"modality": "video", "price": {"audio_second_micros": 1}},
        {"context_tokens": 0},
        {"context_tokens": TOKENS_MAX + 1},
        {"context_tokens": 99},
        {"modality": "smell"},
        {"output_tokens_max": 0},
        {"output_tokens_max": 1_001},
        {"modality": "vision", "image_tokens_max": 0},
        {"video_seconds": [4]},
        {"capabilities": ["tool"]},
        {"colour": "blue"},
        {"id": ""},
        {"id": "maker/"},
        {"id": "maker//model"},
        {"id": "../secrets"},
        {"id": "maker/model?x"},
        {"id": "maker/model\n"},
        {"id": "a/b/c/d"},
        {"added": "2026-13-01"},
        {"routes": [{"provider": "huggingface", "model": "x"}, {"provider": "huggingface", "model": "y"}]},
        {"routes": [{"provider": "", "model": "x"}]},
    ],
)
def test_a_row_that_could_not_be_sold_is_refused(fields: dict[str, Any]) -> None:
    """Prices and bounds of zero, half a price, typing errors: found when it loads, not when somebody finds out."""
    with pytest.raises(Misshapen):
        shape(Model, row(**fields))


@given(modality=st.sampled_from(Modality), given=prices)
def test_a_row_is_one_exactly_when_all_that_its_modality_sells_has_a_price(
    modality: Modality, given: dict[str, int]
) -> None:
    """And a token from a cache costs no more than another."""
    cached, prompt = given.get("cached_micros_per_mtok"), given.get("prompt_micros_per_mtok")
    sold = set(SOLD_BY[modality]) <= given.keys() and (cached is None or (prompt is not None and cached <= prompt))
    fields = row(modality=modality.value, price=given, image_tokens_max=1)

    if sold:
        assert shape(Model, fields).price == Price(**given)
    else:
        with pytest.raises(Misshapen):
            shape(Model, fields)


@given(given=prices)
def test_a_rate_is_the_price_of_a_million_units(given: dict[str, int]) -> None:
    """No kind is lost, and none is rounded."""
    rates = Price(**given).rates()

    assert rates.get(Unit.PROMPT_TOKEN) == given.get("prompt_micros_per_mtok")
    assert rates.get(Unit.COMPLETION_TOKEN) == given.get("completion_micros_per_mtok")
    assert rates.get(Unit.IMAGE, 0) == given.get("image_micros", 0) * UNITS_PER_RATE
    assert rates.get(Unit.AUDIO_MS, 0) * 1_000 == given.get("audio_second_micros", 0) * UNITS_PER_RATE
    assert rates.get(Unit.VIDEO_MS, 0) * 1_000 == given.get("video_second_micros", 0) * UNITS_PER_RATE
    assert len(rates) == len(given)
    assert all(0 < rate < 2**63 for rate in rates.values())


@given(one=prices, other=prices, sure=st.booleans())
def test_only_the_price_itself_names_its_version(one: dict[str, int], other: dict[str, int], sure: bool) -> None:
    """Whether we are sure of a price is not part of it."""
    assert (digest_of(Price(**one)) == digest_of(Price(**other))) == (one == other)
    assert digest_of(Price(**one)) == digest_of(Price(**one, sure=sure))


@given(prices=st.dictionaries(st.sampled_from(KINDS), junk), enabled=junk, version=junk)
def test_whatever_is_stored_as_an_edit_is_read_as_a_model_that_can_be_sold_or_not_at_all(
    prices: dict[str, object], enabled: object, version: object
) -> None:
    """Nothing else comes out of it: no free side, no other model, no other error."""
    row = model()
    stored = {"price": prices, "enabled": enabled, "price_version": version}
    try:
        edited = read_edit(row, stored)
    except ValueError:
        return
    assert edited.price is not None
    assert all(type(rate) is int and rate > 0 for rate in edited.price.rates().values())
    assert {Unit.PROMPT_TOKEN, Unit.COMPLETION_TOKEN} <= edited.price.rates().keys()
    assert (edited.id, edited.routes, edited.context_tokens) == (row.id, row.routes, row.context_tokens)
    assert type(edited.enabled) is bool


def test_what_else_stands_beside_an_edit_changes_nothing() -> None:
    """An edit is a price and a state; a document has more fields, and somebody may add some."""
    stored = {"price": {"prompt_micros_per_mtok": 2, "completion_micros_per_mtok": 3}, "enabled": True}
    edited = read_edit(model(), {**stored, "price_version": "7", "routes": [], "context_tokens": 1, "x": None})

    assert edited == model(price={"prompt_micros_per_mtok": 2, "completion_micros_per_mtok": 3}, price_version="7")


SOURCE = """
[terms.huggingface]
pooling = false
reason = "No."
[terms.openrouter]
pooling = true
reason = "Yes."
[[models]]
id = "maker/model"
name = "A model"
modality = "text"
context_tokens = 1000
output_tokens_max = 100
price = { prompt_micros_per_mtok = 1, completion_micros_per_mtok = 1 }
routes = [{ provider = "huggingface", model = "x" }]
added = "2026-11-21"
"""


def test_a_source_is_compiled_with_the_terms_of_its_providers() -> None:
    """One provider that allows pooling is enough: a key serves its own provider's route."""
    two = SOURCE.replace('model = "x" }', 'model = "x" }, { provider = "openrouter", model = "y" }')

    [alone], [both] = compile_source(SOURCE), compile_source(two)

    assert (alone.pooling, alone.pooling_reason) == (False, "huggingface: No.")
    assert (both.pooling, both.pooling_reason) == (True, "huggingface: No. openrouter: Yes.")
    assert alone.price_version == digest_of(price(1))


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ('provider = "huggingface"', 'provider = "hugginface"', "no terms of hugginface"),
        ('routes = [{ provider = "huggingface", model = "x" }]', "routes = []", "at least one route"),
        ("price = { prompt_micros_per_mtok = 1, completion_micros_per_mtok = 1 }", "", "a row has a price"),
        ('modality = "text"', 'modality = "vision"\nimage_tokens_max = 5', "capability vision"),
        ("output_tokens_max = 100", "output_tokens_max = 1001", "longer than"),
    ],
)
def test_a_source_with_a_row_that_is_none_names_it(was: str, becomes: str, told: str) -> None:
    """A typing error is found with the row's id, when it is compiled."""
    with pytest.raises(ValueError, match=rf"maker/model: .*{told}"):
        compile_source(SOURCE.replace(was, becomes))
