"""Trust grows with calls and age and falls with failures and disputes; who fails too often is given up."""

from hypothesis import given
from hypothesis import strategies as st

from shared.resources import health
from shared.resources.models import KeyStatus, Probed
from shared.resources.rules import PPM, advance_of
from tests.ledger.builders import DAY, NOW
from tests.resources.builders import MODEL, QUOTA, key

COUNTS = st.integers(0, 10**6)
AGES = st.integers(0, 400 * DAY)


@given(COUNTS, COUNTS, st.integers(0, 100), AGES)
def test_trust_is_a_part_of_the_whole_with_reasons(calls: int, failures: int, disputes: int, age: int) -> None:
    trust = health.trust_of(calls=calls, failures=failures, disputes=disputes, age_ms=age)

    assert 0 <= trust.ppm <= PPM
    assert len(trust.reasons) == (3 if disputes else 2)


@given(COUNTS, COUNTS, st.integers(0, 18), AGES)
def test_each_good_thing_raises_trust_and_each_bad_one_lowers_it(
    calls: int, failures: int, disputes: int, age: int
) -> None:
    def ppm(*, calls: int = calls, failures: int = failures, disputes: int = disputes, age: int = age) -> int:
        return health.trust_of(calls=calls, failures=failures, disputes=disputes, age_ms=age).ppm

    assert ppm(calls=calls + 1) >= ppm() >= ppm(failures=failures + 1)
    assert ppm(age=age + DAY) >= ppm() >= ppm(disputes=disputes + 1) * 2 - 1


def test_a_new_key_is_trusted_by_a_third() -> None:
    assert health.trust_of(calls=0, failures=0, disputes=0, age_ms=0).ppm == 350_000


def test_pauses_grow_to_an_hour_and_end_a_day_after_the_key_was_known() -> None:
    """An outage of hours ends no key: its secret, which is gone then, could not be had again."""
    failing, at_ms, pauses = key(validated_at_ms=NOW), NOW, []
    while failing.status is not KeyStatus.DEAD:
        failing = health.failed(failing, at_ms, fatal=False)
        if failing.cool_until_ms is not None:
            pauses.append(failing.cool_until_ms - at_ms)
            at_ms = failing.cool_until_ms

    assert pauses[:7] == [health.COOL_MS * 2**n for n in range(7)]
    assert set(pauses[7:]) == {health.COOL_MS * 2**6}
    assert at_ms - health.COOL_MS * 2**6 < NOW + health.UNKNOWN_MAX_MS <= at_ms
    assert failing.sealed is None


def test_one_failure_long_after_it_was_known_ends_no_key() -> None:
    """The timer may have stood still."""
    failing = health.failed(key(validated_at_ms=NOW), NOW + 9 * DAY, fatal=False)

    assert failing.status is KeyStatus.COOLING


def test_a_good_answer_forgives_failures_in_a_row_and_not_their_count() -> None:
    failing = health.failed(key(validated_at_ms=NOW), NOW, fatal=False)

    known = health.validated(failing, Probed((MODEL,)), NOW + 1)

    assert (known.failures_in_row, known.failures, known.cool_until_ms) == (0, 1, None)


def test_a_key_that_its_owner_paused_stays_so_when_it_fails() -> None:
    paused = key(status=KeyStatus.PAUSED, validated_at_ms=NOW)

    assert health.failed(paused, NOW, fatal=False).status is KeyStatus.PAUSED


def test_a_claim_is_lowered_to_what_the_provider_says_is_left() -> None:
    known = health.validated(key(), Probed((MODEL,), limit_micros=1_000), NOW)

    assert (known.quota_micros, known.advance_micros) == (1_000, 85)


def test_a_later_limit_changes_neither_quota_nor_advance() -> None:
    """What was advanced is earned by the quota it was advanced for."""
    known = health.validated(key(), Probed((MODEL,)), NOW)

    again = health.validated(known, Probed((MODEL,), limit_micros=1), NOW + 1)

    assert (again.quota_micros, again.advance_micros) == (QUOTA, advance_of(QUOTA))
