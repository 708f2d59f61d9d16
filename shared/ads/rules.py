"""Pure decisions about ads: what a callback says and is signed over, and what a person may watch and earn.

AdMob's own description: https://developers.google.com/admob/android/ssv
"""

import base64
import binascii
import re
from urllib.parse import unquote

from msgspec import structs

from shared.ads.errors import AdCapReached, AdTooSoon, CallbackMalformed, CallbackStale
from shared.ads.models import Allowance, Callback, Nonce, Refusal, Reward, SignedCallback, View, ViewStatus
from shared.base.economy import AD_COOLDOWN_MS, AD_REWARD_GAP_MS_MIN, DAY_MS, AdTier
from shared.base.periods import Period, period_start_ms

QUERY_CHARS_MAX = 4_096
"""Ten times what AdMob sends; an app may add custom data of its own, and ours has 48 characters."""
NONCE_BYTES = 24
CALLBACK_AGE_MS_MAX = 3_600_000
"""AdMob repeats a callback five times, a second apart. The rest is for a queue of theirs that we know nothing of."""
CALLBACK_AHEAD_MS_MAX = 60_000
"""How far Google's clock and ours may differ."""
REWARDS_KEPT_MS = 2 * DAY_MS
"""A day's cap needs the rewards of the day in which the oldest callback that is still taken may lie."""

_QUERY = re.compile(r"([!-~]+)&signature=([A-Za-z0-9_-]+)={0,2}&key_id=([0-9]{1,20})")
_NONCE = re.compile(rf"[0-9a-f]{{{2 * NONCE_BYTES}}}")
_REQUIRED = {
    "ad_network": re.compile(r"[0-9]{1,20}"),
    "ad_unit": re.compile(r"[0-9]{1,20}"),
    "timestamp": re.compile(r"[0-9]{1,15}"),
    "transaction_id": re.compile(r"[A-Za-z0-9_-]{1,128}"),
}
_OPTIONAL = frozenset({"custom_data", "reward_amount", "reward_item", "user_id"})
"""Missing when the app, or whoever tries the address from the dashboard, did not set them."""


def read_callback(query: str) -> SignedCallback:
    """Take the query of a callback apart, exactly as it came. Raise CallbackMalformed.

    Google signs the percent-decoded query, in which a parameter's value can no longer be told from the parameters
    behind it. So nothing is read from the parts of the query: it is decoded first, as it was signed, and then split.
    Whatever was hidden in a value stands out as a parameter that is there twice, or that nobody knows. Anyone may have
    such a query signed: the keys are the same for all publishers, and each chooses custom data.
    """
    parts = _QUERY.fullmatch(query) if len(query) <= QUERY_CHARS_MAX else None
    if parts is None:
        raise CallbackMalformed
    try:
        # Not `unquote_plus`: to AdMob a plus is a plus.
        message = unquote(parts[1], errors="strict")
        signature = base64.urlsafe_b64decode(parts[2] + "=" * (-len(parts[2]) % 4))
    except (UnicodeDecodeError, binascii.Error):
        raise CallbackMalformed from None
    return SignedCallback(_callback_of(_parameters(message)), message.encode(), signature, parts[3])


