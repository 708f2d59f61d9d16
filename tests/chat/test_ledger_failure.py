"""Ledgers that fail in the middle of a call, and wallets that many calls share: no charge twice, no hold for ever."""

import asyncio
import json
from collections import deque
from typing import Any

import pytest

from shared.base.errors import CredenceError
from shared.base.ids import RequestId
from shared.ledger.errors import LedgerUnavailable
from shared.providers.models import DisconnectPolicy
from tests.chat.builders import request_of
from tests.chat.conftest import ADA, FUNDS_MICROS, Shop
from tests.providers import fake

DRAIN, ESTIMATE, FREE = DisconnectPolicy
SAID = [fake.chunk("", role="assistant"), *(fake.chunk("x" * 40) for _ in range(3)), fake.chunk(finish="stop")]
STREAM = fake.stream(*map(fake.event, SAID), fake.event(fake.usage_chunk(1_000, 50)), fake.DONE)
REPORTED = 1_050
STREAMED = {"stream": True}


def fail_from_now_on(shop: Shop, *, fault: str = "lost") -> None:
    """Every commit is lost, or done and reported failed; and nothing can be read."""
    shop.faulty.commit_script = deque([fault] * 10_000)
    shop.faulty.read_script = deque(["lost"] * 10_000)


def recover(shop: Shop) -> None:
    shop.faulty.commit_script.clear()
    shop.faulty.read_script.clear()


async def test_a_hold_that_cannot_be_placed_reaches_no_provider(shop: Shop) -> None:
    """No hold, no call."""
    chats = shop.chats()
    fail_from_now_on(shop)

    with pytest.raises(LedgerUnavailable):
        await chats.answer(ADA, shop.next_id(), request_of())

    assert not shop.first.asked


async def test_a_hold_that_may_have_been_placed_expires(shop: Shop) -> None:
    """Its acknowledgement was lost, so nobody will ever resolve it."""
    chats = shop.chats()
    fail_from_now_on(shop, fault="unacknowledged")

    with pytest.raises(LedgerUnavailable):
        await chats.answer(ADA, shop.next_id(), request_of())

    recover(shop)
    shop.holds_left = 1
    await expect_whole_after_expiry(shop)


async def expect_whole_after_expiry(shop: Shop) -> None:
    """Once every hold has expired, a fresh process can spend the whole balance. Nothing else was taken."""
    head = await shop.head()
    shop.clock.now_ms = max(hold.expires_at_ms for hold in head.holds.values())
    assert shop.ledger.spendable_micros(head) == head.balance_micros


class LedgerFailsWhen:
    """Makes a provider's reply the moment at which the ledger stops answering."""

    def __init__(self, shop: Shop, reply: fake.Reply, *, fault: str = "lost") -> None:
        self._shop, self._reply, self._fault = shop, reply, fault

    async def __call__(self, request: Any) -> Any:
        fail_from_now_on(self._shop, fault=self._fault)
        return await self._reply(request)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (fake.whole(fake.completion(usage=fake.usage())), "ledger_unavailable"),
        (fake.whole(fake.completion("")), "ledger_unavailable"),
        (fake.refuse(400, "temperature"), "upstream_refused"),
    ],
)
async def test_an_answer_that_cannot_be_charged_is_not_given(shop: Shop, reply: fake.Reply, code: str) -> None:
    """The hold stays until it expires, and the client learns why its call failed, not why the release did."""
    shop.first.replies.append(LedgerFailsWhen(shop, reply))

    with pytest.raises(CredenceError) as refusal:
        await shop.chats().answer(ADA, shop.next_id(), request_of())

    assert refusal.value.code == code
    recover(shop)
    shop.holds_left = 1
    assert await shop.spent_micros() == 0
    await expect_whole_after_expiry(shop)


async def test_a_charge_whose_answer_is_lost_is_made_once(shop: Shop) -> None:
    """Done and not acknowledged: the engine finds its own entry again."""
    shop.first.replies.append(fake.whole(fake.completion(usage=fake.usage())))
    chats = shop.chats()
    shop.faulty.commit_script.extend(["ok", "unacknowledged"])

    answer = await chats.answer(ADA, shop.next_id(), request_of())

    assert answer.headers["x-credence-cost-micros"] == "30"
    assert await shop.spent_micros() == 30


async def test_a_charge_that_stands_unknown_is_never_made_again(shop: Shop) -> None:
    """Committed, and then neither acknowledged nor readable: the release that follows must not undo or double it."""
    shop.first.replies.append(
        LedgerFailsWhen(shop, fake.whole(fake.completion(usage=fake.usage())), fault="unacknowledged")
    )

    with pytest.raises(LedgerUnavailable):
        await shop.chats().answer(ADA, RequestId("req_known"), request_of())

    recover(shop)
    assert await shop.spent_micros() in (0, 30)
    assert len(shop.captures()) <= 1


@pytest.mark.parametrize("fault", ["lost", "unacknowledged"])
@pytest.mark.parametrize("events", [0, 2, 5, 6])
async def test_a_stream_that_cannot_be_charged_leaves_no_more_than_a_hold(shop: Shop, fault: str, events: int) -> None:
    """Wherever the client stops reading; the stream still ends in OpenAI's form for one that stays."""
    shop.first.replies.append(STREAM)
    stream = await shop.stream(request_of(**STREAMED))
    fail_from_now_on(shop, fault=fault)
    relay = stream.events()

    seen = [await anext(relay) for _ in range(events)]
    try:
        await stream.close()
    except LedgerUnavailable:
        assert events < 6

    recover(shop)
    if events == 6:
        assert json.loads(seen[-1][6:])["error"]["code"] == "ledger_unavailable"
        assert await anext(relay) == fake.DONE
    shop.holds_left = len((await shop.head()).holds)
    assert len(shop.captures()) <= 1
    if shop.holds_left:
        assert await shop.spent_micros() == 0
        await expect_whole_after_expiry(shop)


async def test_a_cut_stream_whose_charge_fails_still_ends_in_form(shop: Shop) -> None:
    """Two failures at once: the client hears of the provider's, and no claim about the charge."""
    shop.first.replies.append(fake.stream(*map(fake.event, SAID[:3])))
    stream = await shop.stream(request_of(**STREAMED))
    fail_from_now_on(shop)

    *_, fault, done = [event async for event in stream.events()]
    await stream.close()

    recover(shop)
    shop.holds_left = 1
    assert done == fake.DONE
    error = json.loads(fault[6:])["error"]
    assert error["code"] == "upstream_unavailable"
    assert "charged" not in error["message"]
    await expect_whole_after_expiry(shop)


async def test_many_calls_at_once_never_spend_more_than_there_is(shop: Shop) -> None:
    """Twenty at once on a wallet for some: every charge is covered, and refusals are clean."""
    await shop.ledger.debit(ADA, FUNDS_MICROS - 30_000, key="spend", facts={})
    shop.first.replies.extend([fake.whole(fake.completion(usage=fake.usage(10**6, 10**6)))] * 20)
    chats = shop.chats()

    outcomes = await asyncio.gather(
        *(chats.answer(ADA, shop.next_id(), request_of()) for _ in range(20)), return_exceptions=True
    )

    refusals = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert {type(refusal).__name__ for refusal in refusals} == {"CallUnaffordable"}
    held = int(dict(shop.captures()[0].facts)["held_micros"])
    assert len(shop.captures()) == 20 - len(refusals) == 30_000 // held
    assert (await shop.head()).balance_micros == 30_000 % held
