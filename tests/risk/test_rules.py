"""Who somebody is known by, and when it is too often."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.base.economy import DAY_MS
from shared.risk import rules
from shared.risk.limits import (
    CARD_USERS_MAX,
    CARD_WINDOW_MS,
    CHECKOUT_LIMITS,
    DECISIONS_MAX,
    HOUR_MS,
    KEPT_MS,
    MARKS_MAX,
    REFUNDS_PER_YEAR_MAX,
    YEAR_MS,
    Limit,
)
from shared.risk.models import Decision, DecisionRecord, Mark, MarkSort, Signal, SignalKind, SignalName, Trace
from tests.ledger.builders import NOW

CLIENT, BALANCER = "203.0.113.7", "34.1.2.3"


def trace(kind: SignalKind, *marks: Mark) -> Trace:
    return Trace(Signal(kind, SignalName("x")), marks)


@pytest.mark.parametrize("forged", ["", "198.51.100.9", "198.51.100.9, 10.0.0.1", "x", CLIENT + ",", ", ,"])
def test_what_a_client_writes_before_the_trusted_address_is_never_read(forged: str) -> None:
    """However much of it there is, and whether or not it looks like an address."""
    before = f"{forged}, " if forged else ""

    assert rules.client_address(before + CLIENT, from_end=1) == CLIENT
    assert rules.client_address(f"{before}{CLIENT}, {BALANCER}", from_end=2) == CLIENT


@pytest.mark.parametrize("header", ["", "unknown", "1.2.3.4:80", "1.2.3", CLIENT + ",", "x" * 3_000 + "," + CLIENT])
def test_what_is_no_address_is_none(header: str) -> None:
    """A limit by address is then passed over; those by user and device are not."""
    assert rules.client_address(header, from_end=1) is None


def test_a_header_that_is_too_short_is_not_read_from_its_other_end() -> None:
    """Else whoever reaches a function past the load balancer would choose their address."""
    assert rules.client_address(CLIENT, from_end=2) is None


def test_all_addresses_of_one_customers_network_are_one() -> None:
    """IPv6 has as many as anybody wants; the same IPv4 address has a second form."""
    one, other, third = ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1")
    networks = [rules.client_address(address, from_end=1) for address in (one, other, third)]

    assert networks[0] == networks[1] != networks[2]
    assert rules.client_address("::ffff:203.0.113.7", from_end=1) == CLIENT


@pytest.mark.parametrize("text", ["", "short", "x" * 129, "with space", "ünïcode-device", "a/b/c/d/e"])
def test_a_device_that_is_no_name_is_none(text: str) -> None:
    assert rules.device_of(text) is None


@pytest.mark.parametrize("text", ["", "0491511234567", "+0491511234567", "+49 1511234567", "+1" * 20])
def test_a_phone_is_only_taken_in_its_one_form(text: str) -> None:
    assert rules.phone_of(text) is None


ALL_LIMITS = [(kind, limit) for kind, limits in CHECKOUT_LIMITS.items() for limit in limits]


@pytest.mark.parametrize(("kind", "limit"), ALL_LIMITS)
def test_exactly_so_many_are_let_through_and_then_there_is_a_time_to_wait(kind: SignalKind, limit: Limit) -> None:
    """One below the limit passes, the limit does not, and the moment that is told is the first at which one does."""
    step_ms = limit.window_ms // limit.marks_max
    marks = [Mark(limit.sort, str(n), NOW + n * step_ms) for n in range(limit.marks_max)]
    at_ms = marks[-1].at_ms
    full = trace(kind, *marks)

    wait_ms = rules._wait_ms(full, limit, at_ms)

    assert rules._wait_ms(trace(kind, *marks[:-1]), limit, at_ms) == 0
    assert wait_ms == limit.window_ms - (at_ms - NOW) > 0
    assert rules._wait_ms(full, limit, at_ms + wait_ms - 1) == 1
    assert rules._wait_ms(full, limit, at_ms + wait_ms) == 0
    refusal = rules.checkout_refusal([full], at_ms=at_ms)
    assert refusal is not None
    assert refusal.retry_after_ms >= wait_ms


@pytest.mark.parametrize(("kind", "limit"), ALL_LIMITS)
def test_every_limit_sees_as_many_and_as_old_marks_as_it_asks_for(kind: SignalKind, limit: Limit) -> None:
    """What is dropped must not be what a limit needs."""
    assert limit.marks_max <= MARKS_MAX
    assert limit.window_ms <= KEPT_MS[limit.sort]


@given(st.lists(st.tuples(st.sampled_from(list(MarkSort)), st.integers(0, 400), st.integers(0, 3 * HOUR_MS))))
def test_a_trace_is_bounded_and_counts_a_thing_once(happened: list[tuple[MarkSort, int, int]]) -> None:
    marks = [Mark(sort, str(name), NOW + after_ms) for sort, name, after_ms in happened]
    before = trace(SignalKind.USER)

    after = rules.marked(before, marks * 2, at_ms=NOW + 3 * HOUR_MS)

    names = [(mark.sort, mark.name) for mark in after.marks]
    assert len(set(names)) == len(names) <= MARKS_MAX * len(MarkSort)
    assert set(names) <= {(mark.sort, mark.name) for mark in marks}
    assert rules.marked(after, marks, at_ms=NOW + 3 * HOUR_MS).marks[: len(after.marks)] == after.marks


def test_a_repeat_of_one_thing_is_not_a_second_one() -> None:
    once = rules.marked(trace(SignalKind.USER), [Mark(MarkSort.ORDER, "a", NOW)], at_ms=NOW)

    assert rules.marked(once, [Mark(MarkSort.ORDER, "a", NOW + 1)], at_ms=NOW + 1) == once


def test_what_no_longer_counts_is_not_kept() -> None:
    once = rules.marked(trace(SignalKind.ADDRESS), [Mark(MarkSort.ORDER, "a", NOW)], at_ms=NOW)

    assert rules.marked(once, [], at_ms=NOW + DAY_MS).marks == ()


def test_of_too_many_marks_the_newest_count_and_another_sort_is_not_pushed_out() -> None:
    """A thief who floods one limit does not empty another."""
    refund = Mark(MarkSort.REFUND, "order", NOW)
    flood = [Mark(MarkSort.DECLINE, str(n), NOW + n) for n in range(MARKS_MAX + 50)]

    after = rules.marked(trace(SignalKind.USER, refund), flood, at_ms=NOW + 1_000)

    assert after.marks[0] == refund
    assert len(after.marks) == MARKS_MAX + 1
    assert after.marks[-1] == flood[-1]


def _card(users: int) -> Trace:
    marks = [Mark(MarkSort.USED_BY, rules.use_of(SignalName(f"u{n}"), f"pi_{n}"), NOW + n) for n in range(users)]
    return trace(SignalKind.CARD, *marks)


def test_a_card_of_more_people_than_a_family_waits_for_a_person() -> None:
    """Those who were there first are not held, whenever they are asked about."""
    card = _card(CARD_USERS_MAX + 2)
    doubts = [rules.card_doubt(card, SignalName(f"u{n}"), at_ms=NOW + 10) for n in range(CARD_USERS_MAX + 2)]

    assert doubts == [None] * CARD_USERS_MAX + ["card_shared"] * 2


def test_a_card_that_a_bank_called_stolen_waits_for_a_person_whoever_pays() -> None:
    card = rules.marked(_card(1), [Mark(MarkSort.FRAUD, "issfr_1", NOW)], at_ms=NOW + 1)

    assert rules.card_doubt(card, SignalName("u0"), at_ms=NOW + 10) == "card_fraud"
    assert rules.card_doubt(card, SignalName("u0"), at_ms=NOW + CARD_WINDOW_MS + 10) == "card_shared"


def test_refunds_are_counted_by_the_year() -> None:
    marks = [Mark(MarkSort.REFUND, str(n), NOW) for n in range(REFUNDS_PER_YEAR_MAX)]
    user = trace(SignalKind.USER, *marks)

    assert rules.refund_refusal(trace(SignalKind.USER, *marks[1:]), at_ms=NOW) is None
    assert rules.refund_refusal(user, at_ms=NOW) is not None
    assert rules.refund_refusal(user, at_ms=NOW + YEAR_MS) is None


def test_a_record_of_decisions_is_only_added_to_and_is_bounded() -> None:
    record = DecisionRecord(owner="ada")  # type: ignore[arg-type]
    decisions = [
        Decision(decision_id=str(n), rule="x", outcome="y", by="rule", at_ms=NOW) for n in range(DECISIONS_MAX + 3)
    ]
    for decision in decisions:
        grown = rules.added(record, decision)
        assert grown.decisions[: len(record.decisions)] == record.decisions
        record = grown

    assert len(record.decisions) == DECISIONS_MAX
    assert record.left_out == 3
    assert rules.added(record, decisions[0]) == record
