"""What models are asked in a turn: for the summaries that it needs first, and for its answer."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from shared.base.body import shape
from shared.catalog.models import Modality, Model
from shared.catalog.service import Catalog
from shared.chat.models import ChatRequest
from shared.conversations import attachments, history
from shared.conversations.history import Plan, Room
from shared.conversations.memory_store import Memories
from shared.conversations.models import Conversation, Message, Summary
from shared.conversations.store import FirestoreConversations

NO_PICTURE = "data:image/png;base64,"
"""Stands in a quote for an image: what it is held for does not depend on what it shows."""


class Prompts:
    """Reads what is told. Raises what the stores do, or ModelUnknown."""

    def __init__(self, store: FirestoreConversations, memories: Memories, catalog: Catalog) -> None:
        self._store = store
        self._memories = memories
        self._catalog = catalog

    async def model(self, conversation: Conversation) -> Model:
        """The model that answers."""
        await self._catalog.refresh()
        return self._catalog.chat_model(conversation.model)[0]

    async def remembered(self, conversation: Conversation) -> list[str]:
        """What the model is told of its owner's memories, newest first."""
        memories = await self._memories.of(conversation.owner) if conversation.remembers else []
        return [memory.text for memory in memories]

    async def plan(self, conversation: Conversation, asked: Message, memories: Sequence[str]) -> tuple[Plan, Room]:
        """What is sent: the message asked is last, whatever its length; answers to it are not sent."""
        model = await self.model(conversation)
        found = await self._store.said(
            conversation.conversation_id,
            after=conversation.summary.until_seq if conversation.summary else 0,
            before=asked.seq,
            count_max=history.READ_MAX,
        )
        room = history.room_of(
            conversation,
            memories,
            asked,
            context_tokens=model.context_tokens,
            image_tokens=model.image_tokens_max,
        )
        plan = history.plan_of(found, room, image_tokens=model.image_tokens_max)
        return Plan((*plan.sent, asked), plan.batches), room

    def summary(self, conversation: Conversation, batch: Sequence[Message], room: Room) -> ChatRequest:
        """The request for one summary, of a batch and of what the conversation's summary tells."""
        former = conversation.summary.text if conversation.summary else ""
        messages = history.summary_messages(former, batch, tokens_max=room.summary_tokens_max)
        return chat_of(conversation.model, messages, tokens_max=history.SUMMARY_TOKENS_MAX)

    async def answer(self, conversation: Conversation, sent: Sequence[Message], memories: Sequence[str]) -> ChatRequest:
        """The request for the answer, with the pictures of what is sent, if the model sees."""
        urls: dict[str, str] = {}
        if (await self.model(conversation)).modality is Modality.VISION:
            for picture in history.pictures_shown(sent):
                if content := await self._store.picture(conversation.conversation_id, picture):
                    urls[picture.name] = attachments.data_url(picture, content)
        return reply_of(conversation, sent, memories, urls)

    async def quoted(self, conversation: Conversation, sent: Sequence[Message], memories: Sequence[str]) -> ChatRequest:
        """The same without a look at any picture, for who only wants to know what it would cost."""
        sees = (await self.model(conversation)).modality is Modality.VISION
        urls = {picture.name: NO_PICTURE for picture in history.pictures_shown(sent) if sees}
        return reply_of(conversation, sent, memories, urls)


def summarised(conversation: Conversation, batch: Sequence[Message]) -> Conversation:
    """The conversation as it would be with the longest summary up to the end of the batch."""
    return replace(conversation, summary=Summary(history.LONGEST_SUMMARY, batch[-1].seq))


def reply_of(
    conversation: Conversation, sent: Sequence[Message], memories: Sequence[str], urls: dict[str, str]
) -> ChatRequest:
    """The request for an answer. `urls` are the pictures that are shown, by their names."""
    messages = history.messages_for(conversation, sent, memories, urls)
    return chat_of(conversation.model, messages, tokens_max=conversation.answer_tokens_max)


def chat_of(model: str, messages: list[dict[str, Any]], *, tokens_max: int) -> ChatRequest:
    """A streamed chat of at most so many tokens."""
    fields = {"model": model, "messages": messages, "max_completion_tokens": tokens_max, "stream": True}
    return shape(ChatRequest, fields)
