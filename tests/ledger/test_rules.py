"""Properties of the pure arithmetic: credits are neither made nor lost, whatever the numbers."""

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.base.ids import AccountId, HoldId
from shared.base.micros import AMOUNT_MICROS_MAX, split
from shared.ledger.errors import (
    AccountNotOpen,
    AmountWrong,
    CreditTooLow,
    HoldAbsent,
    HoldExceeded,
    PayeeNotDeferred,
    RateExceeded,
    TooManyHolds,
)
from shared.ledger.models import Head, Hold, HoldLimits, Lot, LotChange, Origin, RateWindow, Share, Status
from shared.ledger.rules import (
    BALANCE_MICROS_MAX,
    LOTS_MAX,
    apply_changes,
    by_origin,
    changes_to_add,
    check_amount,
    check_covers,
    check_may_receive,
    check_may_spend,
    check_within_hold,
    consume,
    held_micros,
    legs_of,
    live_holds,
    place_hold,
    spendable_micros,
    take_hold,
)
from tests.ledger.builders import ADA, DAY, LIMITS, NOW, amounts, expiries, lot_tuples, origins

NEVER = 2**63
times = st.integers(NOW - 6 * DAY, NOW + 6 * DAY)
weights = st.lists(st.integers(0, 10**6), min_size=1, max_size=6).filter(any)


def total(lots: tuple[Lot, ...]) -> int:
    return sum(lot.remaining_micros for lot in lots)


def usable(lots: tuple[Lot, ...], at_ms: int) -> int:
    return sum(lot.remaining_micros for lot in lots if lot.expires_at_ms is None or lot.expires_at_ms > at_ms)


@given(st.integers(0, AMOUNT_MICROS_MAX), weights)
def test_parts_sum_to_the_whole_and_are_fair(whole: int, shares: list[int]) -> None:
    parts = split(whole, shares)

    assert sum(parts) == whole
    assert all(abs(part * sum(shares) - whole * share) < sum(shares) for part, share in zip(parts, shares, strict=True))
    assert all(part == 0 for part, share in zip(parts, shares, strict=True) if share == 0)


@pytest.mark.parametrize(("whole", "shares"), [(-1, [1]), (1, []), (1, [0]), (1, [1, -1])])
def test_what_cannot_be_split_is_an_error(whole: int, shares: list[int]) -> None:
    with pytest.raises(ArithmeticError):
        split(whole, shares)


def test_ties_go_to_the_earlier_part() -> None:
    assert split(1, [1, 1]) == [1, 0]
    assert split(5, [1, 1, 1]) == [2, 2, 1]


@given(lot_tuples(), st.data(), times)
def test_what_is_consumed_is_the_amount_and_nothing_falls_below_zero(
    lots: tuple[Lot, ...], data: st.DataObject, at_ms: int
) -> None:
    assume(usable(lots, at_ms) > 0)
    amount = data.draw(st.integers(1, usable(lots, at_ms)))

    changes = consume(lots, amount, valid_at_ms=at_ms)
    after = apply_changes(lots, changes)

    assert sum(change.delta_micros for change in changes) == -amount
    assert total(after) == total(lots) - amount
    assert all(lot.remaining_micros > 0 for lot in after)
    assert sum(by_origin(changes).values()) == amount


@given(lot_tuples(), st.data(), times)
def test_promo_goes_before_paid_and_the_soonest_expiry_first(
    lots: tuple[Lot, ...], data: st.DataObject, at_ms: int
) -> None:
    """A lot is touched only when every usable lot before it is used up, and none that has expired is touched."""
    assume(usable(lots, at_ms) > 0)
    amount = data.draw(st.integers(1, usable(lots, at_ms)))

    taken = {(c.origin, c.expires_at_ms): -c.delta_micros for c in consume(lots, amount, valid_at_ms=at_ms)}

    order = sorted(lots, key=lambda lot: (lot.origin is Origin.PAID, lot.expires_at_ms or NEVER))
    order = [lot for lot in order if lot.expires_at_ms is None or lot.expires_at_ms > at_ms]
    rests = [lot.remaining_micros - taken.pop((lot.origin, lot.expires_at_ms), 0) for lot in order]
    assert taken == {}
    emptied = [rest == 0 for rest in rests]
    untouched = [rest == lot.remaining_micros for rest, lot in zip(rests, order, strict=True)]
    last = emptied.index(False) if False in emptied else len(rests)
    assert all(untouched[last + 1 :])


@given(lot_tuples(), amounts, times)
def test_more_than_there_is_cannot_be_consumed(lots: tuple[Lot, ...], excess: int, at_ms: int) -> None:
    with pytest.raises(CreditTooLow) as caught:
        consume(lots, usable(lots, at_ms) + excess, valid_at_ms=at_ms)

    assert caught.value.spendable_micros == usable(lots, at_ms)


