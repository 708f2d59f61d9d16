"""Where conversations are kept.

`conversations/{id}` is one, `messages/{seq}` below it what was said and `pictures/{name}-{chunk}` what was shown; their
owner reads all of these live under `firestore.rules`. `turns/{turn}` is ours alone. A change of a conversation and of
what belongs to it is one commit, made only over the state that was read.
"""

from collections.abc import Callable, Sequence
from typing import Any, NewType

import msgspec
from google.api_core import exceptions as google_errors
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from msgspec import Struct, to_builtins

from shared.base.ids import AccountId
from shared.chat.weight import bytes_of
from shared.conversations.errors import ConversationAbsent, ConversationBusy, ConversationsUnavailable
from shared.conversations.memory_store import memories_of
from shared.conversations.models import (
    Caller,
    Change,
    Conversation,
    ConversationId,
    Message,
    MessageState,
    Picture,
    Turn,
    TurnId,
)

TIMEOUT_S = 10.0
CHUNK_BYTES = 900_000
"""A document has a mebibyte at most, with its name and other fields."""
PAGE_MAX = 100
PAGE_BYTES_MAX = 4 * 1024 * 1024
"""Of the texts of one page of messages, but that the last may go beyond: an answer has 32 MiB at most, and a server
that tells many at once little more.
"""
WRITES_MAX = 100
"""Of one commit that erases."""
CHANGES_MAX = 8
"""Tries of one change: beside the turn itself, a stop and a renewed lease write the same document."""
BELOW = ("messages", "pictures", "turns")

Version = NewType("Version", object)
"""Opaque: names one state of one conversation."""


class Kept(Struct, frozen=True):
    """A conversation as it was read, with the version that a later write must still find."""

    conversation: Conversation
    version: Version


class ConversationChanged(Exception):
    """The conversation is no longer what was read."""


