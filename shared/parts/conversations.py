"""Builds what conversations are made of."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.parts.gateway import GatewayParts

if TYPE_CHECKING:
    from shared.conversations.memory_store import Memories
    from shared.conversations.openings import Openings
    from shared.conversations.replies import Replies
    from shared.conversations.service import Conversations
    from shared.conversations.store import FirestoreConversations
    from shared.conversations.titles import Titles


class ConversationParts(GatewayParts):
    """Conversations, their answers and titles, and what their owners asked to remember."""

    @cached_property
    def conversation_store(self) -> "FirestoreConversations":
        from shared.conversations.store import FirestoreConversations

        return FirestoreConversations(self.firestore)

    @cached_property
    def conversations(self) -> "Conversations":
        from shared.conversations.service import Conversations

        return Conversations(self.conversation_store, self.meter, self.clock)

    @cached_property
    def conversation_openings(self) -> "Openings":
        from shared.conversations.openings import Openings

        return Openings(self.conversations, self.conversation_store, self.catalog, self.clock)

    @cached_property
    def memories(self) -> "Memories":
        from shared.conversations.memory_store import Memories

        return Memories(self.firestore)

    @cached_property
    def replies(self) -> "Replies":
        from shared.base.fetcher import Fetcher
        from shared.conversations.prompts import Prompts
        from shared.conversations.replies import Replies

        prompts = Prompts(self.conversation_store, self.memories, self.catalog)
        return Replies(
            self.conversations,
            self.conversation_store,
            self.memories,
            prompts,
            self.chats,
            self.meter,
            Fetcher(),
            self.clock,
        )

    @cached_property
    def titles(self) -> "Titles":
        from shared.conversations.titles import Titles

        return Titles(self.conversations, self.conversation_store, self.chats, self.catalog, self.clock)
