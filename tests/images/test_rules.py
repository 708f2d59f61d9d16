"""What the price of a picture covers, and what is charged for those that came."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.base.body import Misshapen
from shared.base.units import Unit
from shared.catalog.errors import ModelUnfit
from shared.images import rules
from shared.images.errors import ImageInvalid
from shared.images.models import IMAGES_MAX, PARTIAL_IMAGES_MAX
from shared.metering.rules import charge_micros
from tests.images.builders import MODEL, PICTURE_MICROS, PNG, painted, request_of

COVERED = [None, "auto", "1024x1024", "512x512", "256x256", "2048x512", "768x1024"]
DEARER = ["1024x1025", "1536x1024", "1792x1024", "2048x2048", "99999x99999"]
NO_SIZE = ["", "big", "1024", "1024X1024", "0x0", "-5x5", "1024x1024 ", "1024x1024\n", "1e3x1e3", "٣٢x٣٢", "1024×1024"]
items = st.fixed_dictionaries({}, optional={"b64_json": st.just("") | st.just(PNG) | st.none(), "url": st.text()})


def quote_of(**fields: object) -> Any:
    assert MODEL.price is not None
    return rules.quote_of(request_of(**fields), MODEL, MODEL.price)


@given(st.integers(1, IMAGES_MAX))
def test_the_quote_is_for_all_pictures_that_are_asked_for(n: int) -> None:
    """Times the price of one."""
    assert quote_of(n=n).amount_micros == n * PICTURE_MICROS


@given(st.integers(1, IMAGES_MAX), st.lists(items, max_size=2 * IMAGES_MAX))
def test_only_pictures_that_came_are_charged_and_no_more_than_asked_for(n: int, data: list[Any]) -> None:
    """An empty one is none; when none came, the call is free."""
    usage = rules.usage_of({"data": data}, request_of(n=n))

    came = sum(bool(item.get("b64_json") or item.get("url")) for item in data)
    charged = 0 if usage is None else charge_micros(quote_of(n=n), usage)
    assert charged == min(came, n) * PICTURE_MICROS
    assert (usage is None) == (came == 0)


@pytest.mark.parametrize("size", COVERED)
def test_sizes_up_to_a_million_pixels_are_covered(size: str | None) -> None:
    """In any shape; one that is left open is sent as one that is covered."""
    request = request_of(size=size)

    rules.check(request, MODEL)

    assert rules.upstream_payload(request, "m")["size"] == ("1024x1024" if size in (None, "auto") else size)


@pytest.mark.parametrize("size", DEARER + NO_SIZE)
def test_a_size_that_may_be_dearer_is_refused(size: str) -> None:
    """Clearly, before anything is held."""
    with pytest.raises(ImageInvalid) as refusal:
        rules.check(request_of(size=size), MODEL)
    assert refusal.value.param == "size"
    assert ("1024 by 1024" in refusal.value.message) == (size in DEARER)


def test_a_field_that_nobody_looked_at_is_refused_by_name() -> None:
    """It might make more steps, or a larger picture; what changes only what is painted is the provider's to judge."""
    rules.check(request_of(**dict.fromkeys(rules.KNOWN, 1), anything=None), MODEL)
    assert not rules.KNOWN & rules.NOT_FOR_SALE.keys()

    for name in ("anything", "Seed", "x" * 300):
        with pytest.raises(ImageInvalid) as refusal:
            rules.check(request_of(**{name: 1}), MODEL)
        assert refusal.value.param == name[:100]


def test_a_quality_that_we_do_not_know_is_refused() -> None:
    """It might be dearer than the best that the price is for."""
    for quality in sorted(rules.QUALITIES):
        rules.check(request_of(quality=quality), MODEL)

    for quality in ("hd", "ultra", "High", ""):
        with pytest.raises(ImageInvalid) as refusal:
            rules.check(request_of(quality=quality), MODEL)
        assert refusal.value.param == "quality"


@pytest.mark.parametrize("fields", [{"n": 0}, {"n": 11}, {"n": 1.5}, {"prompt": ""}, {"prompt": None}])
@pytest.mark.parametrize("more", [{}, {"response_format": "b64_json"}])
def test_a_request_out_of_bounds_is_none(fields: dict[str, Any], more: dict[str, Any]) -> None:
    """One to ten pictures of something."""
    with pytest.raises(Misshapen):
        request_of(**fields, **more)


def test_a_prompt_is_as_long_as_the_price_allows() -> None:
    """Measured in bytes, since a token is at least one."""
    rules.check(request_of(prompt="x" * rules.PROMPT_BYTES_MAX), MODEL)

    with pytest.raises(ImageInvalid) as refusal:
        rules.check(request_of(prompt="é" * rules.PROMPT_BYTES_MAX), MODEL)
    assert refusal.value.param == "prompt"
    with pytest.raises(ImageInvalid):
        rules.check(request_of(negative_prompt="x" * rules.PROMPT_BYTES_MAX), MODEL)
    rules.check(request_of(negative_prompt="x" * 100), MODEL)


@pytest.mark.parametrize("name", [*rules.NOT_FOR_SALE, "input_image_2", "Image", "N", "SIZE", "Partial_Images"])
def test_what_would_change_the_price_is_refused(name: str) -> None:
    """Also under a name that only some parsers would understand."""
    with pytest.raises(ImageInvalid) as refusal:
        rules.check(request_of(**{name: 2}), MODEL)
    assert refusal.value.param == name


def test_a_provider_is_sent_what_the_client_asked() -> None:
    """Under its own name for the model, with fields that we do not know."""
    request = request_of(n=2, quality="low", response_format="url", background="opaque", user="u")

    assert rules.upstream_payload(request, "their/name") == {
        "model": "their/name",
        "prompt": "Hello",
        "n": 2,
        "size": "1024x1024",
        "quality": "low",
        "response_format": "url",
        "background": "opaque",
        "user": "u",
    }


def test_a_stream_shows_one_picture_of_a_model_that_can() -> None:
    """And partial ones come in a stream only."""
    rules.check(request_of(stream=True, partial_images=PARTIAL_IMAGES_MAX), MODEL)
    still = msgspec.structs.replace(MODEL, capabilities=frozenset())

    with pytest.raises(ImageInvalid):
        rules.check(request_of(stream=True, n=2), MODEL)
    with pytest.raises(ImageInvalid):
        rules.check(request_of(partial_images=1), MODEL)
    with pytest.raises(ModelUnfit):
        rules.check(request_of(stream=True), still)
    rules.check(request_of(), still)


def test_the_unit_of_the_quote_is_the_picture() -> None:
    """The receipt names it."""
    usage = rules.usage_of(painted(PNG), request_of())

    assert usage is not None
    assert usage.counts == {Unit.IMAGE: 1}
