"""What processes tell each other about routes, and which of two tellings holds. Pure."""

import hashlib

from msgspec.structs import replace

from shared.catalog.models import Route
from shared.routing.breaker import PPM, WINDOW_MS, seen_ppm
from shared.routing.models import Condition, News, Phase

SHARE_NEWS_PPM = 100_000
"""A share of answered calls that moved by less is not told."""
FIRST_BYTE_NEWS_PERCENT = 25
"""A time to the first byte that moved by less is not told."""


def document_id(route: Route) -> str:
    """Where news of a route are kept. A model's name may hold slashes, which no document's name can."""
    return f"{route.provider}:{hashlib.sha256(route.model.encode()).hexdigest()[:32]}"


def news_of(route: Route, condition: Condition, now_ms: int, *, wall_ahead_ms: int) -> News:
    """What this process has to tell of a route."""
    decided_at_ms = condition.decided_at_ms
    return News(
        provider=route.provider,
        model=route.model,
        # A route that is being probed still rests for everybody else.
        resting=condition.phase is not Phase.CLOSED,
        fault=condition.fault,
        ready_at_ms=condition.ready_at_ms + wall_ahead_ms if condition.phase is not Phase.CLOSED else 0,
        decided_at_ms=0 if decided_at_ms is None else decided_at_ms + wall_ahead_ms,
        answered_ppm=seen_ppm(condition, now_ms),
        first_byte_ms=condition.first_byte_ms,
        told_at_ms=now_ms + wall_ahead_ms,
    )


def merged(one: News, other: News) -> News:
    """The later decision, and of two that are as late the longer rest; the lower share of answered calls, unless it is
    older than a minute; the later time to the first byte. The same whichever comes first."""
    decided = max(one, other, key=lambda news: (news.decided_at_ms, news.resting, news.ready_at_ms, news.fault or ""))
    newest_ms = max(one.told_at_ms, other.told_at_ms)
    fresh = [news for news in (one, other) if newest_ms - news.told_at_ms < WINDOW_MS]
    # With its own time, so that a bad minute is not told for ever by passing it on.
    worst = min(fresh, key=lambda news: (news.answered_ppm, -news.told_at_ms))
    timed = [news for news in (one, other) if news.first_byte_ms is not None]
    latest_timed = max(timed, key=lambda news: (news.told_at_ms, news.first_byte_ms), default=None)
    return replace(
        decided,
        answered_ppm=worst.answered_ppm,
        first_byte_ms=None if latest_timed is None else latest_timed.first_byte_ms,
        told_at_ms=worst.told_at_ms,
    )


def is_worth_telling(known: News | None, ours: News) -> bool:
    """Whether others learn anything from `ours` that they cannot read already: a healthy route costs no writes."""
    if known is None:
        return bool(ours.decided_at_ms) or ours.answered_ppm < PPM - SHARE_NEWS_PPM or ours.first_byte_ms is not None
    told = merged(known, ours)
    if (told.decided_at_ms, told.resting, told.ready_at_ms) != (known.decided_at_ms, known.resting, known.ready_at_ms):
        return True
    if abs(told.answered_ppm - known.answered_ppm) > SHARE_NEWS_PPM:
        return True
    if told.first_byte_ms is None or known.first_byte_ms is None:
        return told.first_byte_ms is not known.first_byte_ms
    return abs(told.first_byte_ms - known.first_byte_ms) * 100 > known.first_byte_ms * FIRST_BYTE_NEWS_PERCENT
