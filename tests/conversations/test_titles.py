"""Titles that are asked for: short, of a cheap model, kept and paid once like every turn."""

import pytest

from shared.base.ids import AccountId
from shared.conversations.errors import ConversationBusy, NothingToAnswer
from shared.conversations.models import Caller, Role
from shared.conversations.replies import Said
from shared.conversations.titles import PROMPT_BYTES_MAX, TITLE_TOKENS_MAX, Titled
from shared.providers.errors import UpstreamUnavailable
from tests.conversations.conftest import CALLER, TALK, Salon, texts_of, words


async def make(salon: Salon, key: str = "k") -> Titled:
    return await salon.titles.make(salon.asking(), CALLER, TALK, key=key)


async def test_a_title_is_made_and_paid_once_per_key(salon: Salon) -> None:
    await salon.begin()
    await salon.pretend(2, lambda seq: "word " * 10_000)
    salon.shop.first.replies.append(words('"Words, and more words"\n'))

    first, again = await make(salon), await make(salon)

    assert first.conversation.title == again.conversation.title == "Words, and more words"
    assert first.message == again.message
    assert (first.message.role, first.message.charged_micros) == (Role.TITLE, 30)
    [payload] = salon.asked()
    assert payload["max_tokens"] == TITLE_TOKENS_MAX
    assert len(texts_of(payload)) < PROMPT_BYTES_MAX + 500
    assert len(salon.shop.captures()) == 1


async def test_a_title_is_told_to_no_model(salon: Salon) -> None:
    await salon.begin()
    salon.shop.first.replies += [words("Hello."), words("A meeting"), words("Fine.")]
    await salon.say("Hi")
    await make(salon)

    await salon.say("How are you?")

    assert [one["content"] for one in salon.asked()[-1]["messages"]] == ["Hi", "Hello.", "How are you?"]
    assert (await salon.now()).title == "A meeting"


async def test_there_is_no_title_of_nothing_and_none_while_an_answer_is_written(salon: Salon) -> None:
    await salon.begin()
    with pytest.raises(NothingToAnswer):
        await make(salon)
    salon.shop.first.replies.append(words("Hello."))
    reply = await salon.replies.reply(salon.asking(), CALLER, TALK, Said("Hi"), key="k")

    with pytest.raises(ConversationBusy):
        await make(salon)

    await reply.finished(None)


async def test_a_title_that_failed_is_free_and_can_be_asked_for_again(salon: Salon) -> None:
    await salon.begin()
    await salon.pretend(2)
    with pytest.raises(UpstreamUnavailable):
        await make(salon)
    assert (await salon.now()).running is None
    salon.shop.first.replies.append(words("One and two"))

    titled = await make(salon)

    assert titled.conversation.title == "One and two"
    assert len(salon.shop.captures()) == 1


async def test_a_card_has_titles_made_by_models_of_its_list(salon: Salon) -> None:
    await salon.begin()
    await salon.pretend(2)
    salon.shop.first.replies.append(words("One and two"))
    asking = salon.asking()
    limited = type(asking)(
        account_id=asking.account_id, request_id=asking.request_id, models_allowed=frozenset({"maker/small"})
    )
    own = Caller(CALLER.uid, AccountId("user:ada"), True)

    titled = await salon.titles.make(limited, own, TALK, key="k")

    assert titled.message.model == "maker/small"


async def test_a_title_is_quoted_before_it_is_made(salon: Salon) -> None:
    """By the model that will make it, and not by the conversation's own."""
    await salon.begin()
    with pytest.raises(NothingToAnswer):
        await salon.titles.quote(salon.asking(), CALLER, TALK)
    await salon.pretend(2, lambda seq: "word " * 10_000)
    salon.shop.first.replies.append(words("Words"))

    quote = await salon.titles.quote(salon.asking(), CALLER, TALK)
    titled = await make(salon)

    [held] = [int(dict(entry.facts)["held_micros"]) for entry in salon.shop.captures()]
    assert (quote.model, quote.at_most_micros) == (titled.message.model, held)
    assert 0 < titled.message.charged_micros <= held
