"""Which entries are told of."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.base.economy import LARGE_MOVEMENT_MICROS, LOW_BALANCE_MICROS
from shared.base.micros import AMOUNT_MICROS_MAX, credits_to_micros
from shared.ledger.models import EntryKind
from shared.notices.models import NoticeKind
from shared.notices.rules import falls_low, notices_of
from tests.notices.builders import entry

LOW, LARGE = LOW_BALANCE_MICROS, LARGE_MOVEMENT_MICROS
amounts = st.integers(min_value=-AMOUNT_MICROS_MAX, max_value=AMOUNT_MICROS_MAX)


def kinds(delta_micros: int, balance_micros: int) -> list[str]:
    return [notice.kind.value for notice in notices_of(entry(delta_micros=delta_micros, balance_micros=balance_micros))]


@pytest.mark.parametrize(
    ("delta_micros", "balance_micros", "told"),
    [
        (-1, LOW - 1, ["low_balance"]),
        (-1, LOW, []),
        (-1, LOW - 2, []),
        (1, LOW, []),
        (1, LOW - 1, []),
        (-LOW, 0, ["low_balance"]),
        (0, LOW - 1, []),
        (-LARGE, LARGE, ["large_movement"]),
        (1 - LARGE, LARGE, []),
        (LARGE, LARGE, ["large_movement"]),
        (LARGE - 1, LARGE, []),
        (-LARGE, LOW - 1, ["large_movement", "low_balance"]),
        (-LARGE, -LARGE, ["large_movement"]),
    ],
)
def test_an_entry_is_told_of_at_the_marks(delta_micros: int, balance_micros: int, told: list[str]) -> None:
    assert kinds(delta_micros, balance_micros) == told


@pytest.mark.parametrize("account_id", ["card:ada", "pool:ada", "escrow:o1", "earn:ada", "house:revenue", "users:ada"])
def test_nobody_is_told_of_an_account_that_is_no_wallet(account_id: str) -> None:
    assert notices_of(entry(delta_micros=-LARGE, balance_micros=0, account_id=account_id)) == ()


def test_an_opening_is_not_told_of() -> None:
    assert notices_of(entry(delta_micros=LARGE, balance_micros=LARGE, kind=EntryKind.OPEN)) == ()


@given(start=amounts, deltas=st.lists(amounts, max_size=20))
def test_a_balance_is_told_of_once_for_each_time_it_falls_low(start: int, deltas: list[int]) -> None:
    """However it moves, a notice follows each passage from above to below, and no other entry."""
    balances = [start]
    for delta in deltas:
        balances.append(balances[-1] + delta)

    told = [falls_low(delta, balance) for delta, balance in zip(deltas, balances[1:], strict=True)]

    passages = [before >= LOW > after for before, after in itertools.pairwise(balances)]
    assert told == passages


def test_a_notice_names_its_owner_its_entry_and_exact_amounts() -> None:
    source = entry(delta_micros=-credits_to_micros(600) - 1, balance_micros=credits_to_micros(49))

    large, low = notices_of(source)

    assert (large.user_id, large.entry_id, large.seq) == ("ada", source.entry_id, source.seq)
    assert (large.delta_micros, large.balance_micros, large.at_ms) == (-600_000_001, 49_000_000, source.at_ms)
    assert large.text == "600.000001 credits left your wallet at once: 49 credits are left."
    assert low.text == "Your balance fell below 50 credits: 49 credits are left."
    assert [large.notice_id, low.notice_id] == [
        f"{source.entry_id}-{kind}" for kind in ("large_movement", "low_balance")
    ]


def test_a_notice_of_credits_that_came_in_says_so() -> None:
    [notice] = notices_of(entry(delta_micros=LARGE, balance_micros=LARGE + 1))

    assert notice.kind is NoticeKind.LARGE_MOVEMENT
    assert notice.text == "500 credits came into your wallet; it holds 500.000001 now."


@given(delta_micros=amounts, balance_micros=amounts)
def test_the_same_entry_always_makes_the_same_notices(delta_micros: int, balance_micros: int) -> None:
    source = entry(delta_micros=delta_micros, balance_micros=balance_micros, entry_id="e", at_ms=1)

    assert notices_of(source) == notices_of(source)
    assert len({notice.notice_id for notice in notices_of(source)}) == len(notices_of(source))
