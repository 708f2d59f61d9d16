"""What every store of ads promises, Firestore's and the one in memory alike."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from local.stack import Stack
from shared.ads.errors import AdsUnavailable
from shared.ads.models import Allowance, Nonce, OutcomeStatus, Reward, View, ViewStatus
from shared.ads.store import AdsChanged, AdStore, Change, FirestoreAds, KeptAllowance, KeptView
from shared.base.economy import AD_TIERS
from tests.ads.builders import ADA, BEN, MemoryAds, Theatre
from tests.database import firestore_at

A, B = Nonce("a" * 48), Nonce("b" * 48)
REWARD = Reward(nonce=A, tier="text", transaction_id="t", amount_micros=5, rewarded_at_ms=7)


def view(nonce: Nonce = A) -> View:
    return View(nonce=nonce, user_id=ADA, tier="text", started_at_ms=1_800_000_000_000, expires_at_ms=1_800_000_000_009)


class AdsContract:
    """Subclassed once per store; `ads` is empty at first."""

    async def test_what_was_written_comes_back(self, ads: AdStore) -> None:
        allowance = Allowance(user_id=ADA, started_at_ms=3, rewards=(REWARD, replace(REWARD, granted=True)))
        counted = replace(view(), status=ViewStatus.COUNTED, transaction_id="t", amount_micros=5)

        version = await ads.commit(Change((KeptView(counted),), KeptAllowance(allowance), "t"))

        assert await ads.view(A) == KeptView(counted, version)
        assert await ads.allowance(ADA) == KeptAllowance(allowance, version)
        assert await ads.is_counted("t")

    async def test_what_is_not_there_is_absent(self, ads: AdStore) -> None:
        assert await ads.view(A) is None
        assert await ads.allowance(BEN) == KeptAllowance(Allowance(user_id=BEN))
        assert not await ads.is_counted("t")

    async def test_all_or_nothing_is_written_over_what_was_read(self, ads: AdStore) -> None:
        """A view, an allowance or a transaction that is no longer as it was keeps all three from being written."""
        first = await ads.commit(Change((KeptView(view()),), KeptAllowance(Allowance(user_id=ADA)), "t"))
        used = KeptView(replace(view(), status=ViewStatus.GRANTED), first)
        begun = KeptAllowance(Allowance(user_id=ADA, started_at_ms=1), first)
        second = await ads.commit(Change((used,), begun, "u"))

        for stale in (
            Change((used,), replace(begun, version=second), "v"),
            Change((replace(used, version=second),), begun, "v"),
            Change((replace(used, version=second),), replace(begun, version=second), "t"),
            Change((KeptView(view()),), replace(begun, version=second), "v"),
            Change((KeptView(view(B)),), KeptAllowance(Allowance(user_id=ADA)), "v"),
        ):
            with pytest.raises(AdsChanged):
                await ads.commit(stale)
        assert await ads.view(A) == KeptView(used.view, second)
        assert await ads.view(B) is None
        assert not await ads.is_counted("v")


class TestMemoryAds(AdsContract):
    """The fake."""

    @pytest.fixture
    def ads(self) -> AdStore:
        return MemoryAds()


class TestFirestoreAds(AdsContract):
    """The real one, on the emulator."""

    @pytest.fixture
    async def ads(self, stack: Stack, project_id: str) -> AsyncIterator[AdStore]:
        async with firestore_at(stack.firestore_address, project_id) as client:
            yield FirestoreAds(client)


async def test_on_firestore_fifty_of_one_callback_pay_once_and_a_nonce_is_used_once(
    stack: Stack, project_id: str
) -> None:
    """The same races as in memory, where the emulator decides who was first."""
    async with firestore_at(stack.firestore_address, project_id) as client:
        theatre = await Theatre(FirestoreAds(client)).open()
        first, second = (await theatre.offer()).view, (await theatre.offer()).view
        query = theatre.callback(first)
        outcomes = await asyncio.gather(*(theatre.process().reward(query) for _ in range(50)))
        theatre.clock.now_ms += 60_000
        others = [theatre.callback(second) for _ in range(10)]
        rivals = await asyncio.gather(*(theatre.process().reward(one) for one in others))

    assert {outcome.status for outcome in outcomes} == {OutcomeStatus.GRANTED}
    assert [outcome.status for outcome in rivals].count(OutcomeStatus.GRANTED) == 1
    assert await theatre.balance_micros() == 2 * AD_TIERS[0].amount_micros


async def test_a_store_that_does_not_answer_is_a_refusal_to_be_repeated() -> None:
    async with firestore_at("127.0.0.1:1", "demo-nobody") as client:
        store = FirestoreAds(client)
        for attempt in (
            store.view(A),
            store.allowance(ADA),
            store.is_counted("t"),
            store.commit(Change((KeptView(view()),))),
        ):
            with pytest.raises(AdsUnavailable):
                await attempt
