"""Rewarded ads: a view is offered, AdMob says that it was watched, the ledger pays for it, once."""

import asyncio
import random
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from msgspec.structs import replace

from shared.ads import rules
from shared.ads.errors import AdsAbsent, AdsUnavailable, AdUnitUnknown
from shared.ads.models import (
    Allowance,
    Callback,
    Nonce,
    Offer,
    Outcome,
    OutcomeStatus,
    Refusal,
    Reward,
    SignedCallback,
    View,
    ViewStatus,
)
from shared.ads.store import AdsChanged, AdStore, Change, KeptAllowance, KeptView
from shared.base.ad_units import DASHBOARD_AD_UNIT, AdUnits
from shared.base.clock import Clock
from shared.base.economy import AD_LIFETIME_MS, AD_OFFER_LIFETIME_MS, AD_TIERS, AdTier
from shared.base.ids import UserId
from shared.base.log import write_line
from shared.ledger.rules import check_may_receive
from shared.ledger.service import Ledger

TRIES_MAX = 20
"""Of one change, against others of the same person at the same moment; a day has no more rewards for anybody."""
PAUSE_S_MAX = 0.2
"""Between two tries, at random, so that those who collided do not do so again."""


class Keys(Protocol):
    """Tells whether Google signed a callback."""

    async def verify(self, signed: SignedCallback) -> None:
        """Raise CallbackForged when it did not, VerifierKeysUnavailable when that cannot be told."""


def random_nonce() -> Nonce:
    """A nonce that nobody guesses."""
    return Nonce(secrets.token_hex(rules.NONCE_BYTES))


