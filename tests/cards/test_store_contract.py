"""What every store of cards promises, Firestore's and the one in memory alike."""

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from local.stack import Stack
from shared.base.ids import UserId
from shared.base.periods import Period
from shared.cards.errors import CardsUnavailable
from shared.cards.models import Card, CardId, CardRecord, CardStatus, Refill, Session, Terms
from shared.cards.store import CardChanged, CardExists, CardStore, FirestoreCards
from shared.ledger.models import SpendLimit
from tests.cards.builders import MemoryCards
from tests.database import firestore_at

ADA, BEN = UserId("ada"), UserId("ben")
TERMS = Terms("a card", SpendLimit(5, Period.DAY), Refill(9, Period.WEEK), frozenset({"a/b", "c"}), 1_900_000_000_000)


def record(name: str = "a", owner: UserId = ADA, terms: Terms = TERMS) -> CardRecord:
    return CardRecord(Card(CardId(name * 12), owner, CardStatus.OPENING, terms, 1_800_000_000_000), "k" * 64, "r" * 64)


class CardsContract:
    """Subclassed once per store; `cards` is empty at first."""

    @pytest.mark.parametrize("terms", [TERMS, Terms("bare"), Terms("none", models=frozenset())])
    async def test_a_record_comes_back_as_it_went(self, cards: CardStore, terms: Terms) -> None:
        """Whatever of its terms is set or not; nothing allowed is another thing than all."""
        written = await cards.create(record(terms=terms))

        found = await cards.find(CardId("a" * 12))
        assert found is not None
        assert found.record == written.record == record(terms=terms)
        assert await cards.owned_by(ADA, after=None) == [record(terms=terms).card]
        assert await cards.find(CardId("b" * 12)) is None

    async def test_a_session_comes_back_with_whose_credits_it_drew(self, cards: CardStore) -> None:
        drew = record()
        drew = replace(drew, card=replace(drew.card, session=Session("pool", 9, (BEN,))))
        await cards.create(drew)

        found = await cards.find(CardId("a" * 12))

        assert found is not None
        assert found.record == drew
        assert found.record.card.payers == {ADA, BEN}

    async def test_an_id_is_given_once(self, cards: CardStore) -> None:
        await cards.create(record())

        with pytest.raises(CardExists):
            await cards.create(record(owner=BEN))
        assert await cards.owned_by(BEN, after=None) == []

    async def test_only_what_was_read_is_written_over(self, cards: CardStore) -> None:
        """By version, whether it was read, created or replaced."""
        created = await cards.create(record())
        opened = replace(record(), card=replace(record().card, status=CardStatus.OPEN), key_hash="n" * 64)

        replaced = await cards.replace(created, opened)
        with pytest.raises(CardChanged):
            await cards.replace(created, record())
        found = await cards.find(CardId("a" * 12))
        assert found is not None
        assert found.record == opened
        await cards.replace(found, record())
        with pytest.raises(CardChanged):
            await cards.replace(replaced, opened)
        assert [card.status for card in await cards.owned_by(ADA, after=None)] == [CardStatus.OPENING]

    async def test_cards_are_listed_by_owner_in_pages(self, cards: CardStore) -> None:
        for name, owner in (("c", ADA), ("a", ADA), ("b", BEN), ("d", ADA)):
            await cards.create(record(name, owner))

        assert [card.card_id[0] for card in await cards.owned_by(ADA, after=None)] == ["a", "c", "d"]
        assert [card.card_id[0] for card in await cards.owned_by(ADA, after=CardId("a" * 12))] == ["c", "d"]

    async def test_closings_are_listed_whoever_owns_them(self, cards: CardStore) -> None:
        for name, owner in (("c", ADA), ("a", ADA), ("b", BEN), ("d", ADA)):
            made = await cards.create(record(name, owner))
            if name != "d":
                await cards.replace(
                    made, replace(made.record, card=replace(made.record.card, status=CardStatus.CLOSING))
                )

        assert [card.card_id[0] for card in await cards.closing(after=None)] == ["a", "b", "c"]
        assert [card.owner for card in await cards.closing(after=CardId("a" * 12))] == [BEN, ADA]


class TestMemoryCards(CardsContract):
    """The fake."""

    @pytest.fixture
    def cards(self) -> CardStore:
        return MemoryCards()


class TestFirestoreCards(CardsContract):
    """The real one, on the emulator."""

    @pytest.fixture
    async def cards(self, stack: Stack, project_id: str) -> AsyncIterator[CardStore]:
        async with firestore_at(stack.firestore_address, project_id) as client:
            yield FirestoreCards(client)


async def test_the_view_of_a_card_has_nothing_of_its_key(stack: Stack, project_id: str) -> None:
    """Its owner reads that document; the record, no client does."""
    async with firestore_at(stack.firestore_address, project_id) as client:
        await FirestoreCards(client).create(record())

        view = (await client.document(f"cards/{'a' * 12}").get()).to_dict()
        kept = (await client.document(f"card_records/{'a' * 12}").get()).to_dict()

    assert kept is not None
    assert view == {name: value for name, value in kept.items() if not name.endswith("_hash")}


async def test_a_store_that_does_not_answer_is_a_refusal_to_be_repeated() -> None:
    async with firestore_at("127.0.0.1:1", "demo-nobody") as client:
        for attempt in (
            FirestoreCards(client).find(CardId("a" * 12)),
            FirestoreCards(client).create(record()),
            FirestoreCards(client).owned_by(ADA, after=None),
            FirestoreCards(client).closing(after=None),
        ):
            with pytest.raises(CardsUnavailable):
                await attempt
