"""What may be embedded, what it can cost, and in which form it is answered."""

import base64
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.base.body import Misshapen
from shared.base.units import Unit
from shared.catalog.models import Route
from shared.embeddings import rules
from shared.embeddings.errors import EmbeddingInvalid
from shared.embeddings.models import INPUTS_MAX
from shared.metering.models import UsageSource
from shared.metering.rules import charge_micros
from tests.chat.builders import json_values
from tests.embeddings.builders import MODEL, embedded, request_of

words = st.text(min_size=1, max_size=60)
token_lists = st.lists(st.integers(0, 2**31), min_size=1, max_size=60)
inputs = words | token_lists | st.lists(words | token_lists, min_size=1, max_size=6)
floats = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=20)


def quote_of(input: object) -> Any:
    assert MODEL.price is not None
    return rules.quote_of(request_of(input), MODEL, MODEL.price)


@given(inputs)
def test_every_form_of_input_is_taken_and_has_a_price(input: object) -> None:
    """A text, texts, tokens, and lists of tokens."""
    rules.check(request_of(input), MODEL)

    assert quote_of(input).amount_micros > 0


@given(inputs, st.none() | st.dictionaries(st.just("prompt_tokens"), json_values) | json_values)
def test_no_usage_charges_nothing_or_more_than_the_quote(input: object, usage: object) -> None:
    """Whatever a provider reports of what it embedded."""
    request = request_of(input)

    counted = rules.usage_of(embedded([1.0], usage=usage), request)

    assert 0 < charge_micros(quote_of(input), counted) <= quote_of(input).amount_micros


@given(st.lists(words | token_lists, min_size=1, max_size=6))
def test_no_text_is_counted_as_longer_than_the_model_reads(texts: list[Any]) -> None:
    """Providers cut or refuse what is longer."""
    assert quote_of([*texts, "x" * 50_000]).counts_max[Unit.PROMPT_TOKEN] <= (len(texts) + 1) * MODEL.context_tokens


@pytest.mark.parametrize("name", [*rules.NOT_FOR_SALE, "Texts"])
def test_another_input_than_the_one_that_was_weighed_is_refused(name: str) -> None:
    """Some providers would embed it in place of ours, or beside it."""
    with pytest.raises(EmbeddingInvalid) as refusal:
        rules.check(request_of("x", **{name: ["y" * 10_000]}), MODEL)
    assert refusal.value.param == name
    rules.check(request_of("x", **{name: None}), MODEL)


def test_what_is_put_before_each_text_is_held_for_with_each() -> None:
    """An instruction, say, which the provider counts as often as there are texts."""
    assert MODEL.price is not None
    request = request_of(["x", "y"], instruction="z" * 50)

    quote = rules.quote_of(request, MODEL, MODEL.price)

    assert quote.counts_max[Unit.PROMPT_TOKEN] >= min(2 * 50, 2 * MODEL.context_tokens)


@given(words)
def test_a_token_is_never_shorter_than_a_byte(text: str) -> None:
    """So the quote has room for a token at each byte, as far as the model reads."""
    utf8 = len(text.encode(errors="surrogatepass"))

    assert quote_of(text).counts_max[Unit.PROMPT_TOKEN] == min(utf8 + rules.TOKENS_OVERHEAD, MODEL.context_tokens)


@pytest.mark.parametrize("tokens", [0, -5, 1.5, True, "9", None])
def test_a_count_that_can_be_none_is_replaced_by_ours(tokens: object) -> None:
    """And the receipt will say so."""
    counted = rules.usage_of(embedded([1.0], usage={"prompt_tokens": tokens}), request_of("x" * 40))

    assert (counted.prompt_tokens, counted.source) == (10, UsageSource.ESTIMATED)


@pytest.mark.parametrize(
    "input",
    [
        "",
        [],
        [""],
        ["a", ""],
        [[]],
        [[1], []],
        [-1],
        [1, "a"],
        ["a", 1],
        [1.5],
        [True],
        [[1, -1]],
        [None],
        [{}],
        [["a"]],
    ],
)
def test_what_is_neither_text_nor_tokens_is_refused(input: object) -> None:
    """An empty text is refused too: providers do, or charge nothing for it."""
    with pytest.raises(EmbeddingInvalid) as refusal:
        rules.check(request_of(input), MODEL)
    assert refusal.value.param == "input"


