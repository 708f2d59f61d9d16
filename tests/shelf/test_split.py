"""What a key's owner has in the end: 85 % of what the key served, whatever the calls were and in whatever they paid."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.base.ids import EntryId
from shared.ledger.models import HOUSE_REVENUE, LotChange, Origin
from shared.ledger.rules import legs_of
from shared.resources.models import Use
from shared.resources.rules import advance_of, take_in
from shared.shelf.loan import Loan
from shared.shelf.models import OpenLease, Shelved, Stand, Version
from tests.shelf.builders import key_of
from tests.shelf.test_rules import lease_of

Price = tuple[int, int]
"""What a call took of promotional and of paid credits."""
prices = st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**7)).filter(any), min_size=1, max_size=30)


def split(price: Price) -> Use:
    """A call that the key served, as its capture splits it: its parts sum to the whole, in each origin."""
    promo, paid = price
    changes = [LotChange(Origin.PROMO, None, -promo), LotChange(Origin.PAID, None, -paid)]
    loan = Loan(Stand(Shelved(key_of(), Version(1)), 0, 1), OpenLease(lease_of(10**9), Version(1)), sum(price))
    legs = legs_of(changes, tuple(loan.shares))
    given: dict[Origin, int] = {}
    for origin, amount in ((Origin.PROMO, promo), (Origin.PAID, paid)):
        assert sum(leg.amount_micros for leg in legs if leg.origin is origin) == amount
        house = sum(leg.amount_micros for leg in legs if (leg.account_id, leg.origin) == (HOUSE_REVENUE, origin))
        given[origin] = amount - house
        assert abs(given[origin] * 1_000 - amount * 765) < 1_000
    return Use(
        entry_id=EntryId("entry"),
        model="maker/model",
        price={Origin.PROMO: promo, Origin.PAID: paid},
        given=given,
    )


@given(prices, st.integers(1, 5))
def test_a_fully_used_key_has_paid_exactly_85_per_cent(calls: list[Price], windows: int) -> None:
    """In the calls' own splits and what their settlement adds; and paid shares come of paid credits only."""
    quota = sum(map(sum, calls))
    key = replace(key_of(quota_micros=quota), advance_micros=advance_of(quota))
    uses = [split(price) for price in calls]
    owed: dict[Origin, int] = {Origin.PROMO: 0, Origin.PAID: 0}
    retired = 0
    for number in range(windows):
        key, earned = take_in(key, uses[number::windows])
        retired += earned.retired_micros
        for origin, amount in earned.owed.items():
            owed[origin] += amount

    given = {origin: sum(use.given[origin] for use in uses) for origin in owed}
    assert sum(given.values()) + sum(owed.values()) == quota * 85 // 100
    assert given[Origin.PAID] + owed[Origin.PAID] <= sum(paid for _, paid in calls)
    assert retired == advance_of(quota)
