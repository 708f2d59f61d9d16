"""What a user asked to remember: `users/{uid}/memories/{turn}`. Its owner reads it, and erases it for good."""

from google.api_core import exceptions as google_errors
from google.cloud import firestore
from msgspec import Struct, convert, to_builtins

from shared.base.clock import Clock
from shared.base.ids import UserId
from shared.conversations.errors import ConversationsUnavailable
from shared.conversations.models import ConversationId

MEMORIES_MAX = 100
"""Of one user. When there are more, the oldest is forgotten."""
TIMEOUT_S = 10.0


class Memory(Struct, frozen=True, kw_only=True):
    """One thing to remember, and where it was said."""

    memory_id: str
    text: str
    conversation_id: ConversationId
    created_at_ms: int


class Memories:
    """All methods raise ConversationsUnavailable."""

    def __init__(self, client: firestore.AsyncClient, clock: Clock) -> None:
        self._users = client.collection("users")
        self._client = client
        self._clock = clock

    async def remember(self, uid: UserId, memory_id: str, text: str, conversation_id: ConversationId) -> None:
        """Durable once returned; a repeat changes nothing."""
        memory = Memory(memory_id=memory_id, text=text, conversation_id=conversation_id, created_at_ms=self._clock())
        try:
            await self._memories(uid).document(memory_id).create(to_builtins(memory), retry=None, timeout=TIMEOUT_S)
        except google_errors.AlreadyExists:
            return
        except google_errors.GoogleAPICallError as error:
            raise ConversationsUnavailable from error
        known = await self.of(uid)
        if len(known) > MEMORIES_MAX:
            await self.forget(uid, [one.memory_id for one in known[MEMORIES_MAX:]])

    async def of(self, uid: UserId) -> list[Memory]:
        """All of a user's, newest first."""
        query = self._memories(uid).order_by("created_at_ms", direction=firestore.Query.DESCENDING)
        try:
            found = query.limit(MEMORIES_MAX + 1).stream(retry=None, timeout=TIMEOUT_S)
            return [convert(one.to_dict(), Memory) async for one in found]
        except google_errors.GoogleAPICallError as error:
            raise ConversationsUnavailable from error

    async def forget(self, uid: UserId, memory_ids: list[str]) -> None:
        """Erase these; those that are gone already are as good as erased. Final once returned."""
        batch = self._client.batch()
        for memory_id in memory_ids:
            batch.delete(self._memories(uid).document(memory_id))
        try:
            await batch.commit(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise ConversationsUnavailable from error

    async def forget_all(self, uid: UserId) -> int:
        """Erase all; how many they were."""
        erased = 0
        while found := await self.of(uid):
            await self.forget(uid, [one.memory_id for one in found])
            erased += len(found)
        return erased

    def _memories(self, uid: UserId) -> firestore.AsyncCollectionReference:
        memories: firestore.AsyncCollectionReference = self._users.document(uid).collection("memories")
        return memories