def _parameters(message: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for parameter in message.split("&"):
        name, equals, value = parameter.partition("=")
        if not equals or name in found or not (name in _REQUIRED or name in _OPTIONAL):
            raise CallbackMalformed
        found[name] = value
    return found


def _callback_of(parameters: dict[str, str]) -> Callback:
    for name, form in _REQUIRED.items():
        if not form.fullmatch(parameters.get(name, "")):
            raise CallbackMalformed
    return Callback(
        ad_unit=parameters["ad_unit"],
        timestamp_ms=int(parameters["timestamp"]),
        transaction_id=parameters["transaction_id"],
        custom_data=parameters.get("custom_data") or None,
        user_id=parameters.get("user_id") or None,
    )


def check_time(callback: Callback, at_ms: int) -> None:
    """Raise CallbackStale unless the reward was earned just now."""
    age_ms = at_ms - callback.timestamp_ms
    if not -CALLBACK_AHEAD_MS_MAX <= age_ms <= CALLBACK_AGE_MS_MAX:
        raise CallbackStale


def nonce_of(callback: Callback) -> Nonce | None:
    """The nonce in the callback, if it has the form of one of ours."""
    custom_data = callback.custom_data
    return Nonce(custom_data) if custom_data is not None and _NONCE.fullmatch(custom_data) else None


def left_today(allowance: Allowance, tier: AdTier, at_ms: int) -> int:
    """How many ads of the tier would still be paid for, on the day that `at_ms` lies in."""
    day_ms = period_start_ms(Period.DAY, at_ms)
    had = [one for one in allowance.rewards if period_start_ms(Period.DAY, one.rewarded_at_ms) == day_ms]
    return tier.per_day_max - sum(one.tier == tier.name for one in had)


def check_may_start(allowance: Allowance, tier: AdTier, at_ms: int) -> None:
    """Raise AdCapReached or AdTooSoon unless an ad of the tier may begin now."""
    if left_today(allowance, tier, at_ms) <= 0:
        resets_at_ms = period_start_ms(Period.DAY, at_ms) + DAY_MS
        raise AdCapReached(per_day_max=tier.per_day_max, resets_at_ms=resets_at_ms)
    last_ms = max([allowance.started_at_ms, *(one.rewarded_at_ms for one in allowance.rewards)])
    if (wait_ms := last_ms + AD_COOLDOWN_MS - at_ms) > 0:
        raise AdTooSoon(retry_after_ms=wait_ms)


def refusal_of_view(view: View, callback: Callback, tier: AdTier) -> Refusal | None:
    """Why this callback is not about this view, or comes too late for it."""
    if view.status is not ViewStatus.OFFERED:
        return Refusal.NONCE_USED
    if view.tier != tier.name:
        return Refusal.OTHER_TIER
    if callback.user_id is not None and callback.user_id != view.user_id:
        return Refusal.OTHER_USER
    if callback.timestamp_ms < view.started_at_ms - CALLBACK_AHEAD_MS_MAX:
        return Refusal.BEFORE_OFFER
    return Refusal.OFFER_EXPIRED if callback.timestamp_ms > view.expires_at_ms else None


def refusal_of_allowance(allowance: Allowance, callback: Callback, tier: AdTier) -> Refusal | None:
    """Why the person is paid for no more. By the time that Google signed, which no delay and no repeat changes."""
    at_ms = callback.timestamp_ms
    if left_today(allowance, tier, at_ms) <= 0:
        return Refusal.CAP_REACHED
    if any(abs(one.rewarded_at_ms - at_ms) < AD_REWARD_GAP_MS_MIN for one in allowance.rewards):
        return Refusal.TOO_SOON
    return None


def counted(view: View, allowance: Allowance, callback: Callback, tier: AdTier) -> tuple[View, Allowance]:
    """Both with the reward in them."""
    reward = Reward(
        nonce=view.nonce,
        tier=tier.name,
        transaction_id=callback.transaction_id,
        amount_micros=tier.amount_micros,
        rewarded_at_ms=callback.timestamp_ms,
    )
    oldest_ms = callback.timestamp_ms - REWARDS_KEPT_MS
    # One that is not known to be granted is kept however old: the next ad of the person sees to it.
    kept = [one for one in allowance.rewards if one.rewarded_at_ms >= oldest_ms or not one.granted]
    return (
        structs.replace(
            view,
            status=ViewStatus.COUNTED,
            transaction_id=callback.transaction_id,
            amount_micros=tier.amount_micros,
        ),
        structs.replace(allowance, rewards=(*kept, reward)),
    )


def granted(allowance: Allowance, transaction_id: str) -> Allowance:
    """The allowance, knowing that the reward is in the wallet."""
    rewards = [
        structs.replace(one, granted=True) if one.transaction_id == transaction_id else one for one in allowance.rewards
    ]
    return structs.replace(allowance, rewards=tuple(rewards))
