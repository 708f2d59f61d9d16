"""The circuit breaker, whatever happens in whatever order."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared.providers.errors import Fault
from shared.routing import breaker
from shared.routing.breaker import CALLS_MIN, PROBE_MS_MAX, REST_BUSY_MS, REST_MS, REST_MS_MAX, REST_MS_MIN, WINDOW_MS
from shared.routing.models import Condition, Phase

NOW = 1_000_000
faults = st.sampled_from(Fault)


def failed(condition: Condition, fault: Fault, now_ms: int = NOW, *, probe: bool = False, **rest: int) -> Condition:
    return breaker.after_fault(condition, now_ms, fault, probe=probe, retry_after_ms=rest.get("retry_after_ms"))


def answered(condition: Condition, now_ms: int = NOW, *, probe: bool = False) -> Condition:
    return breaker.after_answer(condition, now_ms, probe=probe, first_byte_ms=None)


@pytest.mark.parametrize(
    ("fault", "rest_ms"),
    [(Fault.BUSY, REST_BUSY_MS), (Fault.KEY, REST_MS), (Fault.DENIED, REST_MS), (Fault.DOWN, None)],
)
def test_a_refusal_of_our_rate_or_account_opens_at_once(fault: Fault, rest_ms: int | None) -> None:
    """One failure of another kind does not."""
    condition = failed(Condition(), fault)

    assert condition.phase is (Phase.CLOSED if rest_ms is None else Phase.OPEN)
    assert condition.ready_at_ms == (0 if rest_ms is None else NOW + rest_ms)


def test_a_denial_of_one_request_among_answers_does_not_take_the_route_from_others() -> None:
    """Some providers deny a request for its words. A key that is refused is refused to all."""
    lively = answered(Condition(), NOW - WINDOW_MS + 1)

    assert failed(lively, Fault.DENIED).phase is Phase.CLOSED
    assert failed(answered(Condition(), NOW - WINDOW_MS), Fault.DENIED).phase is Phase.OPEN
    assert failed(lively, Fault.KEY).phase is Phase.OPEN


@given(st.integers(0, 60), st.integers(0, 60))
def test_more_than_half_of_enough_calls_must_fail(answers: int, failures: int) -> None:
    condition = Condition()
    for _ in range(answers):
        condition = answered(condition)
    opened = False
    for count in range(1, failures + 1):
        condition = failed(condition, Fault.DOWN)
        opened = opened or (answers + count >= CALLS_MIN and count > answers)
        assert (condition.phase is Phase.OPEN) == opened


def test_failures_of_more_than_a_minute_ago_count_for_nothing() -> None:
    condition = Condition()
    for _ in range(CALLS_MIN - 1):
        condition = failed(condition, Fault.DOWN)

    assert failed(condition, Fault.DOWN).phase is Phase.OPEN
    assert failed(condition, Fault.DOWN, NOW + WINDOW_MS).phase is Phase.CLOSED
    assert breaker.answered_ppm(condition, NOW) < breaker.answered_ppm(condition, NOW + WINDOW_MS) == 1_000_000


@given(faults, st.none() | st.integers(0, 10**10))
def test_a_provider_says_how_long_to_stay_away_within_bounds(fault: Fault, retry_after_ms: int | None) -> None:
    condition = breaker.after_fault(
        Condition(phase=Phase.PROBING), NOW, fault, probe=True, retry_after_ms=retry_after_ms
    )

    rest_ms = condition.ready_at_ms - NOW
    assert REST_MS_MIN <= rest_ms <= REST_MS_MAX
    if retry_after_ms is not None and REST_MS_MIN <= retry_after_ms <= REST_MS_MAX:
        assert rest_ms == retry_after_ms


@given(faults)
def test_each_failed_probe_doubles_the_rest_up_to_five_minutes(fault: Fault) -> None:
    condition, rests_ms = failed(Condition(), Fault.KEY), []
    for _ in range(10):
        condition, probe = breaker.after_admission(condition, NOW)
        assert probe
        condition = failed(condition, fault, probe=True)
        rests_ms.append(condition.ready_at_ms - NOW)

    assert rests_ms == [min(REST_MS * 2**count, REST_MS_MAX) for count in range(1, 11)]


def test_calls_that_were_under_way_do_not_double_the_rest() -> None:
    """A hundred of them tell the same once more."""
    condition = Condition()
    for _ in range(100):
        condition = failed(condition, Fault.BUSY)

    assert (condition.rest_ms, condition.ready_at_ms) == (REST_BUSY_MS, NOW + REST_BUSY_MS)


def test_an_answer_that_broke_off_counts_as_a_failure_and_no_longer_as_an_answer() -> None:
    condition = Condition()
    for count in range(1, CALLS_MIN + 1):
        condition = breaker.after_break(answered(condition), NOW)
        assert condition.phase is (Phase.OPEN if count == CALLS_MIN else Phase.CLOSED)


def test_a_slow_probe_closes_the_route_to_nobody_for_long() -> None:
    """Whoever asks for the longest answer may be the one that probes. Overtaken, it decides nothing any more."""
    resting = failed(Condition(), Fault.KEY)
    probing, _ = breaker.after_admission(resting, NOW)

    assert breaker.ready_at_ms(probing, NOW + PROBE_MS_MAX - 1) is None
    assert breaker.ready_at_ms(probing, NOW + PROBE_MS_MAX) == NOW + PROBE_MS_MAX
    probing, probe = breaker.after_admission(probing, NOW + PROBE_MS_MAX)
    assert probe
    closed = answered(probing, NOW + PROBE_MS_MAX, probe=True)
    assert closed.phase is Phase.CLOSED
    assert failed(closed, Fault.DOWN, NOW + 2 * PROBE_MS_MAX, probe=True).phase is Phase.CLOSED
    assert breaker.after_nothing(closed, NOW, probe=True) == closed


class Breaker(RuleBasedStateMachine):
    """Calls come, wait for their providers side by side, and end in every way there is, while time goes on."""

    @initialize()
    def begin(self) -> None:
        self.now_ms = NOW
        self.condition = Condition()
        self.under_way: list[bool] = []
        """For each call, whether it began as a probe."""
        self.probed_at_ms = -PROBE_MS_MAX

    def _may_pass(self) -> bool:
        ready_at_ms = breaker.ready_at_ms(self.condition, self.now_ms)
        return ready_at_ms is not None and ready_at_ms <= self.now_ms

    @rule(ms=st.integers(0, REST_MS_MAX))
    def time_passes(self, ms: int) -> None:
        self.now_ms += ms

    @precondition(lambda self: self._may_pass())
    @rule()
    def a_call_passes(self) -> None:
        before = self.condition.phase
        self.condition, probe = breaker.after_admission(self.condition, self.now_ms)
        assert probe == (before is not Phase.CLOSED)
        if before is Phase.PROBING:
            assert self.now_ms - self.probed_at_ms >= PROBE_MS_MAX
        if probe:
            self.probed_at_ms = self.now_ms
        self.under_way.append(probe)

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 10**6), first_byte_ms=st.none() | st.integers(0, 10**6))
    def one_is_answered(self, which: int, first_byte_ms: int | None) -> None:
        probe = self.under_way.pop(which % len(self.under_way))
        before = self.condition.phase
        self.condition = breaker.after_answer(self.condition, self.now_ms, probe=probe, first_byte_ms=first_byte_ms)
        assert self.condition.phase is (Phase.CLOSED if probe and before is Phase.PROBING else before)

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 10**6), fault=faults, retry_after_ms=st.none() | st.integers(0, 10**9))
    def one_fails(self, which: int, fault: Fault, retry_after_ms: int | None) -> None:
        probe = self.under_way.pop(which % len(self.under_way))
        before = self.condition
        self.condition = breaker.after_fault(
            self.condition, self.now_ms, fault, probe=probe, retry_after_ms=retry_after_ms
        )
        if probe and before.phase is Phase.PROBING:
            assert self.condition.phase is Phase.OPEN
        elif before.phase is not Phase.CLOSED:
            assert self.condition.phase is before.phase
            assert self.condition.ready_at_ms >= before.ready_at_ms

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 10**6))
    def one_is_given_up(self, which: int) -> None:
        probe = self.under_way.pop(which % len(self.under_way))
        before = self.condition.phase
        self.condition = breaker.after_nothing(self.condition, self.now_ms, probe=probe)
        if probe and before is Phase.PROBING:
            assert self._may_pass()

    @rule()
    def an_answer_breaks_off(self) -> None:
        self.condition = breaker.after_break(self.condition, self.now_ms)

    @invariant()
    def who_waits_for_a_probe_waits_for_one_that_is_there(self) -> None:
        assert self.condition.phase is not Phase.PROBING or any(self.under_way)

    @invariant()
    def no_rest_is_longer_than_the_longest(self) -> None:
        assert self.condition.ready_at_ms <= self.now_ms + REST_MS_MAX
        assert 0 <= self.condition.rest_ms <= REST_MS_MAX

    @invariant()
    def what_is_remembered_is_bounded(self) -> None:
        assert len(self.condition.window) <= breaker.SLOTS_MAX
        assert 0 < breaker.answered_ppm(self.condition, self.now_ms) <= 1_000_000


TestBreaker = pytest.mark.slow(Breaker.TestCase)
TestBreaker.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
