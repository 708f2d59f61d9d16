"""Who may be asked, and in which order."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.catalog.models import Route
from shared.routing import rules
from shared.routing.errors import PreferenceUnknown, RouteAbsent
from shared.routing.models import NO_PREFERENCE, Condition, Preference, Slot, Sort
from tests.routing.builders import MANY, TWO

NOW = 1_000_000
NUMBER = NOW // 10_000
slots = st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda counts: (Slot(NUMBER, *counts),))
conditions = st.builds(Condition, window=slots, first_byte_ms=st.none() | st.integers(1, 10**6))
several = st.lists(conditions, min_size=5, max_size=5)
preferences = st.sampled_from(Sort).map(Preference)


def failing(answered: int, failed: int) -> Condition:
    return Condition(window=(Slot(NUMBER, answered, failed),))


def order(sort: Sort, *known: Condition, routes: tuple[Route, ...] = MANY.routes, seed: int = 0) -> list[int]:
    return rules.ordered(routes[: len(known)], known, Preference(sort), now_ms=NOW, seed=seed)


@given(several, preferences, st.integers(0, 2**64 - 1))
def test_the_order_names_every_route_once_and_is_the_same_for_the_same_seed(
    known: list[Condition], preference: Preference, seed: int
) -> None:
    orders = [rules.ordered(MANY.routes, known, preference, now_ms=NOW, seed=seed) for _ in range(2)]

    assert orders[0] == orders[1]
    assert sorted(orders[0]) == [0, 1, 2, 3, 4]


@given(st.integers(0, 2**64 - 1))
def test_routes_that_do_not_fail_are_asked_in_the_catalogs_order(seed: int) -> None:
    assert order(Sort.CATALOG, Condition(), failing(9, 0), Condition(), seed=seed) == [0, 1, 2]


def test_a_route_that_fails_stands_back_as_often_as_it_fails() -> None:
    """Never for good: some calls find out when it is well again."""
    half = failing(6, 10)

    firsts = [order(Sort.CATALOG, half, Condition(), seed=seed)[0] for seed in range(2_000)]

    assert 900 < firsts.count(0) < 1_100


def test_preferences_order_by_what_they_name() -> None:
    cost = [replace(route, cost_ppm=ppm) for route, ppm in zip(MANY.routes, (None, 2_000_000, 500_000), strict=False)]
    times = [Condition(first_byte_ms=ms) for ms in (300, 100, 200)]

    assert order(Sort.CHEAPEST, Condition(), Condition(), Condition(), routes=tuple(cost)) == [2, 0, 1]
    assert order(Sort.FASTEST, *times) == [1, 2, 0]
    assert order(Sort.FASTEST, times[0], Condition()) == [1, 0]
    half = replace(times[1], window=(Slot(NUMBER, 96, 100),))
    assert all(order(Sort.BEST, half, times[0], times[2], seed=seed) == [2, 1, 0] for seed in range(50))


@given(st.sampled_from([Sort.CHEAPEST, Sort.FASTEST, Sort.BEST]))
def test_equals_stay_in_the_catalogs_order(sort: Sort) -> None:
    assert order(sort, *[Condition()] * 5) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "preference"),
    [
        (None, NO_PREFERENCE),
        ("cheapest", Preference(Sort.CHEAPEST)),
        (" Fastest ", Preference(Sort.FASTEST)),
        ("best", Preference(Sort.BEST)),
        ("openrouter", Preference(only=("openrouter",))),
        ("second, first,second", Preference(only=("second", "first"))),
    ],
)
def test_a_preference_is_one_word_or_a_list_of_providers(text: str | None, preference: Preference) -> None:
    assert rules.preference_of(text) == preference


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    """Or it is a short list of what can be names; they come back in headers."""
    with contextlib.suppress(PreferenceUnknown):
        preference = rules.preference_of(text)
        assert all(name.isascii() and 0 < len(name) <= 40 for name in preference.only)
        assert len(preference.only) <= rules.PROVIDERS_NAMED_MAX


@pytest.mark.parametrize("text", ["", ",", "first,", "a b", "ä", "first;second", ",".join("abcdefghi"), "x" * 41])
def test_what_is_no_list_of_names_is_refused(text: str) -> None:
    with pytest.raises(PreferenceUnknown):
        rules.preference_of(text)


def test_a_list_is_asked_in_its_own_order_and_nobody_else() -> None:
    allowed = rules.eligible(MANY, MANY.routes, Preference(only=("third", "nobody", "first")), frozenset())

    assert [route.provider for route in allowed] == ["third", "first"]


def test_a_route_that_lacks_what_is_needed_is_not_asked() -> None:
    """The refusal names the providers that there are."""
    first, second = TWO.routes
    routes = [replace(first, lacks=frozenset({"tools"})), second]

    assert rules.eligible(TWO, routes, NO_PREFERENCE, {"tools", "vision"}) == [second]
    assert rules.eligible(TWO, routes, NO_PREFERENCE, {"vision"}) == routes
    with pytest.raises(RouteAbsent, match=r"with tools here\. These serve it: first, second"):
        rules.eligible(TWO, routes, Preference(only=("first",)), {"tools"})


@given(st.integers(1, 100), st.integers(0, 2**64 - 1))
def test_a_backoff_is_bounded_and_at_least_half_of_the_full_one(tries: int, seed: int) -> None:
    full_ms = min(rules.BACKOFF_MS * 2 ** (tries - 1), rules.BACKOFF_MS_MAX)

    assert full_ms // 2 <= rules.backoff_ms(tries, seed) <= full_ms
    assert 0 <= rules.jitter_ms(seed) <= rules.JITTER_MS_MAX


def test_draws_are_the_published_splitmix64() -> None:
    """Steele, Lea and Flood 2014; the first numbers for the seed 1234567."""
    assert [rules.draw(1234567, index) for index in range(3)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]
