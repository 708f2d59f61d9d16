"""What every store of conversations promises, Firestore's and the one in memory alike."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from google.cloud import firestore
from msgspec.structs import replace

from local.stack import Stack
from shared.base.ids import AccountId, UserId
from shared.conversations import rules
from shared.conversations.memory_store import MEMORIES_MAX, Memories
from shared.conversations.models import Caller, Change, ConversationId, Memory, Message, MessageState, Picture, Role
from shared.conversations.store import (
    CHUNK_BYTES,
    PAGE_BYTES_MAX,
    PAGE_MAX,
    ConversationChanged,
    FirestoreConversations,
)
from tests.conversations.memory import MemoryConversations, MemoryMemories
from tests.conversations.test_rules import ASKED, IDLE, NOW, QUESTION
from tests.database import firestore_at

TALK, OWNER = IDLE.conversation_id, IDLE.owner
REMEMBERS = replace(IDLE, remembers=True)


class ConversationsContract:
    """The promises; the subclasses say on what."""

    async def test_there_is_one_of_each_id(self, store: FirestoreConversations) -> None:
        assert await store.find(TALK) is None
        assert await store.create(IDLE)
        assert not await store.create(replace(IDLE, title="other"))
        kept = await store.find(TALK)
        assert kept is not None
        assert kept.conversation == IDLE

    async def test_a_cards_page_ends_with_one_of_its_own(self, store: FirestoreConversations) -> None:
        """However many its owner has: where the next page begins says nothing of them."""
        card = AccountId("card:a")
        for number in range(3 * PAGE_MAX // 2):
            talk = replace(IDLE, conversation_id=ConversationId(f"talk{number:03}"))
            await store.create(replace(talk, account_id=card) if number == 7 else talk)
        await store.create(replace(IDLE, conversation_id=ConversationId("talk000a"), owner=UserId("eve")))

        own = await store.seen_by(Caller(OWNER, IDLE.account_id, False), after=None)
        rest = await store.seen_by(Caller(OWNER, IDLE.account_id, False), after=own[-1].conversation_id)
        assert [one.conversation_id for one in own + rest] == [f"talk{n:03}" for n in range(3 * PAGE_MAX // 2)]
        assert len(own) == PAGE_MAX
        begun = await store.seen_by(Caller(OWNER, card, True), after=None)
        assert [one.conversation_id for one in begun] == ["talk007"]

    async def test_an_accounts_conversations_are_counted_up_to_a_bound(self, store: FirestoreConversations) -> None:
        for number in range(3):
            await store.create(replace(IDLE, conversation_id=ConversationId(f"conv-{number}")))
        await store.create(replace(IDLE, conversation_id=ConversationId("conv-card"), account_id=AccountId("card:a")))

        assert [await store.count_of(IDLE.account_id, count_max=bound) for bound in (2, 9)] == [2, 3]

    async def test_a_change_is_made_over_what_was_read_and_whole(
        self, store: FirestoreConversations, memories: Memories
    ) -> None:
        """Message, turn and memory with it, or none of them."""
        await store.create(REMEMBERS)
        kept = await store.find(TALK)
        assert kept is not None
        change = rules.begun(REMEMBERS, ASKED, replace(QUESTION, text="Remember that I am old."), NOW)

        await store.save(kept, change)
        with pytest.raises(ConversationChanged):
            await store.save(kept, replace(change, messages=(replace(QUESTION, seq=7),)))
        again = await store.find(TALK)
        assert again is not None
        with pytest.raises(ConversationChanged):
            await store.save(again, Change(IDLE, states={9: MessageState.SAID}))

        assert again.conversation == change.conversation
        assert await store.messages(TALK, after=0, count_max=9) == list(change.messages)
        assert await store.turn(TALK, ASKED.turn_id) == ASKED
        assert await memories.of(OWNER) == [change.memory]

    async def test_what_is_said_between_two_is_read_without_what_was_replaced(
        self, store: FirestoreConversations
    ) -> None:
        await store.create(IDLE)
        kept = await store.find(TALK)
        assert kept is not None
        states = [MessageState.SAID, MessageState.REPLACED, *[MessageState.SAID] * 4, MessageState.UNANSWERED]
        said = [
            Message(seq=seq, role=Role.USER, text=str(seq), state=state, created_at_ms=0)
            for seq, state in enumerate(states, 1)
        ]
        await store.save(kept, Change(IDLE, tuple(said)))

        assert [one.seq for one in await store.said(TALK, after=0, before=9, count_max=3)] == [4, 5, 6]
        assert [one.seq for one in await store.said(TALK, after=0, before=4, count_max=9)] == [1, 3]
        assert [one.seq for one in await store.said(TALK, after=3, before=9, count_max=9)] == [4, 5, 6]
        assert [one.seq for one in await store.messages(TALK, after=5, count_max=1)] == [6]

    async def test_a_page_of_long_messages_ends_early(self, store: FirestoreConversations) -> None:
        """A hundred of the longest would be more than an answer may have, and than a server has room for."""
        await store.create(IDLE)
        said = [Message(seq=seq, role=Role.USER, text="x" * 500_000, created_at_ms=0) for seq in range(1, 11)]
        for some in (said[:5], said[5:]):
            kept = await store.find(TALK)
            assert kept is not None
            await store.save(kept, Change(IDLE, tuple(some)))

        first = await store.page(TALK, after=0)
        rest = await store.page(TALK, after=first[-1].seq)

        assert [one.seq for one in (*first, *rest)] == list(range(1, 11))
        assert 500_000 * (len(first) - 1) < PAGE_BYTES_MAX <= 500_000 * len(first)

    async def test_a_picture_comes_back_whole(self, store: FirestoreConversations) -> None:
        content = b"x" * (CHUNK_BYTES + 1)
        picture = Picture("t1-0", "image/png", len(content))
        for _ in range(2):
            await store.put_picture(TALK, picture, content)

        assert await store.picture(TALK, picture) == content
        assert await store.picture(TALK, replace(picture, name="t1-1")) == b""

    async def test_the_oldest_of_too_many_memories_is_forgotten(
        self, store: FirestoreConversations, memories: Memories
    ) -> None:
        async def remember(number: int) -> None:
            talk = replace(IDLE, conversation_id=ConversationId(f"conv_{number}"))
            memory = Memory(memory_id=f"m{number}", text="x", conversation_id=TALK, created_at_ms=number)
            await store.create(talk)
            kept = await store.find(talk.conversation_id)
            assert kept is not None
            await store.save(kept, Change(talk, memory=memory))

        await asyncio.gather(*(remember(number) for number in range(MEMORIES_MAX + 1)))

        await memories.trim(OWNER)

        known = await memories.of(OWNER)
        assert len(known) == MEMORIES_MAX
        assert known[-1].memory_id == "m1"
        assert await memories.forget_all(OWNER) == MEMORIES_MAX
        assert await memories.of(OWNER) == []


class TestMemory(ConversationsContract):
    @pytest.fixture
    def memories(self) -> Memories:
        return MemoryMemories()

    @pytest.fixture
    def store(self, memories: MemoryMemories) -> FirestoreConversations:
        return MemoryConversations(memories)


class TestFirestore(ConversationsContract):
    @pytest.fixture
    async def client(self, stack: Stack, project_id: str) -> AsyncIterator[firestore.AsyncClient]:
        async with firestore_at(stack.firestore_address, project_id) as client:
            yield client

    @pytest.fixture
    def memories(self, client: firestore.AsyncClient) -> Memories:
        return Memories(client)

    @pytest.fixture
    def store(self, client: firestore.AsyncClient) -> FirestoreConversations:
        return FirestoreConversations(client)
