"""The attempts of one call, and what a router learns from them."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from shared.base.errors import CredenceError
from shared.catalog.models import Model
from shared.providers.errors import Fault, UpstreamBusy, UpstreamRefused, UpstreamUnavailable
from shared.routing.attempts import LIMITS
from shared.routing.breaker import CALLS_MIN, REST_MS
from shared.routing.conditions import SHARE_EVERY_MS
from shared.routing.errors import RouteAbsent
from shared.routing.models import Condition, Phase, Preference, Sort
from tests.routing.builders import FIRST, MANY, ONE, SECOND, TWO, Desk, busy, down


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_the_first_of_the_catalog_answers(desk: Desk) -> None:
    routed = await desk.call(TWO)

    assert (routed.answer, routed.route) == ("first", FIRST)
    assert routed.headers == {
        "x-credence-provider": "first",
        "x-credence-route": "first=answered",
        "x-credence-attempts": "1",
    }
    assert routed.facts == {"provider": "first", "upstream_model": "first/model", "attempts": 1}


@pytest.mark.parametrize("error", [busy(), busy(retry_after_ms=10), down(), down(fault=Fault.KEY)])
async def test_a_failed_route_is_left_for_the_rest_of_the_call(desk: Desk, error: Exception) -> None:
    """Without waiting, as long as another can be asked."""
    desk.replies["first"].append(error)

    routed = await desk.call(TWO)

    assert desk.asked == ["first", "second"]
    assert routed.headers["x-credence-attempts"] == "2"
    assert not desk.time.slept_ms


async def test_a_request_that_no_route_serves_closes_none(desk: Desk) -> None:
    """Another is tried, and the last word is the request's own fault: nobody opens a breaker by asking for nonsense."""
    unfit = down(fault=Fault.UNFIT)
    for _ in range(2 * CALLS_MIN):
        desk.replies["first"].append(unfit)
        desk.replies["second"].append(unfit)
        with pytest.raises(UpstreamRefused):
            await desk.call(TWO)

    assert desk.asked == ["first", "second"] * (2 * CALLS_MIN)
    assert desk.router.condition(FIRST) == desk.router.condition(SECOND) == Condition()
    assert (await desk.call(TWO)).answer == "first"


async def test_a_bounded_number_of_routes_is_asked(desk: Desk) -> None:
    for name in ("first", "second", "third"):
        desk.replies[name].append(down(name, Fault.DENIED))

    with pytest.raises(UpstreamUnavailable):
        await desk.call(MANY)

    assert desk.asked == ["first", "second", "third"]


@pytest.mark.parametrize("model", [ONE, TWO, MANY])
@pytest.mark.parametrize("error", [busy, down])
async def test_a_bounded_number_of_requests_is_sent(
    desk: Desk, model: Model, error: Callable[[], CredenceError]
) -> None:
    for route in model.routes:
        desk.replies[route.provider].extend(error() for _ in range(20))

    with pytest.raises((UpstreamBusy, UpstreamUnavailable)):
        await desk.call(model)

    assert len(desk.asked) == min(len(model.routes), LIMITS.routes_max) + LIMITS.tries_max - 1 <= LIMITS.attempts_max
    assert sum(desk.time.slept_ms) <= LIMITS.waits_ms_max


async def test_the_only_route_is_asked_again_when_it_said(desk: Desk) -> None:
    """Neither before, nor much later."""
    desk.replies["first"].append(busy(retry_after_ms=3_000))

    routed = await desk.call(ONE)

    assert routed.headers["x-credence-route"] == "first=rate_limited, first=answered"
    assert 3_000 <= sum(desk.time.slept_ms) <= 3_250
    assert desk.router.condition(FIRST).phase is Phase.CLOSED


async def test_a_failure_that_said_nothing_is_asked_again_after_a_moment(desk: Desk) -> None:
    desk.replies["first"].append(down())

    await desk.call(ONE)

    assert 100 <= sum(desk.time.slept_ms) <= 200


@pytest.mark.parametrize("error", [busy(retry_after_ms=6_001), down(retry_after_ms=6_001)])
async def test_nobody_waits_longer_than_a_call_may(desk: Desk, error: Exception) -> None:
    desk.replies["first"].append(error)

    with pytest.raises((UpstreamBusy, UpstreamUnavailable)):
        await desk.call(ONE)

    assert (desk.asked, desk.time.slept_ms) == (["first"], [])


