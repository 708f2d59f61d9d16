"""Turns: a message of the user answered, or answered anew, and what that would cost."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.ids import new_request_id
from shared.calls.models import Asking
from shared.catalog.errors import ModelUnfit
from shared.catalog.models import Modality
from shared.chat.service import Chats
from shared.conversations import attachments, history, prompts, rules
from shared.conversations.attachments import Attachment
from shared.conversations.errors import ConversationAbsent, ConversationBusy, NothingToAnswer, ReplyFailed, TurnPassed
from shared.conversations.history import Plan, Room
from shared.conversations.memory_store import Memories
from shared.conversations.models import (
    Caller,
    Conversation,
    ConversationId,
    Message,
    MessageState,
    Picture,
    Role,
    Turn,
    TurnId,
    TurnState,
)
from shared.conversations.prompts import Prompts
from shared.conversations.quote import TurnQuote, quoted
from shared.conversations.service import Conversations
from shared.conversations.store import ConversationChanged, FirestoreConversations, Kept
from shared.conversations.told import KeptReply
from shared.conversations.turn import ReplyStream, Step, Watch, give_up, take
from shared.ledger.errors import KeyReused
from shared.metering.service import Meter

if TYPE_CHECKING:
    from shared.base.fetcher import Fetcher


class Said(Struct, frozen=True):
    """What a user says in one turn."""

    text: str
    attachments: list[Attachment] = []


class Replies:
    """Answers in conversations, each through the same metered stream as every chat."""

    def __init__(
        self,
        conversations: Conversations,
        store: FirestoreConversations,
        memories: Memories,
        prompts: Prompts,
        chats: Chats,
        meter: Meter,
        fetcher: "Fetcher",
        clock: Clock,
    ) -> None:
        self._conversations = conversations
        self._store = store
        self._memories = memories
        self._prompts = prompts
        self._chats = chats
        self._meter = meter
        self._fetcher = fetcher
        self._clock = clock

    async def reply(
        self, asking: Asking, caller: Caller, conversation_id: ConversationId, said: Said, *, key: str
    ) -> ReplyStream | KeptReply:
        """The answer to a new message. A repeat tells the answer that is kept, or tries again what failed.

        Raise ConversationAbsent, ConversationBusy, KeyReused, TurnPassed, AttachmentInvalid, or what a chat
        is refused for; of those that come after the message was kept, it stays there unanswered.
        """
        kept = await self._conversations.owned(caller, conversation_id)
        conversation = kept.conversation
        turn_id, request_hash = rules.turn_id_of("reply\n" + key), rules.hash_of("reply", said)
        if known := await self._known(conversation, turn_id, request_hash):
            if isinstance(known, KeptReply):
                return known
            if standing := await self._standing(conversation):
                # It failed under this key, and was answered under another since.
                return KeptReply(conversation_id, standing[-1])
            return await self._answer(asking, kept, known, None)
        rules.check_idle(conversation, self._clock())
        message = await self._message(conversation, said)
        # What no model could answer, and what nobody could pay, is refused before anything is fetched or kept.
        quote = await self._chats.quote(asking, await self._prompts.quoted(conversation, [message], []))
        await self._meter.check_affordable(asking.account_id, quote)
        pictures = await attachments.pictures_of(said.attachments, turn_id, self._fetcher)
        message = replace(message, pictures=tuple(picture for picture, _ in pictures))
        for picture, content in pictures:
            await self._store.put_picture(conversation_id, picture, content)
        turn = Turn(turn_id=turn_id, request_hash=request_hash, about_seq=message.seq)
        return await self._answer(asking, kept, turn, message)

    async def regenerate(
        self, asking: Asking, caller: Caller, conversation_id: ConversationId, *, key: str
    ) -> ReplyStream | KeptReply:
        """Another answer to the newest message, or the first, if it has none; the former ones stay as replaced.

        An answer that a process died over is told instead, if that is why there seemed to be none: it is charged
        already. Raises like `reply`, and NothingToAnswer.
        """
        before = await self._store.find(conversation_id)
        kept = await self._conversations.owned(caller, conversation_id)
        conversation = kept.conversation
        turn_id, request_hash = rules.turn_id_of("regenerate\n" + key), rules.hash_of("regenerate")
        known = await self._known(conversation, turn_id, request_hash)
        if isinstance(known, KeptReply):
            return known
        if conversation.asked_seq == 0:
            raise NothingToAnswer
        standing = await self._standing(conversation)
        if before and before.conversation.pending and not conversation.pending and standing:
            return KeptReply(conversation_id, standing[-1])
        turn = Turn(
            turn_id=turn_id,
            request_hash=request_hash,
            about_seq=conversation.asked_seq,
            replaces=tuple(one.seq for one in standing),
        )
        return await self._answer(asking, kept, turn, None)

    async def quote(self, asking: Asking, caller: Caller, conversation_id: ConversationId, said: Said) -> TurnQuote:
        """What a reply would be held for at most and will probably cost. Keeps, holds, charges and fetches nothing."""
        conversation = (await self._conversations.owned(caller, conversation_id)).conversation
        return await self._quoted(asking, conversation, await self._message(conversation, said))

    async def quote_again(self, asking: Asking, caller: Caller, conversation_id: ConversationId) -> TurnQuote:
        """The same of another answer to the newest message. Raise NothingToAnswer."""
        conversation = (await self._conversations.owned(caller, conversation_id)).conversation
        asked = await self._store.message(conversation_id, conversation.asked_seq)
        if asked is None:
            raise NothingToAnswer
        return await self._quoted(asking, conversation, asked)

    async def _quoted(self, asking: Asking, conversation: Conversation, asked: Message) -> TurnQuote:
        memories = await self._prompts.remembered(conversation)
        plan, room = await self._prompts.plan(conversation, asked, memories)
        requests = []
        for batch in plan.batches:
            requests.append(("summary", self._prompts.summary(conversation, batch, room)))
            conversation = prompts.summarised(conversation, batch)
        requests.append(("reply", await self._prompts.quoted(conversation, plan.sent, memories)))
        quotes = [(kind, request, await self._chats.quote(asking, request)) for kind, request in requests]
        return quoted(conversation, quotes, model=conversation.model)

    async def _known(self, conversation: Conversation, turn_id: TurnId, request_hash: str) -> Turn | KeptReply | None:
        turn = await self._store.turn(conversation.conversation_id, turn_id)
        if turn is None:
            return None
        if turn.request_hash != request_hash:
            raise KeyReused
        if turn.state is TurnState.DONE and turn.answer is not None:
            answer = await self._store.message(conversation.conversation_id, turn.answer.seq)
            return KeptReply(conversation.conversation_id, answer or turn.answer)
        if turn.state is TurnState.WRITTEN or rules.is_answering(conversation, self._clock()):
            raise ConversationBusy
        if turn.about_seq != conversation.asked_seq:
            raise TurnPassed
        return replace(turn, state=TurnState.BEGUN)

    async def _standing(self, conversation: Conversation) -> list[Message]:
        """The answers to the newest message that were not replaced: one at most, as far as anybody knows."""
        asked_seq = conversation.asked_seq
        later = await self._store.said(
            conversation.conversation_id, after=asked_seq, before=conversation.next_seq, count_max=history.READ_MAX
        )
        return [one for one in later if one.answers == asked_seq and one.role is Role.ASSISTANT]

    async def _message(self, conversation: Conversation, said: Said) -> Message:
        """The message with its images as far as they can be told before they are fetched."""
        text = rules.check_text(said.text, "text")
        files = attachments.files_of(said.attachments)
        pictures: Sequence[Picture] = attachments.pictures_told(said.attachments, TurnId("told"))
        if pictures:
            model = await self._prompts.model(conversation)
            if model.modality is not Modality.VISION:
                raise ModelUnfit(model.id, "images")
        return Message(
            seq=conversation.next_seq,
            role=Role.USER,
            text=text,
            state=MessageState.UNANSWERED,
            created_at_ms=self._clock(),
            pictures=tuple(pictures),
            files=files,
        )

    async def _answer(self, asking: Asking, kept: Kept, turn: Turn, message: Message | None) -> ReplyStream:
        change = rules.begun(kept.conversation, turn, message, self._clock())
        try:
            await self._store.save(kept, change)
        except ConversationChanged:
            raise ConversationBusy from None
        # From here on the message is kept and the lease is ours. If we die, both the lease and a hold expire.
        conversation = change.conversation
        watch = Watch(self._store, conversation.conversation_id, conversation.fence, self._clock)
        step = Step(self._store, conversation, turn, fence=conversation.fence, clock=self._clock)
        try:
            if change.memory is not None:
                await self._memories.trim(conversation.owner)
            asked = message or await self._store.message(conversation.conversation_id, turn.about_seq)
            if asked is None:
                raise NothingToAnswer
            memories = await self._prompts.remembered(conversation)
            plan, room = await self._prompts.plan(conversation, asked, memories)
            if plan.batches:
                conversation = await self._summarised(asking, conversation, turn, plan, room, watch)
                # Summaries take a while, in which what was remembered may have been erased.
                memories = await self._prompts.remembered(conversation)
            request = await self._prompts.answer(conversation, plan.sent, memories)
            stream = await self._chats.stream(replace(asking, before_charge=step.keep), request, step.teller)
        except BaseException:
            await give_up(step, watch)
            raise
        return ReplyStream(conversation.conversation_id, stream, step, watch)

    async def _summarised(
        self, asking: Asking, conversation: Conversation, turn: Turn, plan: Plan, room: Room, watch: Watch
    ) -> Conversation:
        """The conversation with what no longer fits told in short; each summary is a call with its own receipt."""
        for number, batch in enumerate(plan.batches):
            fence = conversation.fence
            summary_id = TurnId(f"{turn.turn_id}-{fence}-{number}")
            about = Turn(turn_id=summary_id, role=Role.SUMMARY, about_seq=batch[-1].seq)
            step = Step(self._store, conversation, about, fence=fence, clock=self._clock)
            request = self._prompts.summary(conversation, batch, room)
            own = replace(asking, request_id=new_request_id())
            if not await take(self._chats, own, request, step):
                raise ReplyFailed("What was said before could not be summarised; nothing was answered.")
            await step.settle()
            kept = await self._store.find(conversation.conversation_id)
            if kept is None:
                raise ConversationAbsent
            # Its terms stay those that the turn has begun with.
            conversation = replace(conversation, summary=kept.conversation.summary)
            if watch.is_over:
                raise ReplyFailed("It was stopped before the answer began.")
        return conversation
