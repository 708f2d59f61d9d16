"""One turn while it is made: its lease kept alive, its steps kept before they are charged, its end shown."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.errors import CredenceError
from shared.base.ids import entry_id_of
from shared.base.log import write_line
from shared.calls.models import Asking
from shared.chat.again import StreamAgain
from shared.chat.models import ChatRequest
from shared.chat.service import Chats
from shared.chat.stream import ChatStream
from shared.conversations import history, rules, told
from shared.conversations.errors import ReplyFailed
from shared.conversations.models import (
    Change,
    Conversation,
    ConversationId,
    Message,
    Role,
    Turn,
)
from shared.conversations.store import FirestoreConversations
from shared.conversations.told import ReplyTeller
from shared.ledger.holds import capture_key
from shared.metering.models import OwedCharge

LOOK_INTERVAL_S = 1.0
"""How soon a stop is noticed; each look is one read."""
RENEW_LOOKS = 8
"""Looks between two renewals of a lease, which lives three times as long."""


class Watch:
    """Keeps a turn's lease alive while its process lives, and notices that somebody wants no more of it."""

    def __init__(
        self, store: FirestoreConversations, conversation_id: ConversationId, fence: int, clock: Clock
    ) -> None:
        self._store = store
        self._conversation_id = conversation_id
        self._clock = clock
        self.fence = fence
        self.is_over = False
        """True once the turn was stopped, or taken over by another process."""
        self._watching = asyncio.ensure_future(self._watch())

    async def close(self) -> None:
        """Look no more."""
        self._watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._watching

    async def _watch(self) -> None:
        looks = 0
        while not self.is_over:
            await asyncio.sleep(LOOK_INTERVAL_S)
            looks += 1
            # A store that does not answer is asked again; the lease outlives some looks.
            with contextlib.suppress(CredenceError):
                await self._look(renews=looks % RENEW_LOOKS == 0)

    async def _look(self, *, renews: bool) -> None:
        kept = await self._store.find(self._conversation_id)
        running = kept.conversation.running if kept else None
        self.is_over = running is None or running.fence != self.fence or running.stop
        if renews and not self.is_over:
            await self._store.change(
                self._conversation_id, lambda conversation: rules.renewed(conversation, self.fence, self._clock())
            )


class Step:
    """One metered call of a turn. What it says is durable before it is charged, and shown once it is."""

    def __init__(
        self,
        store: FirestoreConversations,
        conversation: Conversation,
        turn: Turn,
        *,
        fence: int,
        clock: Clock,
        model: str | None = None,
    ) -> None:
        """`model` says it, where that is not the conversation's own."""
        self._store = store
        self._conversation_id = conversation.conversation_id
        self._model = model or conversation.model
        self._former_summary = conversation.summary.text if conversation.summary else ""
        self._fence = fence
        self._clock = clock
        self.turn = turn
        self.teller = ReplyTeller()
        self.unfinished = told.CUT
        """Why it ended, when no provider says so."""
        self._is_written = False

    @property
    def has_begun(self) -> bool:
        """Whether anything came of it."""
        return self._is_written or bool(self.teller.text)

    async def keep(self, owed: OwedCharge | None) -> None:
        """Make the answer durable. Called before its charge is made; raise when the turn is no longer this process's.

        If we die before this, the hold expires. If we die after it, whoever comes next makes the charge and shows it.
        """
        answer = self._answer(owed)

        def decide(conversation: Conversation) -> Change:
            rules.check_fence(conversation, self._fence)
            return rules.written(conversation, self.turn, answer, owed, self._clock())

        change = await self._store.change(self._conversation_id, decide)
        if change is not None and change.turn is not None:
            self.turn = change.turn
        self._is_written = True

    async def settle(self) -> Message:
        """Show the answer, whose charge stands."""
        if not self._is_written:
            await self.keep(None)
        await self._store.change(
            self._conversation_id, lambda conversation: rules.settled(conversation, self.turn, self._clock())
        )
        if self.turn.answer is None:
            raise TypeError("a written turn has its answer")
        return self.turn.answer

    async def fail(self) -> None:
        """Give the turn up; what is written stays, to be settled by whoever comes next."""
        await self._store.change(
            self._conversation_id, lambda conversation: rules.failed(conversation, self.turn, self._fence)
        )

    def _answer(self, owed: OwedCharge | None) -> Message:
        text = rules.clean(self.teller.text)
        if self.turn.role is Role.SUMMARY:
            text = history.clipped_summary(text) or self._former_summary
        prompt_tokens, completion_tokens = rules.counts_of(owed) if owed else (0, 0)
        return Message(
            seq=0,
            role=self.turn.role,
            text=text,
            created_at_ms=self._clock(),
            finish_reason=self.teller.finish_reason or self.unfinished,
            model=self._model,
            receipt_id=entry_id_of(capture_key(owed.hold_id)) if owed else None,
            charged_micros=owed.amount_micros if owed else 0,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            answers=self.turn.about_seq,
        )


