"""What a key's owner is paid is 85 % of what their key served, to the micro, in the credits it was paid with."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.base.ids import EntryId
from shared.base.micros import split
from shared.base.secret import Secret
from shared.ledger.models import HOUSE_REVENUE, Origin
from shared.resources import rules
from shared.resources.errors import KeyMalformed
from shared.resources.models import KeyStatus, Use
from tests.resources.builders import ADA, BEN, QUOTA, key

PRICES = st.lists(st.tuples(st.sampled_from(Origin), st.integers(1, 10_000_000)), min_size=1, max_size=40)


def call(origin: Origin, price: int, *, weights: Sequence[int] = (235, 765), own: bool = False) -> Use:
    given = {} if own else {origin: split(price, weights)[1]}
    return Use(entry_id=EntryId("e"), model="m", price={origin: price}, given=given)


@given(PRICES, st.lists(st.integers(1, 40), max_size=5))
def test_after_every_window_the_owner_has_85_per_cent_of_all_use(
    prices: list[tuple[Origin, int]], cuts: list[int]
) -> None:
    """However the calls fall into windows, whatever each was rounded to, and in the origin that paid."""
    contributed = replace(key(), advance_micros=rules.advance_of(QUOTA))
    has, at = dict.fromkeys(Origin, 0), 0
    for cut in [*cuts, len(prices)]:
        uses = [call(*one) for one in prices[at : max(at, cut)]]
        at = max(at, cut)
        contributed, earned = rules.take_in(contributed, uses)
        for origin in Origin:
            has[origin] += sum(use.given.get(origin, 0) for use in uses) + earned.owed.get(origin, 0)

    spent = {origin: sum(price for one, price in prices if one is origin) for origin in Origin}
    assert sum(has.values()) == sum(spent.values()) * 85 // 100
    assert has[Origin.PAID] == spent[Origin.PAID] * 85 // 100
    assert abs(has[Origin.PROMO] - spent[Origin.PROMO] * 85 / 100) <= 1
    assert (contributed.paid_micros, contributed.promo_micros) == (has[Origin.PAID], has[Origin.PROMO])


@given(st.integers(1, 10**12), st.lists(st.integers(1, 10**12), max_size=12), st.sampled_from(Origin))
def test_a_key_that_is_fully_used_has_earned_its_whole_advance_and_exactly_85_per_cent(
    quota: int, cuts: list[int], origin: Origin
) -> None:
    advance = rules.advance_of(quota)
    contributed = replace(key(quota_micros=quota), advance_micros=advance)
    marks = sorted({cut for cut in cuts if cut < quota} | {quota})
    paid = retired = at = 0
    for mark in marks:
        use = call(origin, mark - at)
        at = mark
        contributed, earned = rules.take_in(contributed, [use])
        retired += earned.retired_micros
        paid += use.given.get(origin, 0) + sum(earned.owed.values())
        assert earned.retired_micros >= 0

    assert paid == quota * 85 // 100
    assert retired == advance == contributed.earned_micros
    assert contributed.status is KeyStatus.SPENT
    assert not contributed.advance_due


@given(st.integers(1, 10**15))
def test_an_advance_is_a_tenth_of_85_per_cent_and_never_more(quota: int) -> None:
    advance = rules.advance_of(quota)

    assert advance * 1_000 <= quota * 85 < (advance + 1) * 1_000


@given(st.integers(1, 10**15))
def test_the_parts_of_a_call_sum_to_its_price(price: int) -> None:
    shares = rules.shares_of(key())

    assert [share.account_id for share in shares] == [HOUSE_REVENUE, "earn:ada"]
    parts = split(price, [share.weight for share in shares])
    assert sum(parts) == price
    assert abs(parts[1] * 1_000 - price * 765) < 1_000


@given(PRICES)
def test_what_the_owner_called_themselves_uses_the_quota_and_earns_nothing(prices: list[tuple[Origin, int]]) -> None:
    """Who drains their own key for its advance pays for every call and gets nothing back."""
    contributed = replace(key(quota_micros=1), advance_micros=rules.advance_of(QUOTA))

    after, earned = rules.take_in(contributed, [call(*one, own=True) for one in prices])

    assert after.own_micros == sum(price for _, price in prices)
    assert (after.used_micros, after.earned_micros, earned.retired_micros) == (0, 0, 0)
    assert not any(earned.owed.values())
    assert after.status is KeyStatus.SPENT
    assert after.advance_due, "all of it goes back"


@given(PRICES, st.integers(-500, 500), st.integers(-500, 500))
def test_models_share_what_a_window_earned_and_lose_nothing(
    prices: list[tuple[Origin, int]], paid: int, promo: int
) -> None:
    uses = [replace(call(*one), model=f"m{index % 3}") for index, one in enumerate(prices)]

    models = rules.by_model(uses, {Origin.PAID: paid, Origin.PROMO: promo})

    assert sum(one.calls for one in models) == len(uses)
    assert sum(one.price_micros for one in models) == sum(price for _, price in prices)
    for name, owed, origin in (("paid_micros", paid, Origin.PAID), ("promo_micros", promo, Origin.PROMO)):
        assert sum(getattr(one, name) for one in models) == owed + sum(use.given.get(origin, 0) for use in uses)


@pytest.mark.parametrize(
    "text", ["", "short", "with space inside", "x" * 513, "sk-\nnewline", "sk-ümlaut-key", "a\r\nHost: evil"]
)
def test_what_no_header_can_carry_is_no_key(text: str) -> None:
    """A line break in a key would be a header of the depositor's own."""
    with pytest.raises(KeyMalformed):
        rules.check_secret(Secret(text))


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("https://api.Acme.example/v1", "api.acme.example"),
        ("https://api.acme.example:443/v1", "api.acme.example:443"),
        ("http://127.0.0.1:8080/v1", "127.0.0.1:8080"),
        ("https://api.acme.example./v1", "api.acme.example"),
    ],
)
def test_a_host_has_one_spelling(base_url: str, host: str) -> None:
    assert rules.host_of(base_url) == host


def test_a_repeat_names_the_same_key_and_others_name_others() -> None:
    assert rules.key_id_of(ADA, "k") == rules.key_id_of(ADA, "k")
    assert len({rules.key_id_of(ADA, "k"), rules.key_id_of(BEN, "k"), rules.key_id_of(ADA, "l")}) == 3


@pytest.mark.parametrize(
    "other",
    [
        ("p", ["a", "b"], 2, "f"),
        ("q", ["a", "b"], 1, "f"),
        ("p", ["a"], 1, "f"),
        ("p", ["ab"], 1, "f"),
        ("p", ["a", "b"], 1, "g"),
    ],
)
def test_another_request_has_another_hash(other: Any) -> None:
    assert rules.request_hash(*other) != rules.request_hash("p", ["a", "b"], 1, "f")
    assert rules.request_hash("p", ["b", "a"], 1, "f") == rules.request_hash("p", ["a", "b"], 1, "f")
