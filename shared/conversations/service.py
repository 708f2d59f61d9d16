"""Conversations without their answers: found, recovered, stopped, deleted."""

from msgspec.structs import replace

from shared.base.clock import Clock
from shared.conversations import rules
from shared.conversations.errors import ConversationAbsent, ConversationBusy
from shared.conversations.models import Caller, Change, Conversation, ConversationId, Message, Turn
from shared.conversations.store import PAGE_MAX, FirestoreConversations, Kept
from shared.metering.service import Meter


class Conversations:
    """Of everybody; each caller sees those that are theirs."""

    def __init__(self, store: FirestoreConversations, meter: Meter, clock: Clock) -> None:
        self._store = store
        self._meter = meter
        self._clock = clock

    async def owned(self, caller: Caller, conversation_id: ConversationId) -> Kept:
        """The caller's conversation, with what a process died over settled. Raise ConversationAbsent."""
        kept = await self._find(caller, conversation_id)
        if kept.conversation.is_deleting:
            raise ConversationAbsent
        if await self.recover(kept.conversation) is None:
            return kept
        return await self._find(caller, conversation_id)

    async def recover(self, conversation: Conversation) -> Turn | None:
        """Charge and show what is written, if no process is at it any more; the step that was settled.

        However many do this at once, it is charged once and shown once.
        """
        if conversation.pending is None or rules.is_answering(conversation, self._clock()):
            return None
        turn = await self._store.turn(conversation.conversation_id, conversation.pending)
        if turn is None:
            return None
        if turn.owed is not None:
            await self._meter.settle(turn.owed)
        # If we die before this, the next one finds the charge made, and only shows the answer.
        await self._store.change(
            conversation.conversation_id, lambda current: rules.settled(current, turn, self._clock())
        )
        return turn

    async def read(
        self, caller: Caller, conversation_id: ConversationId, *, after: int
    ) -> tuple[Conversation, list[Message]]:
        """A conversation with a page of its messages. Raise ConversationAbsent."""
        kept = await self.owned(caller, conversation_id)
        return kept.conversation, await self._store.page(conversation_id, after=after)

    async def list(self, caller: Caller, *, after: ConversationId | None) -> tuple[list[Conversation], str | None]:
        """A page of the caller's own, in the order of their ids, and where the next one begins."""
        page = await self._store.seen_by(caller, after=after)
        shown = [one for one in page if _is_seen_by(one, caller) and not one.is_deleting]
        return shown, page[-1].conversation_id if len(page) == PAGE_MAX else None

    async def stop(self, caller: Caller, conversation_id: ConversationId) -> bool:
        """Have the answer that is being written stopped soon; whether one was."""
        await self.owned(caller, conversation_id)
        change = await self._store.change(
            conversation_id, lambda conversation: rules.stopping(conversation, self._clock())
        )
        return change is not None

    async def delete(self, caller: Caller, conversation_id: ConversationId) -> None:
        """Erase it with all that was said in it; receipts stay in the ledger. A repeat erases what is left.

        Raise ConversationBusy while it answers.
        """
        kept = await self._find(caller, conversation_id)
        await self.recover(kept.conversation)

        def mark(conversation: Conversation) -> Change:
            if rules.is_answering(conversation, self._clock()):
                raise ConversationBusy
            # From here on no turn begins, and none that was taken for dead can write.
            return Change(replace(conversation, is_deleting=True, running=None, fence=conversation.fence + 1))

        await self._store.change(conversation_id, mark)
        await self._store.erase(conversation_id)

    async def _find(self, caller: Caller, conversation_id: ConversationId) -> Kept:
        kept = await self._store.find(conversation_id)
        if kept is None or not _is_seen_by(kept.conversation, caller):
            raise ConversationAbsent
        return kept


def _is_seen_by(conversation: Conversation, caller: Caller) -> bool:
    """The key of a card may be in a stranger's hands: it sees what was begun with it, and nothing else."""
    return conversation.owner == caller.uid and (not caller.is_card or conversation.account_id == caller.account_id)
