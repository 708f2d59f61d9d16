"""Where an answer is kept and how it is locked."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.answers.rules import NONCE_BYTES, lock, place_of, unlock
from tests.chat.builders import FEW, json_values

NONCE = bytes(NONCE_BYTES)
requests = st.dictionaries(st.text(max_size=8), json_values, max_size=3)


@FEW
@given(requests, requests)
def test_only_the_same_request_has_the_same_place(one: dict[str, Any], other: dict[str, Any]) -> None:
    """In whatever order its fields came. What JSON cannot tell apart is the same."""
    assert place_of("a", one) == place_of("a", dict(reversed(list(one.items()))))
    assert place_of("a", one) != place_of("b", one)
    if repr(one) != repr(other) and one != other:
        assert place_of("a", one).name != place_of("a", other).name


def test_what_python_takes_for_the_same_is_not_the_same() -> None:
    """1, 1.0 and true are three things to a provider."""
    assert len({place_of("a", {"n": value}).name for value in (1, 1.0, True, "1")}) == 4


def test_an_owner_cannot_be_written_into_a_request() -> None:
    """Parts are told apart, whatever is in them."""
    assert place_of("a", {"x": "b"}) != place_of('a",{"x":"b"}', {})


@given(st.binary(max_size=200))
def test_who_asks_the_same_unlocks_it(text: bytes) -> None:
    place = place_of("a", {"x": 1})

    assert unlock(place, lock(place, text, NONCE)) == text


@given(st.binary(max_size=50), st.integers(0, 400))
def test_nobody_else_does(text: bytes, flipped: int) -> None:
    """With another request, or after a change of a single bit."""
    place = place_of("a", {"x": 1})
    locked = bytearray(lock(place, text, NONCE))

    assert unlock(place_of("a", {"x": 2}), bytes(locked)) is None
    locked[flipped // 8 % len(locked)] ^= 1 << flipped % 8
    assert unlock(place, bytes(locked)) is None


def test_what_is_too_short_to_be_locked_is_not_unlocked() -> None:
    assert unlock(place_of("a", {}), b"") is None
