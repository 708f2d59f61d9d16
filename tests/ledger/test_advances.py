"""An advance is lent once, earned in the credits of what earned it, and what is not earned goes back, never more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.base.ids import AccountId
from shared.ledger.advances import Advances, EarnAdvance
from shared.ledger.errors import AccountAbsent, KeyReused, PayeeNotDeferred
from shared.ledger.memory import MemoryLedgerStore
from shared.ledger.models import HOUSE_ADVANCES, HOUSE_REVENUE, Head, Lot, Origin
from tests.ledger.builders import NOW, balance, engine_on

ADVANCE = AccountId("escrow:advance-a")
EARNER = AccountId("earn:ada")


def advances_on(store: MemoryLedgerStore) -> Advances:
    return Advances(engine_on(store), lambda: NOW)


async def test_it_is_lent_once_as_promotional_credits_of_the_house() -> None:
    store = MemoryLedgerStore()
    for _ in range(2):
        await advances_on(store).lend(ADVANCE, 85, facts={})

    head = (await store.read([ADVANCE], ())).heads[ADVANCE].head
    assert head is not None
    assert head.lots == (Lot(Origin.PROMO, None, 85),)
    with pytest.raises(KeyReused):
        await advances_on(store).lend(ADVANCE, 86, facts={})


async def test_what_is_taken_back_is_what_is_left_and_once() -> None:
    store = MemoryLedgerStore()
    advances = advances_on(store)
    await advances.lend(ADVANCE, 85, facts={})
    await advances.earn(ADVANCE, EARNER, {Origin.PAID: 5}, retired_micros=5, key="w", facts={})

    assert await advances.take_back(ADVANCE, facts={}) == 80
    assert await advances.take_back(ADVANCE, facts={}) == 80
    assert await balance(store, ADVANCE) == 0


async def test_nothing_is_taken_back_of_what_was_never_lent() -> None:
    store = MemoryLedgerStore()
    assert await advances_on(store).take_back(ADVANCE, facts={}) == 0
    await advances_on(store).lend(ADVANCE, 0, facts={})
    assert await advances_on(store).take_back(ADVANCE, facts={}) == 0


async def test_it_is_earned_by_an_earner_on_an_account_that_is_there() -> None:
    store = MemoryLedgerStore()
    with pytest.raises(AccountAbsent):
        await advances_on(store).earn(ADVANCE, EARNER, {}, retired_micros=1, key="w", facts={})
    await advances_on(store).lend(ADVANCE, 85, facts={})
    with pytest.raises(PayeeNotDeferred):
        await advances_on(store).earn(ADVANCE, AccountId("user:ada"), {}, retired_micros=1, key="w", facts={})


@given(
    st.integers(0, 1_000),
    st.integers(0, 2_000),
    st.dictionaries(st.sampled_from(Origin), st.integers(-1_000, 1_000)),
)
def test_no_origin_makes_or_loses_a_micro(lent: int, retired: int, earned: dict[Origin, int]) -> None:
    """Whatever is earned, the legs of each origin and the change of it cancel; no more is retired than there is."""
    head = Head(ADVANCE, lots=(Lot(Origin.PROMO, None, lent),) if lent else ())
    operation = EarnAdvance(
        account_id=ADVANCE,
        earner=EARNER,
        earned=tuple(earned.items()),
        retired_micros=retired,
        key="k",
        facts=(),
        at_ms=NOW,
    )

    [entry] = operation.apply({ADVANCE: head}).entries

    for origin in Origin:
        changed = sum(change.delta_micros for change in entry.lots if change.origin is origin)
        assert changed + sum(leg.amount_micros for leg in entry.legs if leg.origin is origin) == 0
    assert -entry.delta_micros == min(lent, retired)
    got = {leg.origin: leg.amount_micros for leg in entry.legs if leg.account_id == EARNER}
    assert got == {origin: amount for origin, amount in earned.items() if amount}
    assert {leg.account_id for leg in entry.legs} <= {EARNER, HOUSE_ADVANCES, HOUSE_REVENUE}