async def test_what_failed_slowly_is_not_asked_again(desk: Desk) -> None:
    desk.takes_ms["first"] = LIMITS.repeat_within_ms + 1
    desk.replies["first"].append(down())

    with pytest.raises(UpstreamUnavailable):
        await desk.call(ONE)

    assert desk.asked == ["first"]


async def test_all_attempts_share_the_time_of_the_call(desk: Desk) -> None:
    desk.takes_ms["first"] = 2_000
    desk.replies["first"].append(down())

    with pytest.raises(UpstreamUnavailable):
        await desk.call(TWO, timeout_s=2)

    assert desk.asked == ["first"]


async def test_a_fault_of_the_request_is_told_at_once_and_held_against_nobody(desk: Desk) -> None:
    """Whoever sends what cannot be read must not take a route from others, nor call a sick one well."""
    desk.replies["first"].append(UpstreamRefused("temperature is too high"))

    with pytest.raises(UpstreamRefused):
        await desk.call(TWO)

    assert desk.asked == ["first"]
    assert desk.router.condition(FIRST).window == ()


async def open_first(desk: Desk) -> None:
    desk.replies["first"].append(down(fault=Fault.KEY))
    with pytest.raises(UpstreamUnavailable):
        await desk.call(ONE)
    desk.asked.clear()


async def test_a_resting_route_is_passed_over_and_named(desk: Desk) -> None:
    await open_first(desk)

    routed = await desk.call(TWO)

    assert desk.asked == ["second"]
    assert routed.headers["x-credence-route"] == "first=resting, second=answered"
    assert routed.headers["x-credence-attempts"] == "1"


