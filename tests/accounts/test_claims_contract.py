"""What every store of signals promises of claims, Firestore's and the one in memory alike."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from local.stack import Stack
from shared.base.ids import UserId
from shared.risk.errors import RiskUnavailable
from shared.risk.models import (
    Mark,
    MarkSort,
    Signal,
    SignalKind,
    SignalName,
)
from shared.risk.store import FirestoreRisk, RiskStore
from tests.database import firestore_at
from tests.ledger.builders import NOW
from tests.risk.memory import MemoryRisk

ADA, BEN = UserId("ada"), UserId("ben")
EMAIL, PHONE, DEVICE = (
    Signal(kind, SignalName(f"name-of-{kind.value}"))
    for kind in (SignalKind.EMAIL, SignalKind.PHONE, SignalKind.DEVICE)
)
MARK = Mark(MarkSort.ORDER, "order", NOW)


class ClaimsContract:
    """Subclassed once per store; `store` is empty at first."""

    async def test_the_first_claim_wins_for_ever(self, store: RiskStore) -> None:
        """Whoever comes later is told whose it is, however often; and a holder who asks again still holds."""
        for user in (ADA, BEN, BEN, ADA):
            assert await store.claim([EMAIL], user) == {SignalKind.EMAIL: ADA}

    async def test_a_claim_is_of_all_or_of_nothing(self, store: RiskStore) -> None:
        """Who shows one signal of somebody else's gets none of the others."""
        await store.claim([PHONE], ADA)

        assert await store.claim([EMAIL, PHONE, DEVICE], BEN) == {SignalKind.PHONE: ADA}
        assert await store.claim([EMAIL], ADA) == {SignalKind.EMAIL: ADA}

    async def test_a_further_proof_is_added_to_what_is_held(self, store: RiskStore) -> None:
        await store.claim([EMAIL], ADA)

        held = await store.claim([EMAIL, PHONE, DEVICE], ADA)

        assert held == dict.fromkeys((SignalKind.EMAIL, SignalKind.PHONE, SignalKind.DEVICE), ADA)

    async def test_without_a_new_proof_no_further_device_is_claimed(self, store: RiskStore) -> None:
        """Else one user with a loop could take every device there is."""
        await store.claim([EMAIL], ADA)

        assert await store.claim([EMAIL, DEVICE], ADA) == {SignalKind.EMAIL: ADA}
        assert await store.claim([DEVICE], BEN) == {SignalKind.DEVICE: BEN}

    async def test_of_many_at_once_with_one_phone_one_wins(self, store: RiskStore) -> None:
        """Ten accounts of one person race, each with an address of its own."""
        users = [UserId(f"user{number}") for number in range(10)]
        emails = [Signal(SignalKind.EMAIL, SignalName(f"mailbox-{user}")) for user in users]

        held = await asyncio.gather(*(store.claim([e, PHONE], u) for e, u in zip(emails, users, strict=True)))

        winners = {one[SignalKind.PHONE] for one in held}
        assert len(winners) == 1
        assert [one[SignalKind.EMAIL] for one in held if SignalKind.EMAIL in one] == list(winners)


class TestMemoryClaims(ClaimsContract):
    """The fake."""

    @pytest.fixture
    def store(self) -> RiskStore:
        return MemoryRisk()


class TestFirestoreClaims(ClaimsContract):
    """The real one, on the emulator."""

    @pytest.fixture
    async def store(self, stack: Stack, project_id: str) -> AsyncIterator[RiskStore]:
        async with firestore_at(stack.firestore_address, project_id) as client:
            yield FirestoreRisk(client)


async def test_a_store_that_does_not_answer_is_a_refusal_to_be_repeated() -> None:
    """And not a crash with Google's words in it."""
    async with firestore_at("127.0.0.1:1", "demo-nobody") as client:
        with pytest.raises(RiskUnavailable):
            await FirestoreRisk(client).claim([EMAIL], ADA)
