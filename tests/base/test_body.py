"""Shapes: what does not fit is named by its place and never repeated."""

from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta

from shared.base.body import LAST, Body, ForeignBody, Misshapen, shape
from shared.base.secret import Secret

HELD = "sk-somebody-put-a-key-here"


class Colour(StrEnum):
    """Of a closed set."""

    RED = "red"


class Part(Body, frozen=True, kw_only=True):
    """Inside of another."""

    colour: Colour = Colour.RED
    kind: Literal["a", "b"] = "a"
    word: Annotated[str, Meta(pattern=rf"^[a-z-]+{LAST}")] = "word"


class Whole(Body, frozen=True, kw_only=True):
    """With a required field, a list, and a secret."""

    name: str
    parts: tuple[Part, ...] = ()
    key: Secret | None = None


class Letter(ForeignBody, frozen=True, kw_only=True):
    """In somebody else's format."""

    model: str


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({}, "name"),
        ({"name": 1}, "name"),
        ({"name": "x", "key": 1}, "key"),
        ({"name": "x", "parts": [{}, {"colour": HELD}]}, "parts.1.colour"),
        ({"name": "x", "parts": [{"kind": HELD}]}, "parts.0.kind"),
        ({"name": "x", "parts": [{"word": f"{HELD} {HELD}"}]}, "parts.0.word"),
        ({"name": "x", "parts": [{"word": "word\n"}]}, "parts.0.word"),
        ({"name": "x", "parts": [{"more": HELD}]}, "parts.0.more"),
        ({"name": "x", "a`b": HELD}, "a`b"),
    ],
)
def test_what_does_not_fit_is_named_and_not_repeated(value: dict[str, Any], place: str) -> None:
    with pytest.raises(Misshapen) as refusal:
        shape(Whole, value)

    assert refusal.value.place == place
    assert HELD not in str(refusal.value)


def test_a_foreign_body_keeps_what_we_do_not_read() -> None:
    """Under any name, `others` too."""
    letter = shape(Letter, {"model": "m", "others": 1, "seed": None, "": []})

    assert (letter.model, letter.others) == ("m", {"others": 1, "seed": None, "": []})


def test_a_secret_shows_itself_only_when_asked() -> None:
    whole = shape(Whole, {"name": "x", "key": HELD})

    assert whole.key is not None
    assert whole.key.reveal() == HELD
    assert HELD not in f"{whole} {whole!r} {whole.key} {whole.key!r}"