class ReplyStream:
    """An answer under way. Whoever iterates `events` must call `close` in the end, whatever happened."""

    def __init__(
        self, conversation_id: ConversationId, stream: ChatStream | StreamAgain, step: Step, watch: Watch
    ) -> None:
        self._conversation_id = conversation_id
        self._stream = stream
        self._step = step
        self._watch = watch
        self._has_left = False
        self._is_settled = False
        self._message: Message | None = None
        self.headers = {**stream.headers, "x-credence-conversation": conversation_id}

    async def events(self) -> AsyncIterator[bytes]:
        """The provider's chunks; then, once the answer is kept and charged, what it cost."""
        teller = self._step.teller
        async for piece in self._stream.events():
            if teller.is_over:
                break
            if piece:
                yield piece
            if self._watch.is_over or self._has_left:
                break
        await self._settle()
        if self._message is None or teller.failure:
            yield teller.tell_failure()
        else:
            yield told.ending(self._conversation_id, self._message, teller.usage)

    async def finished(self, left: Callable[[], Awaitable[None]] | None) -> Message:
        """The whole answer. Raise ReplyFailed when nothing came of it; who has left is not written for any more."""
        leaving = asyncio.ensure_future(self._note_leaving(left))
        try:
            async for _ in self.events():
                pass
        finally:
            leaving.cancel()
            await self.close()
        if self._message is None:
            message, _ = self._step.teller.failure or ("The answer did not come to its end.", "")
            raise ReplyFailed(message)
        return self._message

    async def close(self) -> None:
        """Settle what was not: whoever left owes what was delivered, and finds it kept."""
        await self._settle()

    async def _settle(self) -> None:
        if self._is_settled:
            return
        self._is_settled = True
        teller, step = self._step.teller, self._step
        if not teller.is_over:
            step.unfinished = told.STOPPED
        try:
            # For an answer at its end this only lets the provider go.
            await self._stream.close()
            uncharged = teller.failure is not None and not teller.usage
            if step.has_begun and not uncharged:
                self._message = await step.settle()
            else:
                await step.fail()
        finally:
            await self._watch.close()

    async def _note_leaving(self, left: Callable[[], Awaitable[None]] | None) -> None:
        if left is not None:
            await left()
            self._has_left = True


async def take(chats: Chats, asking: Asking, request: ChatRequest, step: Step) -> bool:
    """Have a step said to its end with nobody listening; whether something came of it, which is written by then.

    Raises what a chat is refused for.
    """
    stream = await chats.stream(replace(asking, before_charge=step.keep), request, step.teller)
    try:
        async for _ in stream.events():
            pass
    finally:
        await stream.close()
    return step.has_begun and not step.teller.failure


async def give_up(step: Step, watch: Watch) -> None:
    """End a turn that failed before its answer began. If that fails too, its lease ends by itself."""
    try:
        await watch.close()
        await step.fail()
    except CredenceError as error:
        write_line("ERROR", "turn_not_ended", code=error.code)
