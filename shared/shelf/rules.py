"""Pure rules of the shelf: which key serves a call, how much of its quota a process takes at once, what a fault means.

A key's turn moves on by what it served, divided by its weight, and the key with the lowest turn is next: over any
stretch of calls each serves in proportion to its weight, spread evenly, and the same for the same seed.
"""

from collections import Counter
from collections.abc import Iterable, Sequence, Set

from shared.base.economy import COST_PPM, HOLD_LIFETIME_MS, IMAGE_JOB_HOLD_LIFETIME_MS
from shared.base.ids import UserId
from shared.catalog.models import Route
from shared.providers.errors import Fault
from shared.resources.models import ContributedKey, KeyId, KeyStatus
from shared.resources.rules import OWNER_PPM
from shared.routing import breaker
from shared.routing.models import Preference, Sort
from shared.routing.rules import draw
from shared.shelf.models import Lease, LeaseId, OpenLease, Shelved, Stand

PPM = 1_000_000
WEIGHT_MAX = PPM
TRUST_PPM_MIN = 50_000
"""However little a key is trusted, it is tried now and then: else it could never earn trust."""
LEFT_PPM_MIN = 100_000
"""A key whose quota is nearly gone is chosen a tenth as often as a full one, so that keys do not all end at once."""
KEYS_AT_WORK_MAX = 8
"""Keys of a model that a process takes turns with while their leases have room: each new one costs a write first."""
LEASE_PART = 32
"""A lease takes this part of what is left: a quota for fewer calls than twice that is leased call by call."""
LEASE_CALLS_MAX = 64
"""The most worst cases that one lease covers: so much is out of reach of others while a process that died has it."""
SPEND_MS = 5 * 60_000
"""How long calls are begun under a lease."""
LEASE_MS = SPEND_MS + max(HOLD_LIFETIME_MS, IMAGE_JOB_HOLD_LIFETIME_MS) + 5 * 60_000
"""No call lives longer than its hold, and the longest holds are those of pictures that are painted later. The rest is
for clocks that differ."""
OF_THE_KEY = frozenset({Fault.BUSY, Fault.KEY, Fault.DENIED})
"""Faults that are about the key and not about its provider: another key may be served at once."""
COMPLAINED = frozenset({Fault.KEY, Fault.DENIED})
"""Of these its provider is asked again before long, whether it still knows the key. A limited rate passes by itself."""


def is_usable(key: ContributedKey, host: str, now_ms: int) -> bool:
    """Whether a key may serve calls of its provider, which stands at `host` now."""
    return (
        key.status is KeyStatus.ACTIVE
        and key.sealed is not None
        and key.host == host
        and (key.cool_until_ms is None or key.cool_until_ms <= now_ms)
    )


def weight_of(shelved: Shelved, answered_ppm: int, owner_keys: int) -> int:
    """How much of the calls a key gets beside others: by trust, by health and by what is left of its quota.

    All keys of one owner share what one key would get, so that nobody gains by cutting a quota into many keys.
    """
    trust_ppm = max(shelved.key.trust_ppm, TRUST_PPM_MIN)
    left_ppm = max(PPM * shelved.left_micros // max(1, shelved.key.quota_micros), LEFT_PPM_MIN)
    return max(1, trust_ppm * answered_ppm // PPM * left_ppm // PPM // owner_keys)


def owners_of(keys: Iterable[Shelved]) -> Counter[UserId]:
    """How many keys each owner has."""
    return Counter(shelved.key.owner for shelved in keys)


def first_turn(weight: int, seed: int, index: int) -> int:
    """Where a key begins: somewhere within its first turn, so that processes that begin alike do not choose alike."""
    return draw(seed, index) % turn_of(weight)


def turn_of(weight: int) -> int:
    """How far a key's turn moves when it serves a call."""
    return WEIGHT_MAX * WEIGHT_MAX // weight


def chosen(
    stands: Sequence[Stand],
    needed_micros: int,
    *,
    now_ms: int,
    wall_ms: int,
    payers: Set[UserId],
    left_out: Set[KeyId],
) -> Stand | None:
    """The key that is asked next, or None. `payers` pay for the call, and no key of theirs serves it.

    Keys with a lease that covers the call come first once there are enough of them.
    """

    def serves(stand: Stand) -> bool:
        return is_ready(stand, now_ms) and stand.id not in left_out and stand.shelved.key.owner not in payers

    # Of a thousand keys few have a lease, so that is looked at first.
    at_work = [s for s in stands if s.leases and lease_for(s, needed_micros, wall_ms) and serves(s)]
    if len(at_work) < KEYS_AT_WORK_MAX:
        at_work += [s for s in stands if s.shelved.left_micros >= needed_micros and serves(s)]
    return min(at_work, key=lambda stand: (stand.turn, stand.id), default=None)


def is_ready(stand: Stand, now_ms: int) -> bool:
    """Whether a key is neither resting nor being probed."""
    ready_at_ms = breaker.ready_at_ms(stand.condition, now_ms)
    return ready_at_ms is not None and ready_at_ms <= now_ms


def lease_for(stand: Stand, needed_micros: int, wall_ms: int) -> OpenLease | None:
    """An open lease of the key that covers the call."""
    for held in stand.leases:
        if held.room_micros >= needed_micros and wall_ms < held.lease.spend_until_ms:
            return held
    return None


def lease_of(shelved: Shelved, lease_id: LeaseId, needed_micros: int, *, at_ms: int) -> Lease | None:
    """The next lease of a key for calls of this size; None when what is left does not cover one."""
    calls = shelved.left_micros // needed_micros
    if calls < 1:
        return None
    return Lease(
        id=lease_id,
        key_id=shelved.key.id,
        amount_micros=needed_micros * max(1, min(calls // LEASE_PART, LEASE_CALLS_MAX)),
        begun_at_ms=at_ms,
        spend_until_ms=at_ms + SPEND_MS,
        expires_at_ms=at_ms + LEASE_MS,
    )


def is_done_with(held: OpenLease, needed_micros: int, wall_ms: int) -> bool:
    """Whether a lease can be closed: no call is under way, and none will be begun."""
    return not held.reserved_micros and (held.room_micros < needed_micros or wall_ms >= held.lease.spend_until_ms)


def own_key_first(route: Route, preference: Preference) -> bool:
    """Whether the cheapest was asked for, and the platform's own key costs us less than a contributor gets."""
    return preference.sort is Sort.CHEAPEST and (route.cost_ppm or PPM) * COST_PPM // PPM < OWNER_PPM