class Ads:
    """Views of ads. Without ad units there are none, and every verb raises AdsAbsent."""

    def __init__(
        self,
        ledger: Ledger,
        store: AdStore,
        keys: Keys,
        units: AdUnits,
        clock: Clock,
        new_nonce: Callable[[], Nonce] = random_nonce,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._keys = keys
        self._units = units
        self._clock = clock
        self._new_nonce = new_nonce

    async def start(self, user_id: UserId, tier_name: str) -> Offer:
        """Offer a view of the tier. Raise AdsAbsent, AccountAbsent, AccountNotOpen, AdCapReached or AdTooSoon.

        Also pays what was counted for the person earlier and not paid, because a process died in between.
        """
        if tier_name not in self._units.values():
            raise AdsAbsent
        tier = _tier(tier_name)
        # Said before the ad and not after it: a wallet that is not there, or frozen, would get nothing.
        check_may_receive(await self._ledger.head(Allowance(user_id=user_id).account_id))
        for _ in range(TRIES_MAX):
            kept = await self._store.allowance(user_id)
            with suppress(AdsChanged):
                if await self._pay_counted(kept):
                    continue
                return await self._offer(kept, tier)
            await _pause()
        raise AdsUnavailable

    async def _offer(self, kept: KeptAllowance, tier: AdTier) -> Offer:
        """Raise AdCapReached, AdTooSoon or AdsChanged."""
        allowance, at_ms = kept.allowance, self._clock()
        rules.check_may_start(allowance, tier, at_ms)
        view = View(
            nonce=self._new_nonce(),
            user_id=allowance.user_id,
            tier=tier.name,
            started_at_ms=at_ms,
            expires_at_ms=at_ms + AD_OFFER_LIFETIME_MS,
        )
        # The allowance's version keeps the pause between two starts, however many come at once.
        started = KeptAllowance(replace(allowance, started_at_ms=at_ms), kept.version)
        await self._store.commit(Change((KeptView(view),), started))
        return Offer(view, tier.amount_micros, rules.left_today(allowance, tier, at_ms) - 1)

    async def reward(self, query: str) -> Outcome:
        """Pay for what a callback says was watched; `query` is its query as it came. A repeat answers the same.

        What Google signed and earns nothing is an outcome, for sending it again would not help. Raise
        CallbackMalformed, CallbackForged, CallbackStale or AdUnitUnknown for what cannot be about an ad of ours; and
        AdsUnavailable, VerifierKeysUnavailable or LedgerUnavailable for what AdMob should send again.
        """
        if not self._units:
            raise AdsAbsent
        signed = rules.read_callback(query)
        await self._keys.verify(signed)
        callback = signed.callback
        if callback.ad_unit == DASHBOARD_AD_UNIT:
            return Outcome(OutcomeStatus.TRIED)
        rules.check_time(callback, self._clock())
        if callback.ad_unit not in self._units:
            raise AdUnitUnknown
        outcome = await self._settle(callback, _tier(self._units[callback.ad_unit]))
        write_line("INFO", "ad_callback", outcome=outcome.status, refusal=outcome.refusal, ad=callback.transaction_id)
        return outcome

    async def _settle(self, callback: Callback, tier: AdTier) -> Outcome:
        nonce = rules.nonce_of(callback)
        for _ in range(TRIES_MAX):
            kept = await self._store.view(nonce) if nonce else None
            if kept is None:
                return _refused(Refusal.NONCE_UNKNOWN)
            if kept.view.transaction_id == callback.transaction_id:
                return await self._pay(kept)
            if refusal := rules.refusal_of_view(kept.view, callback, tier):
                return _refused(refusal)
            with suppress(AdsChanged):
                return await self._count(kept, callback, tier)
            # Either somebody else wrote what we read, and we look again; or this reward was counted for another view.
            if await self._store.is_counted(callback.transaction_id):
                kept = await self._store.view(kept.view.nonce)
                if kept is None or kept.view.transaction_id != callback.transaction_id:
                    return _refused(Refusal.TRANSACTION_USED)
            await _pause()
        raise AdsUnavailable

    async def _count(self, kept: KeptView, callback: Callback, tier: AdTier) -> Outcome:
        """Count the reward and pay it, or refuse it by the caps. Raise AdsChanged."""
        before = await self._store.allowance(kept.view.user_id)
        if refusal := rules.refusal_of_allowance(before.allowance, callback, tier):
            # Written down for its user, who watches the view. Nothing else depends on it.
            refused = replace(kept.view, status=ViewStatus.REFUSED, refusal=refusal)
            await self._store.commit(Change((KeptView(refused, kept.version),)))
            return _refused(refusal)
        view, allowance = rules.counted(kept.view, before.allowance, callback, tier)
        # The view's version makes a nonce good once, the allowance's keeps the caps, the transaction is new.
        change = Change((KeptView(view, kept.version),), KeptAllowance(allowance, before.version), view.transaction_id)
        version = await self._store.commit(change)
        # If we die here it is counted and not paid: AdMob's repeat pays, or else the person's next ad.
        return await self._pay(KeptView(view, version))

    async def _pay(self, kept: KeptView) -> Outcome:
        """Pay for a view that was counted, once however often."""
        view = kept.view
        if view.status is ViewStatus.COUNTED and view.transaction_id is not None and view.amount_micros is not None:
            await self._grant(view.user_id, view.tier, view.transaction_id, view.amount_micros)
            # If we die here it is paid, and only not known to be: whoever looks again grants under the same key.
            before = await self._store.allowance(view.user_id)
            paid = KeptAllowance(rules.granted(before.allowance, view.transaction_id), before.version)
            with suppress(AdsChanged):
                seen = KeptView(replace(view, status=ViewStatus.GRANTED), kept.version)
                await self._store.commit(Change((seen,), paid))
        return Outcome(OutcomeStatus.GRANTED)

    async def _pay_counted(self, kept: KeptAllowance) -> bool:
        """Pay what was counted and not paid, and write that down; False if there is nothing. Raise AdsChanged."""
        unpaid = [reward for reward in kept.allowance.rewards if not reward.granted]
        allowance, views = kept.allowance, []
        for reward in unpaid:
            await self._grant(allowance.user_id, reward.tier, reward.transaction_id, reward.amount_micros)
            allowance = rules.granted(allowance, reward.transaction_id)
            views += await self._seen_granted(reward)
        if unpaid:
            await self._store.commit(Change(tuple(views), KeptAllowance(allowance, kept.version)))
        return bool(unpaid)

    async def _seen_granted(self, reward: Reward) -> list[KeptView]:
        kept = await self._store.view(reward.nonce)
        if kept is None or kept.view.status is ViewStatus.GRANTED:
            return []
        return [KeptView(replace(kept.view, status=ViewStatus.GRANTED), kept.version)]

    async def _grant(self, user_id: UserId, tier: str, transaction_id: str, amount_micros: int) -> None:
        await self._ledger.grant_promo(
            Allowance(user_id=user_id).account_id,
            amount_micros,
            lifetime_ms=AD_LIFETIME_MS,
            key=f"ad:admob:{transaction_id}",
            facts={"reason": "rewarded ad", "tier": tier, "transaction": transaction_id},
        )


def _tier(name: str) -> AdTier:
    (tier,) = (tier for tier in AD_TIERS if tier.name == name)
    return tier


def _refused(refusal: Refusal) -> Outcome:
    return Outcome(OutcomeStatus.REFUSED, refusal)


async def _pause() -> None:
    await asyncio.sleep(random.uniform(0, PAUSE_S_MAX))  # noqa: S311 - spreads tries; nobody gains by guessing it
