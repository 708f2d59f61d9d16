"""What every store of claims promises, Firestore's and the one in memory alike."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore

from local.stack import Stack
from shared.accounts.errors import AccountsUnavailable
from shared.accounts.service import Claims
from shared.accounts.store import FirestoreClaims
from shared.base.ids import UserId
from tests.accounts.claims import MemoryClaims

ADA, BEN = UserId("ada"), UserId("ben")


@asynccontextmanager
async def firestore_at(address: str, project_id: str) -> AsyncIterator[firestore.AsyncClient]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FIRESTORE_EMULATOR_HOST", address)
        client = firestore.AsyncClient(project=project_id, credentials=AnonymousCredentials())
        yield client
        client.close()


class ClaimsContract:
    """Subclassed once per store; `claims` is empty at first."""

    async def test_the_first_claim_wins_for_ever(self, claims: Claims) -> None:
        """Whoever comes later is told no, however often."""
        assert await claims.claim("person", ADA)
        assert not await claims.claim("person", BEN)
        assert not await claims.claim("person", BEN)

    async def test_a_holder_who_asks_again_still_holds(self, claims: Claims) -> None:
        """So that a start which died after its claim can be repeated."""
        assert await claims.claim("person", ADA)
        assert await claims.claim("person", ADA)

    async def test_people_do_not_share_claims(self, claims: Claims) -> None:
        """One user may even hold two: the bonus itself is once per account."""
        assert await claims.claim("person", ADA)
        assert await claims.claim("other", BEN)
        assert await claims.claim("third", ADA)

    async def test_of_many_at_once_one_wins(self, claims: Claims) -> None:
        """Ten accounts of one person race."""
        users = [UserId(f"user{number}") for number in range(10)]

        won = await asyncio.gather(*(claims.claim("person", user) for user in users))

        assert won.count(True) == 1
        assert await claims.claim("person", users[won.index(True)])


class TestMemoryClaims(ClaimsContract):
    """The fake."""

    @pytest.fixture
    def claims(self) -> Claims:
        return MemoryClaims()


class TestFirestoreClaims(ClaimsContract):
    """The real one, on the emulator."""

    @pytest.fixture
    async def claims(self, stack: Stack, project_id: str) -> AsyncIterator[Claims]:
        async with firestore_at(stack.firestore_address, project_id) as client:
            yield FirestoreClaims(client)


async def test_a_store_that_does_not_answer_is_a_refusal_to_be_repeated() -> None:
    """And not a crash with Google's words in it."""
    async with firestore_at("127.0.0.1:1", "demo-nobody") as client:
        with pytest.raises(AccountsUnavailable):
            await FirestoreClaims(client).claim("person", ADA)
