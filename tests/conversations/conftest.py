"""Turns over the fake providers and the checked ledger that chats are tested with, and a store in memory."""

import base64
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from shared.base.fetcher import Fetcher
from shared.base.ids import RequestId, UserId
from shared.calls.models import Asking
from shared.catalog.models import Model
from shared.catalog.service import Catalog
from shared.conversations.attachments import Attachment
from shared.conversations.models import Caller, Conversation, ConversationId, Message, MessageState, Role
from shared.conversations.prompts import Prompts
from shared.conversations.replies import Replies, Said
from shared.conversations.service import Conversations
from shared.conversations.titles import Titles
from shared.metering.service import Meter
from tests.chat.builders import TEXT_MODEL, VISION_MODEL, model_of
from tests.chat.conftest import ADA, Shop, shop
from tests.conversations.memory import MemoryConversations, MemoryMemories
from tests.providers import fake

__all__ = ["shop"]
UID = UserId("ada")
SMALL_MODEL = model_of(id="maker/small", context_tokens=8_000)
MODELS = (TEXT_MODEL, VISION_MODEL, SMALL_MODEL)
TALK = ConversationId("conv_" + "0" * 32)
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 100
CALLER = Caller(UID, ADA, False)


def words(text: str, *counts: object) -> fake.Reply:
    """A provider's answer of this text."""
    said = [fake.chunk("", role="assistant"), fake.chunk(text), fake.chunk(finish="stop"), fake.usage_chunk(*counts)]
    return fake.stream(*map(fake.event, said), fake.DONE)


def image_of(content: bytes = PNG, media_type: str = "image/png") -> Attachment:
    return Attachment(type="image", url=f"data:{media_type};base64," + base64.b64encode(content).decode())


class Salon:
    """One conversation of Ada's, her memories, and who answers her."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.memories = MemoryMemories()
        self.store = MemoryConversations(self.memories)
        shop.catalog = Catalog(MODELS, {provider.name for provider in shop.providers()})
        meter, chats = Meter(shop.ledger, shop.owed), shop.chats()
        prompts = Prompts(self.store, self.memories, shop.catalog)
        self.conversations = Conversations(self.store, meter, shop.clock)
        self.replies = Replies(
            self.conversations, self.store, self.memories, prompts, chats, meter, Fetcher(), shop.clock
        )
        self.titles = Titles(self.conversations, self.store, chats, shop.catalog, shop.clock)

    async def begin(self, model: Model = TEXT_MODEL, **fields: Any) -> None:
        terms = {"answer_tokens_max": 500, **fields}
        conversation = Conversation(
            conversation_id=TALK,
            owner=UID,
            account_id=ADA,
            request_hash="",
            title="",
            model=model.id,
            created_at_ms=0,
            updated_at_ms=0,
            **terms,
        )
        await self.store.create(conversation)

    def asking(self) -> Asking:
        return Asking(account_id=ADA, request_id=RequestId(self.shop.next_id()))

    async def say(self, text: str, *attachments: Attachment, key: str | None = None) -> Message:
        """Reply, and read to the end."""
        said = Said(text, list(attachments))
        reply = await self.replies.reply(self.asking(), CALLER, TALK, said, key=key or text)
        return await reply.finished(None)

    async def anew(self, key: str) -> Message:
        """Regenerate, and read to the end."""
        reply = await self.replies.regenerate(self.asking(), CALLER, TALK, key=key)
        return await reply.finished(None)

    async def now(self) -> Conversation:
        return (await self.conversations.owned(CALLER, TALK)).conversation

    def shown(self) -> list[Message]:
        return [message for _, message in sorted(self.store.below.get(TALK, {}).items())]

    def asked(self) -> list[dict[str, Any]]:
        """What providers were sent, in order."""
        return [one.payload for one in self.shop.first.asked]

    async def pretend(self, count: int, text: Callable[[int], str] = str, **fields: Any) -> None:
        """Let so many messages have been said, user and assistant in turn."""
        messages = self.store.below.setdefault(TALK, {})
        for seq in range(1, count + 1):
            role = Role.USER if seq % 2 else Role.ASSISTANT
            messages[seq] = Message(seq=seq, role=role, text=text(seq), created_at_ms=0, **fields)
        conversation, version = self.store.kept[TALK]
        asked_seq = count if count % 2 else count - 1
        self.store.kept[TALK] = (replace(conversation, next_seq=count + 1, asked_seq=asked_seq), version)


def texts_of(payload: dict[str, Any]) -> str:
    """All that was sent, as one text."""
    return json.dumps(payload["messages"])


def states_of(messages: Sequence[Message]) -> list[tuple[Role, MessageState]]:
    return [(one.role, one.state) for one in messages]


@pytest.fixture
async def salon(shop: Shop) -> AsyncIterator[Salon]:
    """Afterwards every charge stands on exactly one message that is shown."""
    salon = Salon(shop)
    yield salon
    receipts = [one.receipt_id for one in salon.shown() if one.receipt_id]
    assert sorted(receipts) == sorted(entry.entry_id for entry in shop.captures())
    assert len(receipts) == len(set(receipts))
