"""Clients that leave before a whole answer has come: who is stopped, who is read to the end, what is charged."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from shared.base.errors import ClientLeft
from shared.calls.models import Asking
from shared.providers.errors import UpstreamUnavailable
from shared.providers.models import DisconnectPolicy
from tests.chat.builders import request_of
from tests.chat.conftest import Shop
from tests.chat.test_disconnect import estimated
from tests.chat.test_ledger_failure import fail_from_now_on, recover
from tests.providers import fake

DRAIN, ESTIMATE, FREE = DisconnectPolicy
ANSWER = fake.whole(fake.completion(usage=fake.usage(10, 20)))
SLOW = fake.after(0.2, ANSWER)


def asking(shop: Shop, gone: asyncio.Event) -> Asking:
    """A call whose client leaves when the event says so."""

    async def left() -> None:
        await gone.wait()

    return replace(shop.asking(), left=left)


async def ask_and_leave(shop: Shop, **fields: Any) -> Any:
    """Ask, and leave as soon as a provider is at work."""
    gone = asyncio.Event()
    answering = asyncio.ensure_future(shop.chats().answer(asking(shop, gone), request_of(**fields)))
    async with asyncio.timeout(5):
        while not shop.first.asked:
            await asyncio.sleep(0.005)
    gone.set()
    return await answering


async def test_a_client_that_stays_is_not_watched_further(shop: Shop) -> None:
    """The charge says that the call was finished, and nothing of a policy."""
    shop.first.replies.append(ANSWER)
    gone = asyncio.Event()

    answer = await shop.chats().answer(asking(shop, gone), request_of())

    (entry,) = shop.captures()
    assert answer.headers["x-credence-receipt"] == entry.entry_id
    assert (dict(entry.facts)["outcome"], "disconnect_policy" in dict(entry.facts)) == ("finished", False)


async def test_a_provider_that_bills_its_answer_anyway_is_read_to_its_end(shop: Shop) -> None:
    """The client set it going: it owes what was billed, and its receipt says so."""
    shop.first.replies.append(SLOW)

    await ask_and_leave(shop)

    (entry,) = shop.captures()
    facts = dict(entry.facts)
    assert (facts["outcome"], facts["disconnect_policy"], facts["usage_source"]) == ("abandoned", "drain", "reported")
    assert await shop.spent_micros() == 30


async def test_a_provider_that_stops_when_we_do_is_stopped_and_its_reading_paid(shop: Shop) -> None:
    """It has read the prompt, by our count; nothing tells of words, and its connection is closed."""
    shop.first.whole_policy = ESTIMATE
    shop.first.replies.append(fake.mute)
    request = request_of()

    with pytest.raises(ClientLeft):
        await ask_and_leave(shop)

    async with asyncio.timeout(5):
        while not shop.first.written:
            await asyncio.sleep(0.005)
    (entry,) = shop.captures()
    facts = dict(entry.facts)
    assert (facts["outcome"], facts["disconnect_policy"], facts["provider"]) == ("abandoned", "estimate", "first")
    assert (facts["completion_tokens"], facts["upstream_model"]) == ("0", "first/model")
    assert await shop.spent_micros() == estimated(request, 0)


async def test_a_provider_that_bills_nothing_is_stopped_for_nothing(shop: Shop) -> None:
    """Its policy is free."""
    shop.first.whole_policy = FREE
    shop.first.replies.append(fake.mute)

    with pytest.raises(ClientLeft):
        await ask_and_leave(shop)

    assert await shop.spent_micros() == 0


async def test_nobody_else_is_asked_for_a_client_that_has_left(shop: Shop) -> None:
    """A provider that fails after all costs nothing, and the next one would only make a bill."""
    shop.first.replies.append(fake.after(0.1, fake.refuse(500)))

    with pytest.raises(ClientLeft):
        await ask_and_leave(shop)

    assert not shop.second.asked
    assert await shop.spent_micros() == 0


async def test_who_leaves_while_nobody_is_asked_pays_nothing(shop: Shop) -> None:
    """Between two tries of a route."""
    gone = asyncio.Event()

    async def leave(_: float) -> None:
        gone.set()
        await asyncio.sleep(0.1)

    shop.time.sleep = leave  # type: ignore[method-assign]
    for provider in (shop.first, shop.second):
        provider.replies.append(fake.refuse(500))

    with pytest.raises(ClientLeft):
        await shop.chats().answer(asking(shop, gone), request_of())

    assert (len(shop.first.asked), len(shop.second.asked)) == (1, 1)
    assert await shop.spent_micros() == 0


async def test_an_answer_that_nobody_waits_for_is_owed_when_it_cannot_be_charged(shop: Shop) -> None:
    """Else locking one's own account and leaving would be a way to make bills for us."""
    shop.first.replies.append(SLOW)
    gone = asyncio.Event()
    answering = asyncio.ensure_future(shop.chats().answer(asking(shop, gone), request_of()))
    async with asyncio.timeout(5):
        while not shop.first.asked:
            await asyncio.sleep(0.005)
    fail_from_now_on(shop)
    gone.set()

    await answering

    recover(shop)
    (owed,) = await shop.owed.waiting(10)
    assert (owed.amount_micros, owed.facts["disconnect_policy"]) == (30, "drain")
    shop.holds_left = 1


@pytest.mark.parametrize("gone_first", [True, False])
async def test_leaving_says_nothing_of_the_route(shop: Shop, *, gone_first: bool) -> None:
    """Else a client could rest a route for everybody by leaving; one that answers is asked next time."""
    shop.first.whole_policy = ESTIMATE if gone_first else DRAIN
    shop.first.replies.extend([fake.mute if gone_first else SLOW, ANSWER])
    if gone_first:
        with pytest.raises(ClientLeft):
            await ask_and_leave(shop)
    else:
        await ask_and_leave(shop)

    answer = await shop.chats().answer(shop.asking(), request_of())

    assert answer.headers["x-credence-route"] == "first=answered"


async def test_a_fault_before_leaving_is_told_as_ever(shop: Shop) -> None:
    """The watch changes nothing for those who stay."""
    for provider, count in ((shop.first, 1), (shop.second, 2)):
        provider.replies.extend([fake.refuse(500)] * count)

    with pytest.raises(UpstreamUnavailable):
        await shop.chats().answer(asking(shop, asyncio.Event()), request_of())


async def test_a_request_that_is_cancelled_while_watched_gives_its_hold_back(shop: Shop) -> None:
    """As when the process is stopped: nothing goes on behind it."""
    shop.first.replies.append(fake.mute)
    task = asyncio.ensure_future(shop.chats().answer(asking(shop, asyncio.Event()), request_of()))
    async with asyncio.timeout(5):
        while not shop.first.asked:
            await asyncio.sleep(0.005)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(asyncio.all_tasks()) < 10
    assert await shop.spent_micros() == 0
