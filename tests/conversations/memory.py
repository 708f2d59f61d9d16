"""Conversations and memories in this process, with the promises of Firestore's."""

from collections.abc import Callable

from msgspec.structs import replace

from shared.base.ids import AccountId, UserId
from shared.conversations.errors import ConversationsUnavailable
from shared.conversations.memory_store import MEMORIES_MAX, Memories
from shared.conversations.models import (
    Caller,
    Change,
    Conversation,
    ConversationId,
    Memory,
    Message,
    MessageState,
    Picture,
    Turn,
    TurnId,
)
from shared.conversations.store import (
    PAGE_BYTES_MAX,
    PAGE_MAX,
    ConversationChanged,
    FirestoreConversations,
    Kept,
    Version,
    text_bytes_of,
)


class MemoryMemories(Memories):
    """A dictionary for each user."""

    def __init__(self) -> None:
        self.kept: dict[UserId, dict[str, Memory]] = {}

    async def of(self, uid: UserId) -> list[Memory]:
        known = sorted(self.kept.get(uid, {}).values(), key=lambda one: one.created_at_ms, reverse=True)
        return known[: MEMORIES_MAX + 1]

    async def forget(self, uid: UserId, memory_ids: list[str]) -> None:
        for memory_id in memory_ids:
            self.kept.get(uid, {}).pop(memory_id, None)


class MemoryConversations(FirestoreConversations):
    """Dictionaries in place of collections. A `save_fault` is called before a change is made, and may raise."""

    def __init__(self, memories: MemoryMemories) -> None:
        self.memories = memories
        self.kept: dict[ConversationId, tuple[Conversation, int]] = {}
        self.below: dict[ConversationId, dict[int, Message]] = {}
        self.turns: dict[tuple[ConversationId, TurnId], Turn] = {}
        self.contents: dict[tuple[ConversationId, str], bytes] = {}
        self.pictures_read: list[str] = []
        self.save_fault: Callable[[Change], None] = lambda change: None

    async def create(self, conversation: Conversation) -> bool:
        if conversation.conversation_id in self.kept:
            return False
        self.kept[conversation.conversation_id] = (conversation, 1)
        return True

    async def find(self, conversation_id: ConversationId) -> Kept | None:
        found = self.kept.get(conversation_id)
        return Kept(found[0], Version(found[1])) if found else None

    async def save(self, kept: Kept, change: Change) -> None:
        self.save_fault(change)
        conversation_id = kept.conversation.conversation_id
        messages = self.below.setdefault(conversation_id, {})
        _, version = self.kept.get(conversation_id, (None, 0))
        if version != kept.version or change.states.keys() - messages.keys():
            raise ConversationChanged
        self.kept[conversation_id] = (change.conversation, version + 1)
        messages |= {message.seq: message for message in change.messages}
        for seq, state in change.states.items():
            messages[seq] = replace(messages[seq], state=state)
        if change.turn is not None:
            self.turns[conversation_id, change.turn.turn_id] = change.turn
        if change.memory is not None:
            known = self.memories.kept.setdefault(kept.conversation.owner, {})
            known[change.memory.memory_id] = change.memory

    async def turn(self, conversation_id: ConversationId, turn_id: TurnId) -> Turn | None:
        return self.turns.get((conversation_id, turn_id))

    async def messages(self, conversation_id: ConversationId, *, after: int, count_max: int) -> list[Message]:
        found = [one for seq, one in sorted(self.below.get(conversation_id, {}).items()) if seq > after]
        return found[:count_max]

    async def page(self, conversation_id: ConversationId, *, after: int) -> list[Message]:
        found: list[Message] = []
        for message in await self.messages(conversation_id, after=after, count_max=PAGE_MAX):
            found.append(message)
            if sum(text_bytes_of(one) for one in found) >= PAGE_BYTES_MAX:
                break
        return found

    async def count_of(self, account_id: AccountId, *, count_max: int) -> int:
        return min(sum(one.account_id == account_id for one, _ in self.kept.values()), count_max)

    async def seen_by(self, caller: Caller, *, after: ConversationId | None) -> list[Conversation]:
        found = [one for _, (one, _) in sorted(self.kept.items()) if after is None or one.conversation_id > after]
        seen = [one for one in found if caller.uid == one.owner or caller.is_card]
        return [one for one in seen if not caller.is_card or one.account_id == caller.account_id][:PAGE_MAX]

    async def said(self, conversation_id: ConversationId, *, after: int, before: int, count_max: int) -> list[Message]:
        found = await self.messages(conversation_id, after=after, count_max=10**9)
        return [one for one in found if one.seq < before and one.state is MessageState.SAID][-count_max:]

    async def put_picture(self, conversation_id: ConversationId, picture: Picture, content: bytes) -> None:
        self.contents[conversation_id, picture.name] = content

    async def picture(self, conversation_id: ConversationId, picture: Picture) -> bytes:
        self.pictures_read.append(picture.name)
        return self.contents.get((conversation_id, picture.name), b"")


def unreachable(change: Change) -> None:
    """A fault: the store does not answer."""
    raise ConversationsUnavailable
