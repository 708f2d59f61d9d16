"""Pure rules of a key's health: how far it is trusted, how long it cools, when it is given up, when it is looked at."""

from msgspec.structs import replace

from shared.base.economy import DAY_MS
from shared.resources.models import Complaint, ContributedKey, KeyStatus, Probed, Trust
from shared.resources.rules import PPM, advance_of, ended

SEEN_WHOLE_MS = 30 * DAY_MS
"""A key that worked for so long gains nothing more by age."""
NEW_PPM = 700_000
"""What a key that is trusted for its calls alone has of what one of full age has."""
FAILURES_IN_ROW_MAX = 6
"""So many failures without a good answer in between are a dead key, once it was not known for UNKNOWN_MAX_MS."""
COOL_MS = 60_000
COOL_DOUBLINGS_MAX = 6
"""Up to about an hour between two tries."""
CHECK_EVERY_MS = DAY_MS // 4
"""How often a key is looked at while all is well: providers' limits and owners' revocations are found by then."""
RETRY_MS = 10 * 60_000
"""When the timer comes back to what a task should have finished."""
DISPUTES_OPEN_MAX = 3
"""Complaints that count although no operator has looked at them: at worst a key serves an eighth as often."""
UNKNOWN_MAX_MS = DAY_MS
"""A provider that cannot be asked for so long proves no key: a deposit is refused, and a key that served before may be
given up. Not sooner, for the outage of a provider ends in hours, and a secret that was deleted is gone for good."""


def trust_of(*, calls: int, failures: int, disputes: int, age_ms: int) -> Trust:
    """0..1_000_000. Success counts from a first half of doubt, age adds up to a third, each dispute halves it."""
    rate_ppm = (calls + 1) * PPM // (calls + failures + 2)
    age_ppm = NEW_PPM + (PPM - NEW_PPM) * min(max(age_ms, 0), SEEN_WHOLE_MS) // SEEN_WHOLE_MS
    reasons = (
        f"{calls} of {calls + failures} calls and checks succeeded",
        f"known for {max(age_ms, 0) // DAY_MS} days",
        *([f"{disputes} disputes"] if disputes else []),
    )
    return Trust((rate_ppm * age_ppm // PPM) >> min(disputes, 20), reasons)


def trust_in(key: ContributedKey, at_ms: int) -> Trust:
    """How far a key is trusted now, and why."""
    calls, age_ms = key.calls + key.calls_before, at_ms - key.created_at_ms
    return trust_of(calls=calls, failures=key.failures, disputes=key.disputes, age_ms=age_ms)


def trusted(key: ContributedKey, at_ms: int) -> ContributedKey:
    """The key with its trust as it is now."""
    return replace(key, trust_ppm=trust_in(key, at_ms).ppm)


def deposited_again(key: ContributedKey, earlier: ContributedKey) -> ContributedKey:
    """The key with what is known of it from an earlier deposit: withdrawing it makes nothing forgotten."""
    return replace(
        key,
        calls_before=earlier.calls + earlier.calls_before,
        failures=earlier.failures,
        disputes=earlier.disputes,
        disputes_open=earlier.disputes_open,
    )


def takes_more_complaints(key: ContributedKey) -> bool:
    """Whether one more complaint counts before an operator has looked at those there are: else a few people together
    could drive anybody's key out.
    """
    return key.disputes_open < DISPUTES_OPEN_MAX


def complained_of(key: ContributedKey, at_ms: int, *, counts: bool) -> ContributedKey:
    """The key after a complaint. It is left alone until its provider knew it, unless that was just now."""
    after = replace(key, disputes=key.disputes + counts, disputes_open=key.disputes_open + counts)
    seen_ms = at_ms - (key.validated_at_ms or 0)
    if key.status is KeyStatus.ACTIVE and seen_ms >= RETRY_MS:
        after = replace(after, status=KeyStatus.COOLING, check_at_ms=at_ms)
    return trusted(after, at_ms)


def judged(key: ContributedKey, complaint: Complaint, *, upheld: bool, at_ms: int) -> ContributedKey:
    """The key after an operator has decided of a complaint."""
    disputes = key.disputes + upheld - complaint.counts
    return trusted(replace(key, disputes=disputes, disputes_open=key.disputes_open - complaint.counts), at_ms)


def validated(key: ContributedKey, probed: Probed, at_ms: int) -> ContributedKey:
    """The key after its provider knew it. The first time, its quota is what it claimed or what its limit leaves.

    It is not active yet: an advance that is new has to be lent first.
    """
    after = replace(
        key,
        models=probed.models,
        validated_at_ms=at_ms,
        failures_in_row=0,
        cool_until_ms=None,
        check_at_ms=at_ms + CHECK_EVERY_MS,
        limits=probed.limits,
    )
    if key.validated_at_ms is None:
        limit_micros = key.quota_micros if probed.limit_micros is None else probed.limit_micros
        quota_micros = min(key.quota_micros, limit_micros)
        after = replace(after, quota_micros=quota_micros, advance_micros=advance_of(quota_micros))
    return trusted(after, at_ms)


def failed(key: ContributedKey, at_ms: int, *, fatal: bool) -> ContributedKey:
    """The key after it failed. A fatal failure ends it, or too many over too long a time; else it is left alone, for
    longer each time.
    """
    counted = replace(key, failures=key.failures + 1, failures_in_row=key.failures_in_row + 1)
    is_unknown_for_long = at_ms - (key.validated_at_ms or key.created_at_ms) >= UNKNOWN_MAX_MS
    if fatal or (counted.failures_in_row >= FAILURES_IN_ROW_MAX and is_unknown_for_long):
        return trusted(ended(counted, KeyStatus.DEAD if key.validated_at_ms else KeyStatus.REFUSED), at_ms)
    cool_until_ms = at_ms + (COOL_MS << min(key.failures_in_row, COOL_DOUBLINGS_MAX))
    status = key.status if key.status in (KeyStatus.PAUSED, KeyStatus.VALIDATING) else KeyStatus.COOLING
    return trusted(replace(counted, status=status, cool_until_ms=cool_until_ms, check_at_ms=cool_until_ms), at_ms)