@given(lot_tuples(), st.lists(st.tuples(origins, expiries, st.integers(-(10**9), 10**9)), max_size=5))
def test_changes_apply_exactly_or_not_at_all(lots: tuple[Lot, ...], raw: list[tuple[Origin, int | None, int]]) -> None:
    changes = [LotChange(*change) for change in raw]
    sums: dict[tuple[Origin, int | None], int] = {}
    for origin, expiry, amount in [(lot.origin, lot.expires_at_ms, lot.remaining_micros) for lot in lots] + raw:
        sums[origin, expiry] = sums.get((origin, expiry), 0) + amount

    if any(amount < 0 for amount in sums.values()):
        with pytest.raises(ArithmeticError):
            apply_changes(lots, changes)
    else:
        after = {(lot.origin, lot.expires_at_ms): lot.remaining_micros for lot in apply_changes(lots, changes)}
        assert after == {key: amount for key, amount in sums.items() if amount}


@given(
    st.lists(
        st.lists(st.tuples(origins, expiries, amounts).map(lambda raw: LotChange(*raw)), min_size=1, max_size=6),
        min_size=1,
        max_size=16,
    ),
    st.integers(NOW - 5 * DAY, NOW + 5 * DAY),
)
def test_adding_keeps_few_lots_and_neither_shortens_a_life_nor_revives_one(
    gifts: list[list[LotChange]], now_ms: int
) -> None:
    lots: tuple[Lot, ...] = ()
    for added in gifts:
        changes = changes_to_add(lots, added, at_ms=now_ms)
        after = apply_changes(lots, changes)

        gained = sum(change.delta_micros for change in added)
        assert sum(change.delta_micros for change in changes) == gained
        assert total(after) == total(lots) + gained
        assert len(after) <= LOTS_MAX
        plain = apply_changes(lots, added)
        for origin in Origin:
            mine, merged = ([lot for lot in kept if lot.origin is origin] for kept in (plain, after))
            assert sum(lot.remaining_micros for lot in mine) == sum(lot.remaining_micros for lot in merged)
            for at_ms in {lot.expires_at_ms for lot in plain if lot.expires_at_ms is not None}:
                assert usable(tuple(merged), at_ms) >= usable(tuple(mine), at_ms)
            assert usable(tuple(merged), now_ms) == usable(tuple(mine), now_ms)
        lots = after


def test_a_balance_has_a_bound() -> None:
    lots = (Lot(Origin.PAID, None, BALANCE_MICROS_MAX - 1),)
    assert changes_to_add(lots, [LotChange(Origin.PAID, None, 1)], at_ms=0)

    with pytest.raises(AmountWrong):
        changes_to_add(lots, [LotChange(Origin.PAID, None, 2)], at_ms=0)


def test_an_expired_lot_is_not_merged_into_a_live_one() -> None:
    """The closest neighbours by far are the one that has just died and the one that is about to."""
    lots = tuple(Lot(Origin.PROMO, at_ms, 1) for at_ms in (999, 1_001, *range(10_000, 10_000 * LOTS_MAX, 10_000)))

    changes = changes_to_add(lots[:-1], [LotChange(Origin.PROMO, lots[-1].expires_at_ms, 1)], at_ms=1_000)

    after = apply_changes(lots[:-1], changes)
    assert len(after) == LOTS_MAX
    assert usable(after, 1_000) == usable(lots, 1_000)


@pytest.mark.parametrize("payee", ["user:ada", "card:1", "pool:1", "escrow:1", "nobody"])
def test_a_split_pays_deferred_accounts_only(payee: str) -> None:
    """A leg to an account that is posted to at once would never arrive."""
    with pytest.raises(PayeeNotDeferred):
        legs_of([LotChange(Origin.PAID, None, -5)], [Share(AccountId(payee), 1)])


@given(lot_tuples().filter(bool), weights, st.data())
def test_legs_carry_what_was_consumed_each_origin_apart(
    lots: tuple[Lot, ...], shares: list[int], data: st.DataObject
) -> None:
    amount = data.draw(st.integers(1, total(lots)))
    changes = consume(lots, amount, valid_at_ms=0)

    legs = legs_of(changes, [Share(AccountId(f"earn:{i}"), weight) for i, weight in enumerate(shares)])

    assert sum(leg.amount_micros for leg in legs) == amount
    assert all(leg.amount_micros > 0 for leg in legs)
    for origin, part in by_origin(changes).items():
        assert sum(leg.amount_micros for leg in legs if leg.origin is origin) == part


@pytest.mark.parametrize("amount", [0, -1, AMOUNT_MICROS_MAX + 1, 18446744073686646784])
def test_an_amount_out_of_range_is_refused(amount: int) -> None:
    with pytest.raises(AmountWrong):
        check_amount(amount)


@pytest.mark.parametrize("amount", [1, AMOUNT_MICROS_MAX])
def test_an_amount_within_range_is_fine(amount: int) -> None:
    check_amount(amount)


def test_a_frozen_account_receives_and_a_closed_one_does_neither() -> None:
    check_may_spend(Head(ADA))
    check_may_receive(Head(ADA, status=Status.FROZEN))
    with pytest.raises(AccountNotOpen):
        check_may_spend(Head(ADA, status=Status.FROZEN))
    with pytest.raises(AccountNotOpen):
        check_may_receive(Head(ADA, status=Status.CLOSED))


