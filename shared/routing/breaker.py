"""One route's circuit breaker and health, as pure functions of what happened and when.

A route rests after any refusal of our rate or our key, and when more than half of its calls fail. After the rest one
call at a time probes it: an answer closes the breaker, a failure makes the next rest twice as long.
"""

from msgspec.structs import replace

from shared.providers.errors import Fault
from shared.routing.models import Condition, News, Phase, Slot

SLOT_MS = 10_000
SLOTS_MAX = 6
"""The window is the last minute, to within one slot."""
WINDOW_MS = SLOT_MS * SLOTS_MAX
CALLS_MIN = 10
"""Calls in the window before a share of failures means anything."""
REST_MS = 5_000
"""The first rest: long enough for a restart, short enough that one caller's odd request locks out nobody for long."""
REST_BUSY_MS = 1_000
"""The first rest after a refusal of our rate that does not say for how long."""
REST_MS_MIN = 100
"""However soon a provider wants us back: a probe is not sent in a tight loop."""
REST_MS_MAX = 300_000
"""However long a provider wants us gone: it is asked once in five minutes whether it still does."""
PROBE_MS_MAX = 15_000
"""How long a probe keeps the others waiting. When it takes longer, as a long answer does, the next call probes too:
else whoever asks for the longest answer could close a route to everybody for minutes."""
PRIOR_CALLS = 4
"""As many answered calls are assumed before any was made, so that one failure is not all that is known."""
SMOOTHING = 4
"""A new time to the first byte counts for one in so many."""
PPM = 1_000_000


def ready_at_ms(condition: Condition, now_ms: int) -> int | None:
    """When a call may pass, or None while another call probes: that depends on what comes of it."""
    match condition.phase:
        case Phase.CLOSED:
            return 0
        case Phase.OPEN:
            return condition.ready_at_ms
        case Phase.PROBING:
            return condition.ready_at_ms if condition.ready_at_ms <= now_ms else None


def after_admission(condition: Condition, now_ms: int) -> tuple[Condition, bool]:
    """Let a call pass whose time has come. True when it is a probe, on which the breaker waits for a while."""
    if condition.phase is Phase.CLOSED:
        return condition, False
    return replace(condition, phase=Phase.PROBING, ready_at_ms=now_ms + PROBE_MS_MAX), True


