"""Ledgers that fail in the middle of a call, and wallets that many calls share: no charge twice, no hold for ever."""

import asyncio
import json
from collections import deque
from typing import Any

import pytest

from shared.base.errors import CredenceError
from shared.base.ids import AccountId, HoldId, RequestId
from shared.base.units import Unit
from shared.calls.models import Asking
from shared.ledger.errors import LedgerUnavailable
from shared.metering.collector import Collector
from shared.metering.models import OwedCharge, Quote, Usage, UsageSource
from shared.metering.service import Meter
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
        await chats.answer(shop.asking(), request_of())

    assert not shop.first.asked


async def test_a_hold_that_may_have_been_placed_expires(shop: Shop) -> None:
    """Its acknowledgement was lost, so nobody will ever resolve it."""
    chats = shop.chats()
    fail_from_now_on(shop, fault="unacknowledged")

    with pytest.raises(LedgerUnavailable):
        await chats.answer(shop.asking(), request_of())

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
        await shop.chats().answer(shop.asking(), request_of())

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

    answer = await chats.answer(shop.asking(), request_of())

    assert answer.headers["x-credence-cost-micros"] == "30"
    assert await shop.spent_micros() == 30


async def test_a_charge_that_stands_unknown_is_never_made_again(shop: Shop) -> None:
    """Committed, and then neither acknowledged nor readable: the release that follows must not undo or double it."""
    shop.first.replies.append(
        LedgerFailsWhen(shop, fake.whole(fake.completion(usage=fake.usage())), fault="unacknowledged")
    )

    with pytest.raises(LedgerUnavailable):
        await shop.chats().answer(Asking(account_id=ADA, request_id=RequestId("req_known")), request_of())

    recover(shop)
    assert await shop.spent_micros() in (0, 30)
    assert len(shop.captures()) <= 1


@pytest.mark.parametrize("fault", ["lost", "unacknowledged"])
@pytest.mark.parametrize("events", [2, 5, 6])
async def test_a_stream_that_cannot_be_charged_now_is_charged_later(shop: Shop, fault: str, events: int) -> None:
    """Whoever keeps the ledger from being written, by a lock or by luck, has the answer and owes for it; once."""
    shop.first.replies.append(STREAM)
    stream = await shop.stream(request_of(**STREAMED))
    fail_from_now_on(shop, fault=fault)
    relay = stream.events()

    seen = [await anext(relay) for _ in range(events)]
    await stream.close()

    if events == 6:
        assert seen[-1] == fake.DONE
    recover(shop)
    (owed,) = shop.owed.charges.values()
    for _ in range(2):
        await Collector(shop.ledger, shop.owed).run()
    assert not shop.owed.charges
    (charged,) = shop.captures()
    assert await shop.spent_micros() == -charged.delta_micros == owed.amount_micros
    assert charged.entry_id == stream.headers["x-credence-receipt"]


@pytest.mark.parametrize("minutes", [1, 16])
async def test_an_owed_charge_is_made_even_when_its_hold_has_expired(shop: Shop, minutes: int) -> None:
    """And when the credits are gone by then, the account owes."""
    shop.first.replies.append(STREAM)
    stream = await shop.stream(request_of(**STREAMED))
    fail_from_now_on(shop)
    assert [event async for event in stream.events()]
    await stream.close()
    recover(shop)
    shop.clock.now_ms += minutes * 60_000
    spendable = shop.ledger.spendable_micros(await shop.head())
    await shop.ledger.debit(ADA, spendable, key="all of it", facts={})

    report = await Collector(shop.ledger, shop.owed).run()

    assert (report.collected, report.left) == (1, 0)
    assert (await shop.head()).balance_micros == FUNDS_MICROS - spendable - REPORTED


async def test_an_answer_that_outlived_its_hold_is_charged_all_the_same(shop: Shop) -> None:
    """A client that reads slowly gains nothing by it."""
    shop.first.replies.append(STREAM)
    stream = await shop.stream(request_of(**STREAMED))
    shop.clock.now_ms += 16 * 60_000

    assert [event async for event in stream.events()]
    await stream.close()

    assert await shop.spent_micros() == REPORTED
    assert not shop.owed.charges