@pytest.mark.parametrize("ends", ["answer", "fault", "refusal", "leaving"])
async def test_of_a_hundred_calls_one_probes(desk: Desk, ends: str) -> None:
    """Whatever becomes of it, there is never another beside it."""
    await open_first(desk)
    desk.time.now_ms += REST_MS
    probing, probes, beside = asyncio.Event(), 0, 0

    def probe(outcome: str) -> Callable[[], Awaitable[str]]:
        async def answer() -> str:
            nonlocal probes, beside
            probes += 1
            beside = max(beside, probes)
            await probing.wait()
            probes -= 1
            if outcome == "fault":
                raise down()
            if outcome == "refusal":
                raise UpstreamRefused("no")
            if outcome == "leaving":
                raise asyncio.CancelledError
            return "first"

        return answer

    desk.replies["first"].append(probe(ends))
    calls = [asyncio.ensure_future(desk.call(TWO)) for _ in range(100)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert (desk.asked.count("first"), desk.router.condition(FIRST).phase) == (1, Phase.PROBING)
    assert desk.asked.count("second") == 99

    probing.set()
    await asyncio.gather(*calls, return_exceptions=True)
    assert beside == 1
    phase = desk.router.condition(FIRST).phase
    assert phase is (Phase.CLOSED if ends == "answer" else Phase.OPEN)
    if ends in ("refusal", "leaving"):
        # No verdict: the very next call probes, and closes.
        assert (await desk.call(ONE)).answer == "first"
        assert desk.router.condition(FIRST).phase is Phase.CLOSED


async def test_calls_without_another_route_wait_for_the_probe(desk: Desk) -> None:
    """And are served by its success, not refused because they were not the first."""
    await open_first(desk)
    desk.time.now_ms += REST_MS
    answering = asyncio.Event()

    async def slowly() -> str:
        await answering.wait()
        return "first"

    desk.replies["first"].append(slowly)
    # So few that the time which each of them skips, waiting, does not come to the longest probe.
    calls = [asyncio.ensure_future(desk.call(ONE)) for _ in range(10)]
    for _ in range(3):
        await asyncio.sleep(0)
    assert desk.asked == ["first"]

    answering.set()
    routed = await asyncio.gather(*calls)

    assert [one.answer for one in routed] == ["first"] * 10


async def test_a_route_that_mostly_fails_rests_and_comes_back(desk: Desk) -> None:
    """Opens, is probed, closes."""
    only = Preference(only=("first",))
    desk.replies["first"].extend(down() for _ in range(CALLS_MIN))
    while desk.router.condition(FIRST).phase is Phase.CLOSED:
        with pytest.raises(UpstreamUnavailable):
            await desk.call(TWO, preference=only)
    assert len(desk.asked) == CALLS_MIN
    desk.time.now_ms += REST_MS

    assert (await desk.call(TWO, preference=only)).answer == "first"
    assert desk.router.condition(FIRST).phase is Phase.CLOSED


async def test_an_answer_that_broke_off_counts_against_its_route(desk: Desk) -> None:
    routed = await desk.call(TWO)

    routed.broke_off()

    (slot,) = desk.router.condition(FIRST).window
    assert (slot.answered, slot.failed) == (0, 1)


async def test_only_the_time_until_an_answer_begins_is_learned(desk: Desk) -> None:
    """A whole answer's time says more about its length."""
    desk.takes_ms |= {"first": 400, "second": 100}
    await desk.call(TWO)
    assert desk.router.condition(FIRST).first_byte_ms is None

    fastest = Preference(Sort.FASTEST)
    answers = [(await desk.call(TWO, preference=fastest, times_first_byte=True)).answer for _ in range(4)]

    assert answers == ["first", "second", "second", "second"]
    assert desk.router.condition(FIRST).first_byte_ms == 400


async def test_a_preference_that_no_route_meets_is_refused(desk: Desk) -> None:
    for ask in (
        desk.call(TWO, preference=Preference(only=("third",))),
        desk.call(TWO, preference=Preference(only=("x",))),
    ):
        with pytest.raises(RouteAbsent):
            await ask
    assert not desk.asked


# What processes tell each other.


async def test_a_warm_call_reads_and_writes_nothing(desk: Desk) -> None:
    """One document for each route is read every half minute, and written only when there is news.

    The first call of a process, slow enough by itself, does not.
    """
    await desk.call(TWO)
    assert (desk.health.reads, desk.health.writes) == (0, 0)

    for _ in range(100):
        desk.time.now_ms += 1
        await desk.call(TWO)
    assert (desk.health.reads, desk.health.writes) == (2, 0)

    desk.time.now_ms += SHARE_EVERY_MS
    for _ in range(100):
        await desk.call(TWO)
    assert (desk.health.reads, desk.health.writes) == (4, 0)


async def test_another_process_hears_of_a_long_rest(desk: Desk) -> None:
    """And asks the other route from then on, without finding out by itself."""
    await desk.call(TWO)
    desk.replies["first"].append(busy(retry_after_ms=200_000))
    await desk.call(TWO)
    desk.time.now_ms += SHARE_EVERY_MS
    await desk.call(TWO)
    other = Desk(time=desk.time, health=desk.health)

    answers = []
    for _ in range(3):
        desk.time.now_ms += 1
        answers.append((await other.call(TWO)).answer)

    assert desk.health.writes == 1
    # Its first call does not ask, and its second was under way while it did.
    assert answers == ["first", "first", "second"]
    assert other.router.condition(FIRST).phase is Phase.OPEN
    assert other.router.condition(SECOND).phase is Phase.CLOSED


async def test_a_route_that_keeps_changing_is_written_once_in_half_a_minute(desk: Desk) -> None:
    """By each process: the bound on what it costs."""
    for step in range(60):
        desk.replies["first"].append(busy(retry_after_ms=100 + step))
        await desk.call(TWO)
        desk.time.now_ms += 1_000

    assert desk.health.writes <= 2
    assert desk.health.reads <= 4


async def test_a_store_that_is_down_or_slow_changes_no_call(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.health.down = True
    assert (await desk.call(TWO)).answer == "first"
    desk.time.now_ms += 1
    assert (await desk.call(TWO)).answer == "first"
    assert "route_health_unavailable" in capsys.readouterr().out

    desk.time.now_ms += SHARE_EVERY_MS
    desk.health.slow_s = 60
    async with asyncio.timeout(5):
        assert (await desk.call(TWO)).answer == "first"
        assert (await desk.call(TWO)).answer == "first"
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_nothing_is_left_running_when_a_call_fails(desk: Desk) -> None:
    await desk.call(TWO)
    desk.time.now_ms += 1
    desk.health.slow_s = 60
    desk.replies["first"].append(UpstreamRefused("no"))

    with pytest.raises(UpstreamRefused):
        await desk.call(TWO)
    await asyncio.sleep(0)

    assert asyncio.all_tasks() == {asyncio.current_task()}
