"""Clients that leave, and ledgers that fail: what is charged then, and what is left behind."""

import asyncio
import json
from collections import deque
from typing import Any

import pytest

from shared.base.errors import CredenceError
from shared.base.ids import RequestId
from shared.chat.models import ChatRequest
from shared.chat.service import ChatStream
from shared.ledger.errors import LedgerUnavailable
from shared.providers.models import DisconnectPolicy
from tests.chat.builders import VISION_MODEL, image, request_of, says, text
from tests.chat.conftest import ADA, FUNDS_MICROS, Shop
from tests.providers import fake

DRAIN, ESTIMATE, FREE = DisconnectPolicy
SAID = [fake.chunk("", role="assistant"), *(fake.chunk("x" * 40) for _ in range(3)), fake.chunk(finish="stop")]
STREAM = fake.stream(*map(fake.event, SAID), fake.event(fake.usage_chunk(1_000, 50)), fake.DONE)
REPORTED = 1_050
STREAMED = {"stream": True}


def estimated(request: ChatRequest, words: int) -> int:
    """What we count for so many words of forty bytes: a token for every four bytes, the prompt's JSON included."""
    prompt_bytes = len(json.dumps(request.messages, separators=(",", ":"))) + len("[null,{}]")
    return -(-prompt_bytes // 4) + 10 * words


async def read_and_leave(stream: ChatStream, events: int) -> None:
    """Read so many events, then leave as the response does: the generator stays where it is."""
    relay = stream.events()
    for _ in range(events):
        await anext(relay)
    await stream.close()


@pytest.mark.parametrize(
    ("policy", "events", "charged"),
    [
        # Before the first event, and after the role only: what nobody got is free unless the provider bills it.
        (DRAIN, 0, REPORTED),
        (DRAIN, 1, REPORTED),
        (ESTIMATE, 0, 0),
        (ESTIMATE, 1, 0),
        (FREE, 0, 0),
        (FREE, 1, 0),
        # In the middle.
        (DRAIN, 3, REPORTED),
        (ESTIMATE, 2, 1),
        (ESTIMATE, 3, 2),
        (FREE, 3, 0),
        # After the finish, before `[DONE]`: the answer is whole, so it is charged as such, whatever the policy.
        (DRAIN, 5, REPORTED),
        (ESTIMATE, 5, REPORTED),
        (FREE, 5, REPORTED),
        # After `[DONE]`: charged already, and not again.
        (DRAIN, 6, REPORTED),
        (ESTIMATE, 6, REPORTED),
        (FREE, 6, REPORTED),
    ],
)
async def test_leaving_is_charged_as_the_providers_policy_says(
    shop: Shop, policy: DisconnectPolicy, events: int, charged: int
) -> None:
    """At every stage of a stream. Small numbers count words that we had to estimate."""
    shop.first.policy = policy
    shop.first.replies.append(STREAM)
    request = request_of(**STREAMED)

    await read_and_leave(await shop.stream(request), events)

    assert await shop.spent_micros() == (charged if charged in (0, REPORTED) else estimated(request, charged))
    for entry in shop.captures():
        facts = dict(entry.facts)
        left_early = events < 6
        assert facts["outcome"] == ("abandoned" if left_early else "finished")
        assert facts.get("disconnect_policy") == (policy.value if left_early else None)


@pytest.mark.parametrize("policy", list(DisconnectPolicy))
async def test_a_stream_that_is_left_is_hung_up(shop: Shop, policy: DisconnectPolicy) -> None:
    """A provider must not write on for nobody: its connection closes even if it would never end."""
    shop.first.policy = policy
    shop.first.replies.append(fake.hang(*map(fake.event, SAID[:3])))

    await read_and_leave(await shop.stream(request_of(**STREAMED), silence_timeout_s=0.2), 2)

    async with asyncio.timeout(5):
        while not shop.first.written:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("broken", [fake.cut, fake.stream, fake.hang])
async def test_a_drain_that_breaks_charges_what_came(shop: Shop, broken: Any) -> None:
    """All that was read counts, delivered or not: the policy says that the provider bills it."""
    shop.first.policy = DRAIN
    shop.first.replies.append(broken(*map(fake.event, SAID[:4])))
    request = request_of(**STREAMED)

    await read_and_leave(await shop.stream(request, silence_timeout_s=0.2), 1)

    assert await shop.spent_micros() == estimated(request, 3)


async def test_pictures_are_paid_by_those_who_leave(shop: Shop) -> None:
    """The provider has looked at them before its first word."""
    shop.first.replies.append(STREAM)
    request = request_of(says([text("what?"), image()]), model=VISION_MODEL.id, **STREAMED)

    await read_and_leave(await shop.stream(request), 2)

    assert await shop.spent_micros() >= VISION_MODEL.image_tokens_max


async def test_what_a_provider_counted_so_far_is_charged_with_what_came_after(shop: Shop) -> None:
    """Some count the prompt at the start and the answer only at its end."""
    shop.first.replies.append(
        fake.stream(*map(fake.event, [{**SAID[0], "usage": fake.usage(700, 1)}, *SAID[1:]]), fake.DONE)
    )

    await read_and_leave(await shop.stream(request_of(**STREAMED)), 3)

    assert await shop.spent_micros() == 700 + 1 + 20


async def test_a_request_that_is_cancelled_gives_its_hold_back(shop: Shop) -> None:
    """Before the provider answers: nothing was delivered."""
    shop.first.replies.extend([fake.mute, fake.mute])
    chats = shop.chats()
    for ask in (chats.answer, chats.stream):
        task = asyncio.ensure_future(ask(ADA, shop.next_id(), request_of()))
        async with asyncio.timeout(5):
            while len(shop.first.asked) < shop._calls:
                await asyncio.sleep(0.005)

        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task
    assert await shop.spent_micros() == 0


async def test_a_reader_that_is_cancelled_in_the_middle_is_one_that_left(shop: Shop) -> None:
    """The relay may be torn down while it waits for the provider's next word."""
    shop.first.replies.append(fake.hang(*map(fake.event, SAID[:3])))
    request = request_of(**STREAMED)
    stream = await shop.stream(request)
    seen = []

    async def relay() -> None:
        try:
            async for event in stream.events():
                seen.append(event)  # noqa: PERF401 - a comprehension that is cancelled has seen nothing
        finally:
            await stream.close()

    task = asyncio.ensure_future(relay())
    async with asyncio.timeout(5):
        while len(seen) < 3:
            await asyncio.sleep(0.005)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert await shop.spent_micros() == estimated(request, 2)


# A ledger that fails.


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