async def test_an_answer_that_outlived_its_hold_is_owed_when_it_cannot_be_charged(shop: Shop) -> None:
    """The two troubles come together when the ledger is slow: what was delivered is charged later all the same."""
    shop.first.replies.append(STREAM)
    stream = await shop.stream(request_of(**STREAMED))
    shop.clock.now_ms += 16 * 60_000
    shop.faulty.commit_script = deque(["lost"] * 10_000)

    assert [event async for event in stream.events()][-1] == fake.DONE
    await stream.close()

    recover(shop)
    report = await Collector(shop.ledger, shop.owed).run()
    assert (report.collected, report.left) == (1, 0)
    assert await shop.spent_micros() == REPORTED


async def test_usage_that_costs_nothing_is_never_owed(shop: Shop) -> None:
    """A charge of nothing could never be made, and would be tried for ever."""
    quote = Quote({}, {Unit.AUDIO_MS: 1}, 1, 1_000_000, "", 5)
    call = await Meter(shop.ledger, shop.owed).begin(ADA, RequestId("req_silent"), quote)
    fail_from_now_on(shop)

    with pytest.raises(LedgerUnavailable):
        await call.collect(Usage({Unit.AUDIO_MS: 1}, UsageSource.REPORTED), {})

    recover(shop)
    shop.holds_left = 1
    assert not shop.owed.charges


async def test_a_charge_that_could_not_even_be_noted_is_free_and_told(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing answers any more: the hold expires, somebody is called, and the stream still ends in form."""
    shop.first.replies.append(STREAM)
    stream = await shop.stream(request_of(**STREAMED))
    fail_from_now_on(shop)
    shop.owed.down = True

    *_, fault, done = [event async for event in stream.events()]
    await stream.close()

    assert (json.loads(fault[6:])["error"]["code"], done) == ("ledger_unavailable", fake.DONE)
    assert "charge_lost" in capsys.readouterr().out
    recover(shop)
    shop.holds_left = 1
    await expect_whole_after_expiry(shop)


async def test_a_collector_that_cannot_charge_one_goes_on_with_the_others(shop: Shop) -> None:
    """An account that is still locked waits; the next run tries again."""
    shop.owed.charges[HoldId("gone")] = OwedCharge(AccountId("user:nobody"), HoldId("gone"), 5, {})
    shop.owed.charges[HoldId("here")] = OwedCharge(ADA, HoldId("here"), 7, {"held_micros": "7"})

    report = await Collector(shop.ledger, shop.owed).run()

    assert (report.collected, report.left) == (1, 1)
    assert list(shop.owed.charges) == [HoldId("gone")]
    assert await shop.spent_micros() == 7


async def test_a_cut_stream_whose_charge_fails_still_ends_in_form(shop: Shop) -> None:
    """Two failures at once: the client hears of the provider's; the charge for what came is owed."""
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
    assert "Only what was delivered was charged." in error["message"]
    assert len(shop.owed.charges) == 1


async def test_many_calls_at_once_never_spend_more_than_there_is(shop: Shop) -> None:
    """Twenty at once on a wallet for some: every charge is covered, and refusals are clean."""
    await shop.ledger.debit(ADA, FUNDS_MICROS - 30_000, key="spend", facts={})
    shop.first.replies.extend([fake.whole(fake.completion(usage=fake.usage(10**6, 10**6)))] * 20)
    chats = shop.chats()

    outcomes = await asyncio.gather(
        *(chats.answer(shop.asking(), request_of()) for _ in range(20)), return_exceptions=True
    )

    refusals = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert {type(refusal).__name__ for refusal in refusals} == {"CallUnaffordable"}
    held = int(dict(shop.captures()[0].facts)["held_micros"])
    assert len(shop.captures()) == 20 - len(refusals) == 30_000 // held
    assert (await shop.head()).balance_micros == 30_000 % held