def hold(amount: int, name: str = "hold", placed: int = NOW, expires: int = NOW + DAY) -> Hold:
    return Hold(HoldId(name), amount, placed, expires)


@given(lot_tuples(), st.lists(st.tuples(amounts, times), max_size=5), times)
def test_what_can_be_spent_is_what_lives_and_lived_at_the_last_hold_less_what_is_held(
    lots: tuple[Lot, ...], held: list[tuple[int, int]], at_ms: int
) -> None:
    holds = {HoldId(str(i)): hold(amount, str(i), expires=expires) for i, (amount, expires) in enumerate(held)}
    head = Head(ADA, lots=lots, holds=holds)

    assert held_micros(head, at_ms) == sum(amount for amount, expires in held if expires > at_ms)
    assert live_holds(holds, at_ms).keys() == {HoldId(str(i)) for i, (_, expires) in enumerate(held) if expires > at_ms}
    seen_ms = max(at_ms, NOW) if live_holds(holds, at_ms) else at_ms
    assert spendable_micros(head, at_ms) == max(0, usable(lots, seen_ms) - held_micros(head, at_ms))
    if (spendable := spendable_micros(head, at_ms)) > 0:
        check_covers(head, spendable, at_ms)
    with pytest.raises(CreditTooLow):
        check_covers(head, spendable + 1, at_ms)


def test_a_hold_counts_until_the_moment_it_expires() -> None:
    head = Head(ADA, lots=(Lot(Origin.PAID, None, 10),), holds={HoldId("hold"): hold(4, expires=NOW)})

    assert spendable_micros(head, NOW - 1) == 6
    assert spendable_micros(head, NOW) == 10


def test_a_hold_resolves_once() -> None:
    head = place_hold(Head(ADA, lots=(Lot(Origin.PAID, None, 10),)), hold(4), LIMITS)
    after, taken = take_hold(head, HoldId("hold"), NOW)

    assert taken == hold(4)
    assert after.holds == {}
    with pytest.raises(HoldAbsent):
        take_hold(after, HoldId("hold"), NOW)
    with pytest.raises(HoldAbsent):
        take_hold(head, HoldId("hold"), NOW + DAY)


def test_a_capture_stays_within_its_hold() -> None:
    check_within_hold(hold(4), 4)
    with pytest.raises(HoldExceeded):
        check_within_hold(hold(4), 5)


@given(lot_tuples(), amounts, times)
def test_a_hold_is_placed_when_it_is_covered_and_never_else(lots: tuple[Lot, ...], amount: int, at_ms: int) -> None:
    head = Head(ADA, lots=lots)
    wanted = hold(amount, placed=at_ms, expires=at_ms + 1)

    if usable(lots, at_ms) >= amount:
        after = place_hold(head, wanted, LIMITS)
        assert after.lots == lots
        assert spendable_micros(after, at_ms) == usable(lots, at_ms) - amount
    else:
        with pytest.raises(CreditTooLow):
            place_hold(head, wanted, LIMITS)


@given(st.integers(1, 5), st.integers(0, 8))
def test_open_holds_are_bounded_and_expired_ones_do_not_count(open_max: int, expired: int) -> None:
    limits = replace(LIMITS, open_max=open_max)
    dead = {HoldId(f"dead{i}"): hold(1, f"dead{i}", expires=NOW) for i in range(expired)}
    head = Head(ADA, lots=(Lot(Origin.PAID, None, 100),), holds=dead)
    for i in range(open_max):
        head = place_hold(head, hold(1, str(i)), limits)

    assert len(head.holds) == open_max
    with pytest.raises(TooManyHolds):
        place_hold(head, hold(1, "more"), limits)


@given(st.integers(1, 4), st.lists(st.integers(-500, 2_000), min_size=1, max_size=30))
def test_a_window_never_admits_more_than_it_may(most: int, steps: list[int]) -> None:
    """Also for a clock that steps back, where the naive count would start over."""
    limits = HoldLimits(open_max=1_000, window_ms=1_000, per_window_max=most)
    head = Head(ADA, lots=(Lot(Origin.PAID, None, 10**6),), window=RateWindow(NOW, 0))
    at_ms = NOW
    admitted: dict[int, int] = {}
    waits: list[int] = []
    for number, step in enumerate(steps):
        at_ms += step
        try:
            head = place_hold(head, hold(1, str(number), placed=at_ms, expires=at_ms + 10**9), limits)
        except RateExceeded as refusal:
            waits.append(refusal.retry_after_ms)
            continue
        admitted[head.window.start_ms] = admitted.get(head.window.start_ms, 0) + 1

    assert all(count <= most for count in admitted.values())
    starts = sorted(admitted)
    assert all(later - sooner >= limits.window_ms for sooner, later in pairwise(starts))
    assert all(0 < wait <= limits.window_ms for wait in waits)
