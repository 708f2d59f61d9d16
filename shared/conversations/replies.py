"""Turns: a message of the user answered, or answered anew, and what that would cost."""

from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from shared.base.body import shape
from shared.base.clock import Clock
from shared.base.ids import new_request_id
from shared.calls.models import Asking
from shared.catalog.errors import ModelUnfit
from shared.catalog.models import Modality, Model
from shared.catalog.service import Catalog
from shared.chat.models import ChatRequest
from shared.chat.service import Chats
from shared.conversations import attachments, history, rules
from shared.conversations.attachments import Attachment
from shared.conversations.errors import ConversationBusy, NothingToAnswer, ReplyFailed, TurnPassed
from shared.conversations.history import Plan
from shared.conversations.memory_store import Memories
from shared.conversations.models import (
    Caller,
    Conversation,
    ConversationId,
    Message,
    MessageState,
    Picture,
    Role,
    Summary,
    Turn,
    TurnId,
    TurnState,
)
from shared.conversations.quote import TurnQuote, quoted
from shared.conversations.service import Conversations
from shared.conversations.store import ConversationChanged, FirestoreConversations, Kept
from shared.conversations.told import KeptReply
from shared.conversations.turn import ReplyStream, Step, Watch, give_up
from shared.ledger.errors import KeyReused

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
        chats: Chats,
        catalog: Catalog,
        fetcher: "Fetcher",
        clock: Clock,
    ) -> None:
        self._conversations = conversations
        self._store = store
        self._memories = memories
        self._chats = chats
        self._catalog = catalog
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
        turn_id, request_hash = rules.turn_id_of("reply\n" + key), rules.hash_of("reply", said)
        if known := await self._known(kept.conversation, turn_id, request_hash):
            if isinstance(known, KeptReply):
                return known
            return await self._answer(asking, caller, kept, known, None)
        message, contents = await self._message(kept.conversation, turn_id, said)
        # What no model could answer is refused before it is kept.
        await self._chats.quote(asking, self._request(kept.conversation, [message], [], contents))
        for picture in message.pictures:
            await self._store.put_picture(conversation_id, picture, contents[picture.name])
        turn = Turn(turn_id=turn_id, request_hash=request_hash, about_seq=message.seq)
        return await self._answer(asking, caller, kept, turn, message)

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
        later = await self._store.messages(
            conversation_id, after=conversation.asked_seq, count_max=history.READ_MAX, newest=True
        )
        standing = [one for one in later if one.answers == conversation.asked_seq and one.state is MessageState.SAID]
        standing = [one for one in standing if one.role is Role.ASSISTANT]
        if before and before.conversation.pending and not conversation.pending and standing:
            return KeptReply(conversation_id, standing[-1])
        turn = Turn(
            turn_id=turn_id,
            request_hash=request_hash,
            about_seq=conversation.asked_seq,
            replaces=tuple(one.seq for one in standing),
        )
        return await self._answer(asking, caller, kept, turn, None)

    async def quote(self, asking: Asking, caller: Caller, conversation_id: ConversationId, said: Said) -> TurnQuote:
        """What a reply would be held for at most and will probably cost. Keeps, holds and charges nothing."""
        conversation = (await self._conversations.owned(caller, conversation_id)).conversation
        message, contents = await self._message(conversation, TurnId("quote"), said)
        plan, memories = await self._plan(conversation, [message])
        requests = [("summary", request) for request in self._summaries(conversation, plan, memories)]
        contents |= await self._contents(conversation, plan)
        if plan.batches:
            # The summary is not written yet: the longest there can be stands for it.
            longest = "x" * (history.SUMMARY_TOKENS_MAX * history.BYTES_PER_TOKEN)
            conversation = replace(conversation, summary=Summary(longest, plan.batches[-1][-1].seq))
        requests.append(("reply", self._request(conversation, plan.sent, memories, contents)))
        quotes = [(kind, request, await self._chats.quote(asking, request)) for kind, request in requests]
        return quoted(conversation, quotes)

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

    async def _message(
        self, conversation: Conversation, turn_id: TurnId, said: Said
    ) -> tuple[Message, dict[str, bytes]]:
        text = rules.check_text(said.text, "text")
        files = attachments.files_of(said.attachments)
        if any(one.type == "image" for one in said.attachments):
            model = await self._model(conversation)
            if model.modality is not Modality.VISION:
                raise ModelUnfit(model.id, "images")
        pictures = await attachments.pictures_of(said.attachments, turn_id, self._fetcher)
        message = Message(
            seq=conversation.next_seq,
            role=Role.USER,
            text=text,
            state=MessageState.UNANSWERED,
            created_at_ms=self._clock(),
            pictures=tuple(picture for picture, _ in pictures),
            files=files,
        )
        return message, {picture.name: content for picture, content in pictures}

    async def _answer(
        self, asking: Asking, caller: Caller, kept: Kept, turn: Turn, message: Message | None
    ) -> ReplyStream:
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
            asked = message or await self._store.message(conversation.conversation_id, turn.about_seq)
            if asked is None:
                raise NothingToAnswer
            await self._remember(caller, conversation, turn.turn_id, asked)
            plan, memories = await self._plan(conversation, [asked])
            conversation = await self._summarised(asking, conversation, turn, plan, memories)
            request = self._request(conversation, plan.sent, memories, await self._contents(conversation, plan))
            stream = await self._chats.stream(replace(asking, before_charge=step.keep), request, step.teller)
        except BaseException:
            await give_up(step, watch)
            raise
        return ReplyStream(conversation.conversation_id, stream, step, watch)

    async def _remember(self, caller: Caller, conversation: Conversation, turn_id: TurnId, asked: Message) -> None:
        memory = rules.asked_to_remember(asked.text)
        if memory and conversation.remembers and not caller.is_card:
            await self._memories.remember(conversation.owner, turn_id, memory, conversation.conversation_id)

    async def _plan(self, conversation: Conversation, asked: list[Message]) -> tuple[Plan, list[str]]:
        """What is sent: the message asked is last, and outside of the budget; answers to it are not sent."""
        memories = await self._memories.of(conversation.owner) if conversation.remembers else []
        texts = [memory.text for memory in memories]
        model = await self._model(conversation)
        found = await self._store.messages(
            conversation.conversation_id,
            after=conversation.summary.until_seq if conversation.summary else 0,
            count_max=history.READ_MAX,
            newest=True,
        )
        plan = history.plan_of(
            [one for one in found if one.seq < asked[0].seq],
            tokens_max=history.tokens_left(conversation, texts, model.context_tokens),
            image_tokens=model.image_tokens_max,
        )
        return Plan((*plan.sent, *asked), plan.batches), texts

    async def _summarised(
        self, asking: Asking, conversation: Conversation, turn: Turn, plan: Plan, memories: list[str]
    ) -> Conversation:
        """The conversation with what no longer fits told in short; each summary is a call with its own receipt."""
        for number, batch in enumerate(plan.batches):
            [request] = self._summaries(conversation, Plan((), (batch,)), memories)
            fence = conversation.fence
            summary_id = TurnId(f"{turn.turn_id}-{fence}-{number}")
            about = Turn(turn_id=summary_id, role=Role.SUMMARY, about_seq=batch[-1].seq)
            step = Step(self._store, conversation, about, fence=fence, clock=self._clock)
            own = replace(asking, request_id=new_request_id(), before_charge=step.keep)
            stream = await self._chats.stream(own, request, step.teller)
            try:
                async for _ in stream.events():
                    pass
            finally:
                await stream.close()
            if step.teller.failure or not step.has_begun:
                raise ReplyFailed("What was said before could not be summarised; nothing was answered.")
            await step.settle()
            kept = await self._store.find(conversation.conversation_id)
            if kept is None:
                raise ConversationBusy
            conversation = kept.conversation
        return conversation

    def _summaries(self, conversation: Conversation, plan: Plan, memories: list[str]) -> list[ChatRequest]:
        """The requests for summaries; all but the first are asked with the former's, which quotes stand in for."""
        budget = conversation.history_tokens_max
        former = history.clipped_summary(conversation.summary.text) if conversation.summary else ""
        return [
            _chat(
                conversation.model,
                history.summary_messages(former, batch, tokens_max=budget),
                tokens_max=history.SUMMARY_TOKENS_MAX,
            )
            for batch in plan.batches
        ]

    def _request(
        self, conversation: Conversation, sent: Any, memories: list[str], contents: dict[str, bytes]
    ) -> ChatRequest:
        named: dict[str, Picture] = {picture.name: picture for one in sent for picture in one.pictures}
        urls = {name: attachments.data_url(named[name], content) for name, content in contents.items() if name in named}
        if conversation.summary is not None:
            clipped = history.clipped_summary(conversation.summary.text)
            conversation = replace(conversation, summary=replace(conversation.summary, text=clipped))
        messages = history.messages_for(conversation, sent, memories, urls)
        return _chat(conversation.model, messages, tokens_max=conversation.answer_tokens_max, stream=True)

    async def _contents(self, conversation: Conversation, plan: Plan) -> dict[str, bytes]:
        """The pictures of what is sent, if the model sees."""
        if (await self._model(conversation)).modality is not Modality.VISION:
            return {}
        found: dict[str, bytes] = {}
        for message in plan.sent:
            for picture in message.pictures:
                if content := await self._store.picture(conversation.conversation_id, picture):
                    found[picture.name] = content
        return found

    async def _model(self, conversation: Conversation) -> Model:
        await self._catalog.refresh()
        return self._catalog.chat_model(conversation.model)[0]


def _chat(model: str, messages: list[dict[str, Any]], *, tokens_max: int, stream: bool = True) -> ChatRequest:
    fields = {"model": model, "messages": messages, "max_completion_tokens": tokens_max, "stream": stream}
    return shape(ChatRequest, fields)
