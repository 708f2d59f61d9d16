"""Holds: set aside, let go, resolved one way only, and always good for what they promised."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.base.ids import AccountId, HoldId
from shared.ledger.errors import AccountAbsent, AccountNotOpen, AmountWrong, CreditTooLow, HoldAbsent, KeyReused
from shared.ledger.funding import Withdraw
from shared.ledger.holds import ExtendHold
from shared.ledger.models import Head, Hold, Lot, Origin, SendLimits, Status
from shared.ledger.operation import Posting
from shared.ledger.postings import Transfer
from shared.ledger.reversals import SetAside
from tests.ledger.builders import ADA, BEN, DAY, NOW, capture, debit, grant, open_account, place, release

FUNDED = Head(ADA, lots=(Lot(Origin.PROMO, NOW + DAY, 40), Lot(Origin.PAID, None, 60)))


def test_a_hold_moves_no_credits_and_writes_no_entry() -> None:
    step = place(70).apply({ADA: FUNDED})

    assert step.entries == ()
    assert step.heads[0].lots == FUNDED.lots
    assert step.heads[0].seq == FUNDED.seq
    assert step.result.spendable_micros == 30


@pytest.mark.parametrize(
    ("head", "amount", "refusal"),
    [
        (None, 1, AccountAbsent),
        (FUNDED, 0, AmountWrong),
        (FUNDED, 101, CreditTooLow),
        (Head(ADA, status=Status.FROZEN), 1, AccountNotOpen),
    ],
)
def test_what_cannot_be_held_is_refused(head: Head | None, amount: int, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        place(amount).apply({ADA: head})


def test_a_hold_that_is_there_is_not_placed_over() -> None:
    held = place(70).apply({ADA: FUNDED}).heads[0]

    for amount in (70, 10):
        with pytest.raises(KeyReused):
            place(amount).apply({ADA: held})
    recalled = place(70, at_ms=NOW + 5).recall({ADA: held}, {})
    assert recalled is not None
    assert recalled.hold.placed_at_ms == NOW
    with pytest.raises(KeyReused):
        place(10).recall({ADA: held}, {})


def test_a_hold_is_made_longer_and_never_shorter() -> None:
    """A clock that is behind must not take from a call what it was promised."""
    held = place(70).apply({ADA: FUNDED}).heads[0]

    for until_ms, over_ms in ((NOW + DAY + 1, NOW + DAY + 1), (NOW + 1, NOW + DAY)):
        extended = ExtendHold(ADA, HoldId("hold"), until_ms, NOW).apply({ADA: held})
        assert extended.result.hold.expires_at_ms == extended.heads[0].holds[HoldId("hold")].expires_at_ms == over_ms


def test_letting_go_is_refused_once_captured_and_once_gone() -> None:
    held = place(70).apply({ADA: FUNDED}).heads[0]
    taken = capture(70).apply({ADA: held})
    entry = taken.entries[0]

    assert release().apply({ADA: held}).heads[0].holds == {}
    assert release().recall({ADA: held}, {}) is None
    with pytest.raises(HoldAbsent):
        release().apply({ADA: taken.heads[0]})
    with pytest.raises(HoldAbsent):
        release().recall({ADA: taken.heads[0]}, {(ADA, entry.entry_id): entry})


@pytest.mark.parametrize("takes", ["send", "set aside", "withdraw"])
def test_a_process_that_is_behind_takes_nothing_that_a_newer_hold_stands_on(takes: str) -> None:
    """A bonus expired, a hold was placed on paid credits, and then somebody comes who still sees the bonus alive."""
    bonus, paid = Lot(Origin.PROMO, NOW + 1, 100), Lot(Origin.PAID, None, 40)
    held = place(30, at_ms=NOW + 2).apply({ADA: Head(ADA, seq=1, lots=(bonus, paid))}).heads[0]
    escrow = AccountId("escrow:order")
    late = {
        "send": send(40, "late", at_ms=NOW),
        "set aside": SetAside(account_id=ADA, escrow_id=escrow, amount_micros=40, facts=(), at_ms=NOW),
        "withdraw": Withdraw(account_id=ADA, payee_id=BEN, key="late", facts=(), at_ms=NOW),
    }[takes]

    after = _applied(late, held, BEN, escrow)

    assert lots_after(captured(held.holds[HoldId("hold")], NOW + 3), after) >= 0


steps = st.lists(
    st.one_of(
        st.tuples(st.just("hold"), st.integers(1, 60), st.integers(0, 3)),
        st.tuples(st.just("debit"), st.integers(1, 60), st.integers(0, 3)),
        st.tuples(st.just("send"), st.integers(1, 60), st.integers(0, 3)),
        st.tuples(st.just("grant"), st.integers(1, 40), st.integers(0, 3)),
        st.tuples(st.just("capture"), st.integers(0, 100), st.integers(0, 3)),
        st.tuples(st.just("release"), st.integers(0, 1), st.integers(0, 3)),
    ),
    min_size=1,
    max_size=25,
)


@given(steps, st.integers(-2, 2))
def test_a_capture_within_a_live_hold_always_succeeds_and_owes_nothing(
    script: list[tuple[str, int, int]], skew: int
) -> None:
    """Whatever expired meanwhile, was debited between or was placed by a machine whose clock runs ahead or behind."""
    head = open_account().apply({ADA: None}).heads[0]
    at_ms = NOW
    for number, (kind, amount, wait) in enumerate(script):
        at_ms += wait
        seen_ms = at_ms + (skew if number % 2 else 0)
        operations: list[Posting] = []
        if kind == "grant":
            promo_until = None if amount % 4 == 0 else at_ms + amount % 7
            operations.append(grant(amount, str(number), promo_until=promo_until, at_ms=seen_ms))
        elif kind == "debit":
            operations.append(debit(amount, str(number), at_ms=seen_ms))
        elif kind == "send":
            operations.append(send(amount, str(number), at_ms=seen_ms))
        elif kind == "capture" and head.holds:
            operations.append(captured(list(head.holds.values())[amount % len(head.holds)], seen_ms))
        elif kind == "hold":
            head = _applied(place(amount, str(number), at_ms=seen_ms, lifetime_ms=20), head)
        elif kind == "release" and head.holds:
            head = _applied(release(next(iter(head.holds)), at_ms=seen_ms), head)
        for operation in operations:
            head = _applied(operation, head)
        for hold in head.holds.values():
            if hold.expires_at_ms > at_ms:
                assert captured(hold, at_ms).apply({ADA: head}).entries[0].delta_micros == -hold.amount_micros
                assert lots_after(captured(hold, at_ms), head) >= 0
    every = [hold for hold in head.holds.values() if hold.expires_at_ms > at_ms]
    for hold in every:
        head = captured(hold, at_ms).apply({ADA: head}).heads[0]


def captured(hold: Hold, at_ms: int):  # type: ignore[no-untyped-def]
    return capture(hold.amount_micros, HoldId(hold.hold_id), at_ms=at_ms)


def send(amount: int, key: str, *, at_ms: int) -> Transfer:
    """Of paid credits alone, which may leave a hold to promotional ones."""
    limits = SendLimits(per_day_micros_max=10**9, repeat_window_ms=0)
    return Transfer(account_id=ADA, payee_id=BEN, amount_micros=amount, key=key, facts=(), at_ms=at_ms, limits=limits)


def lots_after(operation: Posting, head: Head) -> int:
    """The least that a lot is left with: below zero it is owed."""
    lots = operation.apply({ADA: head}).heads[0].lots
    return min([lot.remaining_micros for lot in lots], default=0)


def _applied(operation, head: Head, *others: AccountId) -> Head:  # type: ignore[no-untyped-def]
    try:
        after: Head = operation.apply({ADA: head, **{other: Head(other) for other in (BEN, *others)}}).heads[0]
    except (CreditTooLow, HoldAbsent):
        return head
    return after
