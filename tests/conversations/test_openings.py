"""How many conversations an account keeps."""

import pytest
from msgspec.structs import replace

from shared.base.ids import AccountId
from shared.conversations.errors import TooManyConversations
from shared.conversations.models import ConversationId
from shared.conversations.openings import CONVERSATIONS_MAX, Openings, Terms
from tests.chat.builders import TEXT_MODEL
from tests.conversations.conftest import CALLER, TALK, Salon

TERMS = Terms(
    model=TEXT_MODEL.id,
    preference=None,
    title="",
    system="",
    remembers=False,
    history_tokens_max=4_000,
    answer_tokens_max=500,
)


async def test_an_account_keeps_so_many_conversations_and_its_repeats_are_answered(salon: Salon) -> None:
    """A card has room of its own: whoever holds its key keeps its owner from none."""
    openings = Openings(salon.conversations, salon.store, salon.shop.catalog, salon.shop.clock)
    first = await openings.start(CALLER, TERMS, key="first", models_allowed=None)
    kept = salon.store.kept[first.conversation_id]
    for number in range(CONVERSATIONS_MAX - 1):
        salon.store.kept[ConversationId(f"{TALK}-{number}")] = kept

    with pytest.raises(TooManyConversations, match="10000"):
        await openings.start(CALLER, TERMS, key="more", models_allowed=None)

    assert await openings.start(CALLER, TERMS, key="first", models_allowed=None) == first
    card = replace(CALLER, account_id=AccountId("card:a"), is_card=True)
    assert (await openings.start(card, TERMS, key="more", models_allowed=None)).account_id == "card:a"
    del salon.store.kept[first.conversation_id]
    await openings.start(CALLER, TERMS, key="more", models_allowed=None)
