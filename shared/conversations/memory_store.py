"""What a user asked to remember: `users/{uid}/memories/{turn}`. Its owner reads it, and erases it for good.

It is written together with the message that asks for it, by the store of conversations.
"""

from google.api_core import exceptions as google_errors
from google.cloud import firestore
from msgspec import convert

from shared.base.ids import UserId
from shared.conversations.errors import ConversationsUnavailable
from shared.conversations.models import Memory

MEMORIES_MAX = 100
"""Of one user. When there are more, the oldest is forgotten."""
TIMEOUT_S = 10.0


def memories_of(client: firestore.AsyncClient, uid: UserId) -> firestore.AsyncCollectionReference:
    """Where a user's are."""
    memories: firestore.AsyncCollectionReference = client.collection("users").document(uid).collection("memories")
    return memories


class Memories:
    """All methods raise ConversationsUnavailable."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def trim(self, uid: UserId) -> None:
        """Forget the oldest of too many. Called after one was added."""
        known = await self.of(uid)
        if len(known) > MEMORIES_MAX:
            await self.forget(uid, [one.memory_id for one in known[MEMORIES_MAX:]])

    async def of(self, uid: UserId) -> list[Memory]:
        """All of a user's, newest first."""
        query = memories_of(self._client, uid).order_by("created_at_ms", direction=firestore.Query.DESCENDING)
        try:
            found = query.limit(MEMORIES_MAX + 1).stream(retry=None, timeout=TIMEOUT_S)
            return [convert(one.to_dict(), Memory) async for one in found]
        except google_errors.GoogleAPICallError as error:
            raise ConversationsUnavailable from error

    async def forget(self, uid: UserId, memory_ids: list[str]) -> None:
        """Erase these; those that are gone already are as good as erased. Final once returned."""
        batch = self._client.batch()
        for memory_id in memory_ids:
            batch.delete(memories_of(self._client, uid).document(memory_id))
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