class FirestoreConversations:
    """All methods raise ConversationsUnavailable; then a write may or may not have been made."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client
        self._conversations = client.collection("conversations")

    async def create(self, conversation: Conversation) -> bool:
        """Durable once returned. False when there is one of this id."""
        try:
            await self._ref(conversation.conversation_id).create(_document(conversation), retry=None, timeout=TIMEOUT_S)
        except google_errors.AlreadyExists:
            return False
        except google_errors.GoogleAPICallError as error:
            raise ConversationsUnavailable from error
        return True

    async def find(self, conversation_id: ConversationId) -> Kept | None:
        """The conversation as it stands now."""
        try:
            found = await self._ref(conversation_id).get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise ConversationsUnavailable from error
        fields = found.to_dict()
        return None if fields is None else Kept(_conversation(fields), Version(found.update_time))

    async def save(self, kept: Kept, change: Change) -> None:
        """Write over exactly what was read. Durable once returned. Raise ConversationChanged."""
        conversation_id = kept.conversation.conversation_id
        below = self._ref(conversation_id)
        batch = self._client.batch()
        unchanged = self._client.write_option(last_update_time=kept.version)
        batch.update(below, _document(change.conversation), option=unchanged)
        for message in change.messages:
            batch.set(below.collection("messages").document(f"{message.seq:08d}"), to_builtins(message))
        for seq, state in change.states.items():
            batch.update(below.collection("messages").document(f"{seq:08d}"), {"state": state.value})
        if change.turn is not None:
            batch.set(below.collection("turns").document(change.turn.turn_id), _turn_document(change.turn))
        if change.memory is not None:
            known = memories_of(self._client, kept.conversation.owner)
            batch.set(known.document(change.memory.memory_id), to_builtins(change.memory))
        try:
            await batch.commit(retry=None, timeout=TIMEOUT_S)
        except (google_errors.FailedPrecondition, google_errors.NotFound, google_errors.Aborted):
            raise ConversationChanged from None
        except google_errors.GoogleAPICallError as error:
            raise ConversationsUnavailable from error

    async def change(
        self, conversation_id: ConversationId, decide: Callable[[Conversation], Change | None]
    ) -> Change | None:
        """Read, decide, write; again while others come between. `decide` is pure, and None leaves all as it is.

        Answers what was written.

        Raise ConversationAbsent, ConversationBusy when others came between too often, or what `decide` raises.
        """
        for _ in range(CHANGES_MAX):
            kept = await self.find(conversation_id)
            if kept is None:
                raise ConversationAbsent
            if (change := decide(kept.conversation)) is None:
                return None
            try:
                await self.save(kept, change)
            except ConversationChanged:
                continue
            return change
        raise ConversationBusy

    async def turn(self, conversation_id: ConversationId, turn_id: TurnId) -> Turn | None:
        """One step."""
        try:
            found = (
                await self._ref(conversation_id)
                .collection("turns")
                .document(turn_id)
                .get(retry=None, timeout=TIMEOUT_S)
            )
        except google_errors.GoogleAPICallError as error:
            raise ConversationsUnavailable from error
        fields = found.to_dict()
        return None if fields is None else msgspec.json.decode(fields["work"], type=Turn)

    async def messages(self, conversation_id: ConversationId, *, after: int, count_max: int) -> list[Message]:
        """The first so many messages behind one, in their order."""
        return await _read(self._behind(conversation_id, after).order_by("seq").limit(count_max))

    async def page(self, conversation_id: ConversationId, *, after: int) -> list[Message]:
        """The messages behind one in their order, at most PAGE_MAX, and no more once they have PAGE_BYTES_MAX."""
        query = self._behind(conversation_id, after).order_by("seq").limit(PAGE_MAX)
        found: list[Message] = []
        text_bytes = 0
        try:
            async for one in query.stream(retry=None, timeout=TIMEOUT_S):
                found.append(msgspec.convert(one.to_dict(), Message))
                text_bytes += text_bytes_of(found[-1])
                if text_bytes >= PAGE_BYTES_MAX:
                    break
        except google_errors.GoogleAPICallError as error:
            raise ConversationsUnavailable from error
        return found

    async def said(self, conversation_id: ConversationId, *, after: int, before: int, count_max: int) -> list[Message]:
        """The newest of those that stand between two, at most so many, in their order; replaced ones do not count."""
        query = (
            self._ref(conversation_id)
            .collection("messages")
            .where(filter=FieldFilter("state", "==", MessageState.SAID.value))
            .where(filter=FieldFilter("seq", ">", after))
            .where(filter=FieldFilter("seq", "<", before))
            .order_by("seq", direction=firestore.Query.DESCENDING)
            .limit(count_max)
        )
        return (await _read(query))[::-1]

    async def message(self, conversation_id: ConversationId, seq: int) -> Message | None:
        """One message."""
        found = await self.messages(conversation_id, after=seq - 1, count_max=1)
        return found[0] if found and found[0].seq == seq else None

    async def put_picture(self, conversation_id: ConversationId, picture: Picture, content: bytes) -> None:
        """Keep a picture's bytes under its name. Durable once returned; a repeat changes nothing."""
        pictures = self._ref(conversation_id).collection("pictures")
        for number in range(_chunks(picture)):
            piece = content[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES]
            try:
                await pictures.document(f"{picture.name}-{number}").set({"data": piece}, retry=None, timeout=TIMEOUT_S)
            except google_errors.GoogleAPICallError as error:
                raise ConversationsUnavailable from error

    async def picture(self, conversation_id: ConversationId, picture: Picture) -> bytes:
        """The bytes; fewer than there were when a piece is gone."""
        pictures = self._ref(conversation_id).collection("pictures")
        refs = [pictures.document(f"{picture.name}-{number}") for number in range(_chunks(picture))]
        pieces: dict[str, bytes] = {}
        try:
            async for found in self._client.get_all(refs, retry=None, timeout=TIMEOUT_S):
                if found.exists:
                    pieces[found.id] = found.get("data")
        except google_errors.GoogleAPICallError as error:
            raise ConversationsUnavailable from error
        return b"".join(pieces.get(ref.id, b"") for ref in refs)

    async def count_of(self, account_id: AccountId, *, count_max: int) -> int:
        """How many the account keeps, at most so many; a read for each thousand."""
        mine: Any = self._conversations.where(filter=FieldFilter("account_id", "==", account_id)).limit(count_max)
        try:
            rows = await mine.count().get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise ConversationsUnavailable from error
        return int(rows[0][0].value)

    async def seen_by(self, caller: Caller, *, after: ConversationId | None) -> list[Conversation]:
        """At most PAGE_MAX of the caller's in the order of their ids, beginning behind `after`.

        A card's are those of its account and no others, or the end of a page would name one of its owner's.
        """
        field, whose = ("account_id", caller.account_id) if caller.is_card else ("owner", caller.uid)
        query = self._conversations.where(filter=FieldFilter(field, "==", whose)).order_by("__name__")
        if after is not None:
            query = query.start_after({"__name__": self._ref(after)})
        try:
            return [
                _conversation(one.to_dict() or {})
                async for one in query.limit(PAGE_MAX).stream(retry=None, timeout=TIMEOUT_S)
            ]
        except google_errors.GoogleAPICallError as error:
            raise ConversationsUnavailable from error

    async def erase(self, conversation_id: ConversationId) -> None:
        """Delete it with all below it; itself last, so that a repeat finds what is left."""
        ref = self._ref(conversation_id)
        try:
            for name in BELOW:
                while refs := [one.reference async for one in _names(ref.collection(name))]:
                    await self._delete(refs)
            await self._delete([ref])
        except google_errors.GoogleAPICallError as error:
            raise ConversationsUnavailable from error

    async def _delete(self, refs: Sequence[Any]) -> None:
        batch = self._client.batch()
        for ref in refs:
            batch.delete(ref)
        await batch.commit(retry=None, timeout=TIMEOUT_S)

    def _behind(self, conversation_id: ConversationId, after: int) -> Any:
        return self._ref(conversation_id).collection("messages").where(filter=FieldFilter("seq", ">", after))

    def _ref(self, conversation_id: ConversationId) -> firestore.AsyncDocumentReference:
        return self._conversations.document(conversation_id)


async def _read(query: Any) -> list[Message]:
    try:
        return [msgspec.convert(one.to_dict(), Message) async for one in query.stream(retry=None, timeout=TIMEOUT_S)]
    except google_errors.GoogleAPICallError as error:
        raise ConversationsUnavailable from error


def _names(collection: Any) -> Any:
    return collection.select([]).limit(WRITES_MAX).stream(retry=None, timeout=TIMEOUT_S)


def text_bytes_of(message: Message) -> int:
    """What a message's words and files take."""
    return sum(bytes_of(text) for text in (message.text, *(file.text for file in message.files)))


def _chunks(picture: Picture) -> int:
    return max(1, -(-picture.bytes // CHUNK_BYTES))


def _document(conversation: Conversation) -> dict[str, Any]:
    fields: dict[str, Any] = to_builtins(conversation)
    return fields


def _conversation(fields: dict[str, Any]) -> Conversation:
    return msgspec.convert(fields, Conversation)


def _turn_document(turn: Turn) -> dict[str, Any]:
    return {"work": msgspec.json.encode(turn).decode()}