@pytest.mark.parametrize("input", [None, 5, {}, True])
def test_what_is_no_input_is_no_request(input: object) -> None:
    """The body's shape says so."""
    with pytest.raises(Misshapen):
        request_of(input)


def test_too_many_texts_are_refused() -> None:
    """As many as OpenAI takes, and no more."""
    rules.check(request_of(["a"] * INPUTS_MAX), MODEL)

    with pytest.raises(EmbeddingInvalid):
        rules.check(request_of(["a"] * (INPUTS_MAX + 1)), MODEL)


@pytest.mark.parametrize(
    ("form", "dimensions", "asked", "texts"),
    [
        # OpenAI's large one, and what is not in the catalog, taken to be as long as any.
        ("float", 3_072, None, 340),
        (None, 3_072, 256, 340),
        ("base64", 3_072, None, 2_032),
        ("float", 0, None, 255),
        ("float", 8, 4_096, 255),
    ],
)
def test_more_than_fits_into_an_answer_is_refused(
    form: str | None, dimensions: int, asked: int | None, texts: int
) -> None:
    """Before a provider is asked: it would bill all of them, and its answer could not be passed on."""
    model = replace(MODEL, dimensions=dimensions, routes=(Route(provider="openai", model="x"),))
    rules.check(request_of(["a"] * texts, encoding_format=form, dimensions=asked), model)

    with pytest.raises(EmbeddingInvalid) as refusal:
        rules.check(request_of(["a"] * (texts + 1), encoding_format=form, dimensions=asked), model)

    assert refusal.value.param == "input"


def test_whoever_may_not_pack_is_taken_to_write_numbers() -> None:
    """A provider that overlooks the wish would bill an answer that nobody gets."""
    model = replace(MODEL, dimensions=3_072)

    with pytest.raises(EmbeddingInvalid):
        rules.check(request_of(["a"] * 341, encoding_format="base64"), model)


@pytest.mark.parametrize("name", ["MODEL", "Input", "Encoding_Format", "DIMENSIONS"])
def test_a_field_in_another_case_is_refused(name: str) -> None:
    """It would be read as the one that we have priced."""
    with pytest.raises(EmbeddingInvalid) as refusal:
        rules.check(request_of(**{name: "x"}), MODEL)
    assert refusal.value.param == name


def test_a_provider_is_sent_what_the_client_asked() -> None:
    """Under its own name for the model, with fields that we do not know."""
    request = request_of(["a", "b"], encoding_format="base64", dimensions=64, user="u")

    assert rules.upstream_payload(request, "their/name") == {
        "model": "their/name",
        "input": ["a", "b"],
        "encoding_format": "base64",
        "dimensions": 64,
        "user": "u",
    }
    assert rules.upstream_payload(request_of("a"), "m") == {"model": "m", "input": "a"}


@given(floats)
def test_numbers_survive_base64_and_back(numbers: list[float]) -> None:
    """Whichever form the provider knows, the client gets the one it asked for, and the same numbers."""
    (packed,) = rules.in_form(embedded(numbers), request_of(encoding_format="base64"))
    (unpacked,) = rules.in_form(embedded(packed["embedding"]), request_of(encoding_format="float"))
    (as_told,) = rules.in_form(embedded(numbers), request_of())

    assert struct.unpack(f"<{len(numbers)}f", base64.b64decode(packed["embedding"])) == tuple(numbers)
    assert unpacked["embedding"] == as_told["embedding"] == numbers


@pytest.mark.parametrize(
    "embedding",
    ["no base64!", "é", "YWJj", "AACAfw==", [1.0, "x"], [True], [None], [float("nan")], [10**400]],
)
def test_what_is_no_embedding_is_never_answered(embedding: object) -> None:
    """As numbers it could not even be written."""
    with pytest.raises(ValueError, match="an embedding"):
        rules.in_form(embedded(embedding), request_of())


def test_a_number_too_large_for_base64_is_refused() -> None:
    """There it has four bytes."""
    with pytest.raises(ValueError, match="single float"):
        rules.in_form(embedded([1e300]), request_of(encoding_format="base64"))
