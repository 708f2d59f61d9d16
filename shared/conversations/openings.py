"""How a conversation is begun, and what of it can be changed: which model, which title."""

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from shared.base.clock import Clock
from shared.catalog.allowed import check_allowed
from shared.catalog.choice import cheapest
from shared.catalog.models import CHAT_MODALITIES, Modality, Model
from shared.catalog.service import Catalog
from shared.conversations import rules
from shared.conversations.errors import TooManyConversations
from shared.conversations.models import Caller, Change, Conversation, ConversationId
from shared.conversations.service import Conversations
from shared.conversations.store import FirestoreConversations
from shared.ledger.errors import KeyReused

CONVERSATIONS_MAX = 10_000
"""Of one account, a card having its own: one costs nothing to begin and is kept until it is deleted, with up to forty
kilobytes of its owner's. What is said in it is paid for."""


class Terms(Struct, frozen=True, kw_only=True):
    """What a conversation is begun with."""

    model: str | None
    preference: str | None
    """`cheapest` or `vision`, where no model is named: the cheapest of all, or of those that see."""
    title: str
    system: str
    remembers: bool
    history_tokens_max: int
    answer_tokens_max: int


class Openings:
    """Begins conversations and changes their terms. Apart from the rest, because only this needs the catalog."""

    def __init__(
        self, conversations: Conversations, store: FirestoreConversations, catalog: Catalog, clock: Clock
    ) -> None:
        self._conversations = conversations
        self._store = store
        self._catalog = catalog
        self._clock = clock

    async def start(
        self, caller: Caller, terms: Terms, *, key: str, models_allowed: frozenset[str] | None
    ) -> Conversation:
        """A new conversation; a repeat answers the one it began.

        Raise KeyReused, TooManyConversations, or what the catalog says of the model.
        """
        await self._catalog.refresh()
        model = self._model(terms, models_allowed)
        now_ms = self._clock()
        conversation = Conversation(
            conversation_id=rules.conversation_id_of(caller.account_id, key),
            owner=caller.uid,
            account_id=caller.account_id,
            request_hash=rules.hash_of(terms),
            title=rules.check_text(terms.title, "title"),
            system=rules.check_text(terms.system, "system"),
            model=model.id,
            remembers=terms.remembers,
            history_tokens_max=terms.history_tokens_max,
            answer_tokens_max=terms.answer_tokens_max,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
        if await self._has_room(conversation) and await self._store.create(conversation):
            return conversation
        stored = (await self._conversations.owned(caller, conversation.conversation_id)).conversation
        if stored.request_hash != conversation.request_hash:
            raise KeyReused
        return stored

    async def update(
        self,
        caller: Caller,
        conversation_id: ConversationId,
        *,
        title: str | UnsetType = UNSET,
        model: str | UnsetType = UNSET,
        models_allowed: frozenset[str] | None,
    ) -> Conversation:
        """Another title or model, from the next turn on. Raise ConversationAbsent or ModelUnknown."""
        kept = await self._conversations.owned(caller, conversation_id)
        fields: dict[str, str] = {}
        if title is not UNSET:
            fields["title"] = rules.check_text(title, "title")
        if model is not UNSET:
            await self._catalog.refresh()
            check_allowed(self._catalog.chat_model(model)[0], models_allowed)
            fields["model"] = model
        change = await self._store.change(
            conversation_id,
            lambda conversation: Change(replace(conversation, **fields, updated_at_ms=self._clock())),
        )
        return change.conversation if change else kept.conversation

    async def _has_room(self, conversation: Conversation) -> bool:
        """False when there is none and none is needed, for the conversation is there. Raise TooManyConversations.

        Those who begin at the same moment may pass by as many as they are: it is a bound on what is kept, not a price.
        """
        kept = await self._store.count_of(conversation.account_id, count_max=CONVERSATIONS_MAX)
        if kept < CONVERSATIONS_MAX:
            return True
        if await self._store.find(conversation.conversation_id) is None:
            raise TooManyConversations(CONVERSATIONS_MAX)
        return False

    def _model(self, terms: Terms, models_allowed: frozenset[str] | None) -> Model:
        if terms.model is not None:
            model, _ = self._catalog.chat_model(terms.model)
            check_allowed(model, models_allowed)
            return model
        modalities = {Modality.VISION} if terms.preference == "vision" else CHAT_MODALITIES
        found = cheapest(self._catalog.available(), models_allowed, modalities)
        return self._catalog.chat_model(found.id if found else "")[0]
