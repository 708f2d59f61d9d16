"""What each posting does to the accounts, what it refuses, and what makes two requests the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.base.ids import AccountId, HoldId, entry_id_of
from shared.ledger.errors import (
    AccountAbsent,
    AccountNotOpen,
    AmountWrong,
    CreditTooLow,
    HoldAbsent,
    HoldExceeded,
    KeyReused,
    SendLimitExceeded,
    TransferRepeated,
    TransferToSelf,
)
from shared.ledger.models import (
    HOUSE_PROMOTIONS,
    HOUSE_REVENUE,
    EntryKind,
    Head,
    Leg,
    Lot,
    LotChange,
    Origin,
    Sending,
    SendLimits,
    Share,
    Status,
)
from shared.ledger.operation import facts_of, post
from shared.ledger.service import SEND_LIMITS
from tests.ledger.builders import (
    ADA,
    BEN,
    DAY,
    NOW,
    capture,
    debit,
    grant,
    lot_tuples,
    open_account,
    place,
    transfer,
)

PROMO = Lot(Origin.PROMO, NOW + DAY, 40)
PAID = Lot(Origin.PAID, None, 60)
FUNDED = Head(ADA, seq=1, hash="h" * 64, lots=(PROMO, PAID))
FROZEN = replace(FUNDED, status=Status.FROZEN)
CLOSED = replace(FUNDED, status=Status.CLOSED)


def test_opening_makes_the_first_entry() -> None:
    step = open_account().apply({ADA: None})

    assert step.heads[0].seq == 1
    assert step.heads[0].hash == step.entries[0].hash
    assert step.entries[0].kind is EntryKind.OPEN
    with pytest.raises(KeyReused):
        open_account().apply({ADA: FUNDED})


def test_a_grant_names_where_the_credits_came_from() -> None:
    step = grant(5, promo_until=NOW + DAY).apply({ADA: FUNDED})

    assert step.entries[0].legs == (Leg(HOUSE_PROMOTIONS, Origin.PROMO, -5),)
    assert step.heads[0].lots == (replace(PROMO, remaining_micros=45), PAID)
    assert step.heads[0].spent_micros == 0


def test_a_debit_is_split_among_its_payees_by_origin() -> None:
    shared = replace(debit(50), shares=(Share(HOUSE_REVENUE, 3), Share(AccountId("earn:ben"), 1)))

    step = shared.apply({ADA: FUNDED})

    assert step.entries[0].lots == (
        LotChange(Origin.PROMO, NOW + DAY, -40),
        LotChange(Origin.PAID, None, -10),
    )
    assert step.entries[0].legs == (
        Leg(HOUSE_REVENUE, Origin.PROMO, 30),
        Leg(AccountId("earn:ben"), Origin.PROMO, 10),
        Leg(HOUSE_REVENUE, Origin.PAID, 8),
        Leg(AccountId("earn:ben"), Origin.PAID, 2),
    )
    assert (step.heads[0].balance_micros, step.heads[0].spent_micros) == (50, 50)


def test_a_debit_leaves_what_is_held() -> None:
    held = place(70).apply({ADA: FUNDED}).heads[0]

    assert debit(30).apply({ADA: held}).heads[0].balance_micros == 70
    with pytest.raises(CreditTooLow):
        debit(31).apply({ADA: held})


def test_a_capture_takes_what_expired_since_its_hold_was_placed() -> None:
    held = place(100, lifetime_ms=3 * DAY).apply({ADA: FUNDED}).heads[0]

    step = capture(100, at_ms=NOW + 2 * DAY).apply({ADA: held})

    assert step.heads[0].lots == ()
    assert step.heads[0].holds == {}
    assert step.entries[0].hold_id == "hold"


def test_a_capture_of_a_frozen_account_stands() -> None:
    held = replace(place(10).apply({ADA: FUNDED}).heads[0], status=Status.FROZEN)

    assert capture(10).apply({ADA: held}).heads[0].balance_micros == 90


def test_a_posting_sweeps_dead_holds() -> None:
    held = place(10, lifetime_ms=5).apply({ADA: FUNDED}).heads[0]

    assert debit(1, at_ms=NOW + 5).apply({ADA: held}).heads[0].holds == {}


@given(lot_tuples(), lot_tuples(), st.data())
def test_a_transfer_moves_lots_and_makes_nothing(
    payer_lots: tuple[Lot, ...], payee_lots: tuple[Lot, ...], data: st.DataObject
) -> None:
    alive = sum(lot.remaining_micros for lot in payer_lots if lot.expires_at_ms is None or lot.expires_at_ms > NOW)
    payer, payee = Head(ADA, lots=payer_lots), Head(BEN, lots=payee_lots)
    amount = data.draw(st.integers(1, max(1, alive)))
    if not alive:
        with pytest.raises(CreditTooLow):
            transfer(amount).apply({ADA: payer, BEN: payee})
        return

    step = transfer(amount).apply({ADA: payer, BEN: payee})

    paid, received = step.entries
    after_payer, after_payee = step.heads
    assert (paid.delta_micros, received.delta_micros) == (-amount, amount)
    assert paid.entry_id == received.entry_id
    assert paid.request_hash == received.request_hash
    assert {leg.origin: leg.amount_micros for leg in paid.legs} == {
        leg.origin: -leg.amount_micros for leg in received.legs
    }
    for origin in Origin:
        before, after = (
            sum(lot.remaining_micros for head in heads for lot in head.lots if lot.origin is origin)
            for heads in ((payer, payee), (after_payer, after_payee))
        )
        assert before == after
    assert after_payer.spent_micros == after_payee.spent_micros == 0


def test_what_a_person_sends_is_paid_credits_and_counts_for_the_day() -> None:
    """The promotional ones stay, although they would be spent first."""
    step = replace(transfer(60), limits=SEND_LIMITS).apply({ADA: FUNDED, BEN: Head(BEN)})

    sender, recipient = step.heads
    assert sender.lots == (PROMO,)
    assert recipient.lots == (PAID,)
    assert sender.sending.sent_micros == 60
    assert recipient.sending == Sending()


def test_what_a_person_sends_is_bounded_and_never_sent_twice_unasked() -> None:
    send = replace(transfer(6), limits=SendLimits(per_day_micros_max=15, repeat_window_ms=1))
    sender = send.apply({ADA: FUNDED, BEN: Head(BEN)}).heads[0]

    with pytest.raises(TransferRepeated):
        send.apply({ADA: sender, BEN: Head(BEN)})
    again = replace(send, repeat_confirmed=True)
    sender = again.apply({ADA: sender, BEN: Head(BEN)}).heads[0]
    with pytest.raises(SendLimitExceeded):
        again.apply({ADA: sender, BEN: Head(BEN)})
    with pytest.raises(CreditTooLow):
        replace(transfer(61), limits=SEND_LIMITS).apply({ADA: FUNDED, BEN: Head(BEN)})
    assert again.request_hash == send.request_hash


REFUSALS = [
    (debit(1), {ADA: None}, AccountAbsent),
    (debit(1), {ADA: FROZEN}, AccountNotOpen),
    (debit(0), {ADA: FUNDED}, AmountWrong),
    (debit(101), {ADA: FUNDED}, CreditTooLow),
    (debit(61, at_ms=NOW + DAY), {ADA: FUNDED}, CreditTooLow),
    (grant(1), {ADA: None}, AccountAbsent),
    (grant(0), {ADA: FUNDED}, AmountWrong),
    (grant(1), {ADA: CLOSED}, AccountNotOpen),
    (capture(1), {ADA: FUNDED}, HoldAbsent),
    (capture(1), {ADA: None}, AccountAbsent),
    (transfer(1), {ADA: FUNDED, BEN: None}, AccountAbsent),
    (transfer(1), {ADA: FROZEN, BEN: Head(BEN)}, AccountNotOpen),
    (transfer(1), {ADA: FUNDED, BEN: Head(BEN, status=Status.CLOSED)}, AccountNotOpen),
    (transfer(101), {ADA: FUNDED, BEN: Head(BEN)}, CreditTooLow),
    (transfer(-1), {ADA: FUNDED, BEN: Head(BEN)}, AmountWrong),
    (transfer(1, to=ADA), {ADA: FUNDED}, TransferToSelf),
]


@pytest.mark.parametrize(("operation", "heads", "refusal"), REFUSALS)
def test_what_must_not_be_posted_is_refused(operation, heads, refusal) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(refusal):
        operation.apply(heads)


@pytest.mark.parametrize(("amount", "refusal"), [(0, AmountWrong), (11, HoldExceeded), (10**15 + 1, AmountWrong)])
def test_a_capture_is_from_one_micro_to_its_hold(amount: int, refusal: type[Exception]) -> None:
    held = place(10).apply({ADA: FUNDED}).heads[0]

    with pytest.raises(refusal):
        capture(amount).apply({ADA: held})
    with pytest.raises(HoldAbsent):
        capture(10, at_ms=NOW + DAY).apply({ADA: held})


def test_the_time_of_asking_does_not_make_another_request() -> None:
    assert debit(1, at_ms=1).request_hash == debit(1, at_ms=2).request_hash
    assert grant(1, promo_until=5).request_hash == grant(1, promo_until=6).request_hash


def test_everything_else_does() -> None:
    base = debit(10, reason="a")
    requests = [
        base,
        debit(11, reason="a"),
        debit(10, reason="b"),
        debit(10, other="a"),
        debit(10, by=BEN, reason="a"),
        replace(base, shares=(Share(HOUSE_REVENUE, 2),)),
        replace(base, shares=(Share(AccountId("earn:ben"), 1),)),
        grant(10),
        replace(grant(10), source=AccountId("house:sales")),
        grant(10, promo_until=NOW),
        capture(10),
        transfer(10),
        transfer(11),
        transfer(10, to=AccountId("user:clara")),
    ]

    assert len({request.request_hash for request in requests}) == len(requests)


def test_a_capture_is_known_by_its_hold() -> None:
    assert capture(5).entry_id == capture(6).entry_id == entry_id_of("hold:hold")
    assert capture(5, HoldId("other")).entry_id != capture(5).entry_id


def test_a_late_capture_is_the_one_that_was_meant_to_be_in_time() -> None:
    """One entry for both: whichever comes second finds the first."""
    late = replace(capture(5), late=True)

    assert late.entry_id == capture(5).entry_id
    assert late.request_hash == capture(5).request_hash


def test_facts_have_one_order() -> None:
    assert facts_of({"b": 2, "a": "x"}) == facts_of({"a": "x", "b": "2"}) == (("a", "x"), ("b", "2"))


@pytest.mark.parametrize(
    "legs",
    [(), (Leg(HOUSE_REVENUE, Origin.PAID, 9),), (Leg(HOUSE_REVENUE, Origin.PROMO, 10),)],
    ids=["none", "less", "of another origin"],
)
def test_an_entry_that_makes_or_loses_credits_is_never_written(legs: tuple[Leg, ...]) -> None:
    """Whatever an operation computes: what it writes cancels, paid and promotional credits each for themselves."""
    taken = (LotChange(Origin.PAID, None, -10),)

    with pytest.raises(ArithmeticError):
        post(debit(10), FUNDED, changes=taken, legs=legs, facts=())
