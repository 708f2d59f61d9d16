"""Reservations promise the same in memory and in Firestore."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from local.stack import Stack
from shared.chain.errors import ReservationsUnavailable
from shared.chain.models import Reservation
from shared.chain.store import FirestoreReservations, Reservations
from tests.chain.memory import MemoryReservations
from tests.database import firestore_at

KEY = "eip155:31337/0xasset/0xsender/0xnonce"


class Contract:
    """What every store of reservations promises."""

    async def test_what_nobody_reserved_is_not_found(self, reservations: Reservations) -> None:
        assert await reservations.find(KEY) is None

    async def test_the_first_reservation_stays(self, reservations: Reservations) -> None:
        first, second = Reservation("order-1", 7), Reservation("order-2", 9)

        assert await reservations.reserve(KEY, first) == first
        assert await reservations.reserve(KEY, second) == first
        assert await reservations.find(KEY) == first

    async def test_of_several_at_once_all_learn_of_the_same_one(self, reservations: Reservations) -> None:
        wanted = [Reservation(f"order-{number}", number) for number in range(8)]

        told = await asyncio.gather(*(reservations.reserve(KEY, reservation) for reservation in wanted))

        assert len(set(told)) == 1
        assert told[0] in wanted


class TestMemory(Contract):
    @pytest.fixture
    def reservations(self) -> MemoryReservations:
        return MemoryReservations()


class TestFirestore(Contract):
    @pytest.fixture
    async def reservations(self, stack: Stack, project_id: str) -> AsyncIterator[FirestoreReservations]:
        async with firestore_at(stack.firestore_address, project_id) as client:
            yield FirestoreReservations(client)


async def test_without_firestore_nothing_is_reserved_and_nothing_denied() -> None:
    """Said at once: whoever waits for their payment asks again."""
    async with firestore_at("127.0.0.1:1", "demo-nobody") as client, asyncio.timeout(4):
        reservations = FirestoreReservations(client)

        with pytest.raises(ReservationsUnavailable):
            await reservations.reserve(KEY, Reservation("order-1", 7))
        with pytest.raises(ReservationsUnavailable):
            await reservations.find(KEY)