def after_answer(condition: Condition, now_ms: int, *, probe: bool, first_byte_ms: int | None) -> Condition:
    """The route answered. Only a probe closes: an answer to a call from before the rest says nothing of now."""
    probe = probe and condition.phase is Phase.PROBING
    known_ms = condition.first_byte_ms
    if first_byte_ms is not None:
        known_ms = first_byte_ms if known_ms is None else known_ms + (first_byte_ms - known_ms) // SMOOTHING
    if probe:
        return Condition(
            decided_at_ms=now_ms,
            window=(Slot(now_ms // SLOT_MS, 1, 0),),
            answered_at_ms=now_ms,
            first_byte_ms=known_ms,
        )
    window = _counted(condition.window, now_ms, answered=1)
    return replace(condition, window=window, answered_at_ms=now_ms, first_byte_ms=known_ms)


def after_fault(
    condition: Condition, now_ms: int, fault: Fault, *, probe: bool, retry_after_ms: int | None
) -> Condition:
    """The route failed."""
    # A probe that others have overtaken is a call like any other.
    probe = probe and condition.phase is Phase.PROBING
    window = _counted(condition.window, now_ms, failed=1)
    if not (probe or condition.phase is Phase.OPEN or _opens(condition, window, now_ms, fault)):
        return replace(condition, window=window)
    if condition.phase is Phase.PROBING and not probe:
        # From before the rest. The probe will tell.
        return replace(condition, window=window)
    first_ms = REST_BUSY_MS if fault is Fault.BUSY else REST_MS
    if probe:
        rest_ms = min(max(2 * condition.rest_ms, first_ms), REST_MS_MAX)
    else:
        # Many calls may be under way when a route begins to fail; they tell the same once more, and double nothing.
        rest_ms = condition.rest_ms if condition.phase is Phase.OPEN else first_ms
    asked_ms = rest_ms if retry_after_ms is None else min(max(retry_after_ms, REST_MS_MIN), REST_MS_MAX)
    ready_at = now_ms + asked_ms
    return replace(
        condition,
        phase=Phase.OPEN,
        fault=fault,
        ready_at_ms=ready_at if probe else max(ready_at, condition.ready_at_ms),
        rest_ms=rest_ms,
        decided_at_ms=now_ms,
        window=window,
    )


def after_nothing(condition: Condition, now_ms: int, *, probe: bool) -> Condition:
    """The call ended without a verdict: its client left, or the request was at fault. Then another may probe."""
    probe = probe and condition.phase is Phase.PROBING
    return replace(condition, phase=Phase.OPEN, ready_at_ms=now_ms) if probe else condition


def after_break(condition: Condition, now_ms: int) -> Condition:
    """An answer that had begun, and was counted as one, broke off: it was a failure after all."""
    window = _counted(condition.window, now_ms, answered=-1, failed=1)
    if condition.phase is Phase.CLOSED and _mostly_failed(window, now_ms):
        return replace(
            condition,
            phase=Phase.OPEN,
            fault=Fault.DOWN,
            ready_at_ms=now_ms + REST_MS,
            rest_ms=REST_MS,
            decided_at_ms=now_ms,
            window=window,
        )
    return replace(condition, window=window)


def answered_ppm(condition: Condition, now_ms: int) -> int:
    """The share of calls answered in the last minute, as seen here or by others, whichever saw less."""
    own_ppm = seen_ppm(condition, now_ms)
    heard_at_ms = condition.heard_at_ms
    if heard_at_ms is not None and now_ms - heard_at_ms < WINDOW_MS:
        return min(own_ppm, condition.heard_ppm)
    return own_ppm


def seen_ppm(condition: Condition, now_ms: int) -> int:
    """The share of calls answered in the last minute, as seen here."""
    answered, failed = _counts(condition.window, now_ms)
    return PPM if not failed else PPM * (answered + PRIOR_CALLS) // (answered + failed + PRIOR_CALLS)


def after_news(condition: Condition, news: News, now_ms: int, *, wall_ahead_ms: int) -> Condition:
    """What others tell: a decision later than ours is taken over, their share of failures and their times beside ours.

    `wall_ahead_ms` is by how much the wall clock is ahead of ours. A rest is never longer than one of our own, whatever
    their clock or document says, and that they closed theirs lets us probe at once.
    """
    heard = replace(
        condition,
        heard_ppm=news.answered_ppm,
        heard_at_ms=min(now_ms, news.told_at_ms - wall_ahead_ms),
        first_byte_ms=news.first_byte_ms if condition.first_byte_ms is None else condition.first_byte_ms,
    )
    decided_at_ms = min(now_ms, news.decided_at_ms - wall_ahead_ms)
    if not news.decided_at_ms or (condition.decided_at_ms is not None and decided_at_ms <= condition.decided_at_ms):
        return heard
    if condition.phase is Phase.PROBING:
        return heard
    ready_at = min(news.ready_at_ms - wall_ahead_ms, now_ms + REST_MS_MAX)
    if news.resting and ready_at > now_ms:
        rest_ms = max(condition.rest_ms, REST_MS)
        return replace(
            heard,
            phase=Phase.OPEN,
            fault=news.fault or Fault.DOWN,
            ready_at_ms=ready_at,
            rest_ms=rest_ms,
            decided_at_ms=decided_at_ms,
        )
    if condition.phase is Phase.OPEN and not news.resting:
        return replace(heard, ready_at_ms=min(condition.ready_at_ms, now_ms), decided_at_ms=decided_at_ms)
    return heard


def _opens(condition: Condition, window: tuple[Slot, ...], now_ms: int, fault: Fault) -> bool:
    if fault in (Fault.BUSY, Fault.KEY):
        return True
    if fault is Fault.DENIED:
        # Some providers say this of one request, for its words or its features. Then others were just answered, and
        # one caller's request must not take the route from everybody.
        answered_at_ms = condition.answered_at_ms
        if answered_at_ms is None or now_ms - answered_at_ms >= WINDOW_MS:
            return True
    return _mostly_failed(window, now_ms)


def _mostly_failed(window: tuple[Slot, ...], now_ms: int) -> bool:
    answered, failed = _counts(window, now_ms)
    return answered + failed >= CALLS_MIN and failed > answered


def _counted(window: tuple[Slot, ...], now_ms: int, *, answered: int = 0, failed: int = 0) -> tuple[Slot, ...]:
    number = now_ms // SLOT_MS
    if window and window[-1].number == number:
        last = window[-1]
        return (*window[:-1], Slot(number, max(0, last.answered + answered), last.failed + failed))
    kept = tuple(slot for slot in window if slot.number > number - SLOTS_MAX)
    return (*kept, Slot(number, max(0, answered), failed))


def _counts(window: tuple[Slot, ...], now_ms: int) -> tuple[int, int]:
    oldest = now_ms // SLOT_MS - SLOTS_MAX + 1
    answered = failed = 0
    for slot in window:
        if slot.number >= oldest:
            answered += slot.answered
            failed += slot.failed
    return answered, failed
