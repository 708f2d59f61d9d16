"""What processes tell each other of routes: the later and the worse holds, and nothing lasts that should not."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.catalog.models import Route
from shared.providers.errors import Fault
from shared.routing import breaker, sharing
from shared.routing.models import Condition, News, Phase
from tests.routing.builders import FIRST

NOW = 1_000_000
AHEAD = 1_700_000_000_000
times = st.integers(NOW - 200_000, NOW + 200_000)
news = st.builds(
    News,
    provider=st.just("first"),
    model=st.just("first/model"),
    resting=st.booleans(),
    fault=st.none() | st.sampled_from(Fault),
    ready_at_ms=times.map(lambda ms: ms + AHEAD) | st.integers(0, 10**15),
    decided_at_ms=st.just(0) | times.map(lambda ms: ms + AHEAD) | st.integers(0, 10**15),
    answered_ppm=st.integers(0, 1_000_000),
    first_byte_ms=st.none() | st.integers(0, 10**6),
    told_at_ms=times.map(lambda ms: ms + AHEAD) | st.integers(0, 10**15),
)
conditions = st.builds(
    Condition,
    phase=st.sampled_from(Phase),
    fault=st.none() | st.sampled_from(Fault),
    ready_at_ms=st.integers(0, NOW + breaker.REST_MS_MAX),
    rest_ms=st.integers(0, breaker.REST_MS_MAX),
    decided_at_ms=st.none() | st.integers(0, NOW),
)


names = st.text(st.characters(codec="utf-8"), min_size=1)


def heard(condition: Condition, told: News, now_ms: int = NOW) -> Condition:
    return breaker.after_news(condition, told, now_ms, wall_ahead_ms=AHEAD)


def told_of(condition: Condition, now_ms: int = NOW) -> News:
    return sharing.news_of(FIRST, condition, now_ms, wall_ahead_ms=AHEAD)


def resting(now_ms: int = NOW, retry_after_ms: int = 60_000) -> Condition:
    return breaker.after_fault(Condition(), now_ms, Fault.BUSY, probe=False, retry_after_ms=retry_after_ms)


@given(news, news)
def test_it_does_not_matter_who_tells_first(one: News, other: News) -> None:
    assert sharing.merged(one, other) == sharing.merged(other, one)
    assert sharing.merged(one, one) == one


@given(news, news)
def test_the_later_decision_holds(one: News, other: News) -> None:
    both = sharing.merged(one, other)

    assert both.decided_at_ms == max(one.decided_at_ms, other.decided_at_ms)
    assert both.answered_ppm in (one.answered_ppm, other.answered_ppm)


@given(conditions, news)
def test_whatever_is_heard_a_route_never_rests_longer_than_by_our_own_rules(condition: Condition, told: News) -> None:
    """A clock that goes wrong elsewhere, or a document that somebody wrote by hand, locks no route out."""
    after = heard(condition, told)

    assert after.ready_at_ms <= NOW + breaker.REST_MS_MAX
    assert after.decided_at_ms is None or after.decided_at_ms <= NOW
    assert (after.phase is Phase.PROBING) == (condition.phase is Phase.PROBING)
    if after.phase is Phase.CLOSED:
        assert condition.phase is Phase.CLOSED


@given(conditions.filter(lambda condition: condition.phase is not Phase.PROBING))
def test_what_was_told_is_no_news_to_its_teller(condition: Condition) -> None:
    told = told_of(condition)

    assert heard(condition, told).phase is condition.phase
    assert not sharing.is_worth_telling(told, told_of(condition))


def test_a_rest_is_taken_over_and_ends_for_both_at_the_same_time() -> None:
    theirs = resting()

    ours = heard(Condition(), told_of(theirs), NOW + 1_000)

    assert (ours.phase, ours.ready_at_ms, ours.fault) == (Phase.OPEN, theirs.ready_at_ms, Fault.BUSY)


def test_what_we_decided_later_is_not_undone() -> None:
    """Our probe was answered after they gave up."""
    probed = breaker.after_answer(Condition(phase=Phase.PROBING), NOW + 5, probe=True, first_byte_ms=None)

    assert heard(probed, told_of(resting(NOW)), NOW + 10).phase is Phase.CLOSED


def test_that_others_found_it_well_lets_us_probe_at_once() -> None:
    """We do not take their word for it: what answers them may not answer us."""
    closed = breaker.after_answer(Condition(phase=Phase.PROBING), NOW + 5, probe=True, first_byte_ms=None)

    after = heard(resting(NOW), told_of(closed, NOW + 10), NOW + 10)

    assert (after.phase, after.ready_at_ms) == (Phase.OPEN, NOW + 10)


def test_a_bad_minute_of_others_is_forgotten_after_a_minute() -> None:
    """However often it is passed on meanwhile."""
    bad = replace(told_of(Condition()), answered_ppm=300_000)
    passed_on = sharing.merged(bad, told_of(Condition(first_byte_ms=5), NOW + 30_000))

    condition = heard(Condition(), passed_on, NOW + 30_000)

    assert breaker.answered_ppm(condition, NOW + 59_999) == 300_000
    assert breaker.answered_ppm(condition, NOW + 60_000) == 1_000_000


def test_a_route_that_is_well_is_told_of_once() -> None:
    """Then only when its time to the first byte moves by more than a quarter."""
    timed = Condition(first_byte_ms=400)

    assert not sharing.is_worth_telling(None, told_of(Condition()))
    assert sharing.is_worth_telling(None, told_of(timed))
    assert not sharing.is_worth_telling(told_of(timed), told_of(replace(timed, first_byte_ms=500), NOW + 1))
    assert sharing.is_worth_telling(told_of(timed), told_of(replace(timed, first_byte_ms=501), NOW + 1))
    assert sharing.is_worth_telling(told_of(timed), told_of(resting()))


@given(names, names)
def test_models_do_not_share_documents_and_any_name_makes_a_path(one: str, other: str) -> None:
    names = [sharing.document_id(Route(provider="acme", model=model)) for model in (one, other)]

    assert (names[0] == names[1]) == (one == other)
    assert all("/" not in name for name in names)
