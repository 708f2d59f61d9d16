"""Which routes may be asked, in which order, and how long to wait before one is asked again. Pure, and cheap."""

import re
from collections.abc import Sequence, Set

from shared.catalog.models import Model, Route
from shared.providers.errors import Fault
from shared.routing.breaker import PPM, answered_ppm
from shared.routing.errors import PreferenceUnknown, RouteAbsent
from shared.routing.models import NO_PREFERENCE, Condition, Preference, Sort

PROVIDERS_NAMED_MAX = 8
BACKOFF_MS = 200
"""Before the first repeat, with up to half of it taken off at random; doubled for each further one."""
BACKOFF_MS_MAX = 2_000
JITTER_MS_MAX = 250
"""Spread over so much, calls that wait for the same moment do not all come at once."""
STEP_PPM = 100_000
"""Shares of answered calls that differ by less are alike to `best`."""
REPEATED = frozenset({Fault.BUSY, Fault.DOWN})
"""What passes by itself, so that the same route is worth asking again."""
SAYS_NOTHING = frozenset({Fault.UNFIT, Fault.UNKEYED})
"""Faults of one request, or of the keys that others lent us: the provider serves whoever else asks."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")
_SORTS = {sort.value: sort for sort in (Sort.CHEAPEST, Sort.FASTEST, Sort.BEST)}
_MASK = (1 << 64) - 1


def preference_of(text: str | None) -> Preference:
    """What the header `x-credence-route` asks. Raise PreferenceUnknown."""
    if text is None:
        return NO_PREFERENCE
    words = [word.strip().lower() for word in text.split(",", PROVIDERS_NAMED_MAX)]
    if len(words) == 1 and words[0] in _SORTS:
        return Preference(sort=_SORTS[words[0]])
    if len(words) > PROVIDERS_NAMED_MAX or not all(_NAME.fullmatch(word) for word in words):
        raise PreferenceUnknown
    return Preference(only=tuple(dict.fromkeys(words)))


def eligible(model: Model, routes: Sequence[Route], preference: Preference, needs: Set[str]) -> list[Route]:
    """The routes that the caller allows and that offer what the request needs. Raise RouteAbsent when there is none."""
    fit = [route for route in routes if not needs & route.lacks]
    if preference.only:
        by_name = {route.provider: route for route in fit}
        allowed = [by_name[name] for name in preference.only if name in by_name]
    else:
        allowed = fit
    if not allowed:
        raise RouteAbsent(model.id, [route.provider for route in routes], needs)
    return allowed


def ordered(
    routes: Sequence[Route], conditions: Sequence[Condition], preference: Preference, *, now_ms: int, seed: int
) -> list[int]:
    """Which route to ask first, as indexes into `routes`, which stand in the catalog's or the caller's order.

    By preference, equals as they stand. But a route that fails stands back behind the others as often as it fails:
    so the calls move over gradually, and some of them find out when it is well again.
    """
    places = list(range(len(routes)))
    if len(places) == 1:
        return places
    shares = [answered_ppm(condition, now_ms) for condition in conditions]
    match preference.sort:
        case Sort.CATALOG:
            pass
        case Sort.CHEAPEST:
            places.sort(key=lambda place: routes[place].cost_ppm or PPM)
        case Sort.FASTEST:
            # One that nobody has timed is asked, so that it is timed.
            places.sort(key=lambda place: conditions[place].first_byte_ms or 0)
        case Sort.BEST:
            places.sort(key=lambda place: (-(shares[place] // STEP_PPM), conditions[place].first_byte_ms or 0))
    if all(share == PPM for share in shares):
        return places
    stands = [draw(seed, place) % PPM < shares[place] for place in range(len(routes))]
    return [place for place in places if stands[place]] + [place for place in places if not stands[place]]


def backoff_ms(tries: int, seed: int) -> int:
    """How long to wait before a route that failed `tries` times in this call is asked again, if it did not say."""
    full_ms = min(BACKOFF_MS << (tries - 1), BACKOFF_MS_MAX)
    return full_ms - draw(seed, tries) % (full_ms // 2 + 1)


def jitter_ms(seed: int) -> int:
    """What is added to a moment that others wait for too."""
    return draw(seed, 0) % (JITTER_MS_MAX + 1)


def draw(seed: int, index: int) -> int:
    """A number that looks random and is the same for the same seed and index (splitmix64, public domain)."""
    mixed = (seed + (index + 1) * 0x9E3779B97F4A7C15) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return mixed ^ (mixed >> 31)
