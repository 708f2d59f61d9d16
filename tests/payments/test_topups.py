"""Top-ups by x402: the price asked, the payment settled once, the credits granted once it is final."""

import asyncio
import base64
import json
from typing import Any

import pytest

from shared.chain.errors import (
    AuthorizationRefused,
    AuthorizationTaken,
    ChainUnavailable,
    FacilitatorUnavailable,
)
from shared.chain.x402 import read_payment
from shared.ledger.errors import KeyReused
from shared.payments.crypto.errors import OrderOver, PaymentRequired, PaymentUnderway, TransferTaken
from shared.payments.crypto.rail import offer_of
from shared.payments.crypto.rules import watch_of
from shared.payments.errors import OrderBusy
from shared.payments.models import OrderState
from tests.images.jobs import Fate, Killed
from tests.payments.builders import BUYER
from tests.payments.chain_benches import ADA, MALLORY
from tests.payments.chain_shop import THIEF, ChainShop

WHOLE, NOTHING = (500, 50), (0, 0)
MINUTE_MS = 60_000
STEPS_MAX = 200


@pytest.fixture
async def shop() -> ChainShop:
    made = ChainShop()
    await made.open_wallets()
    return made


async def price(shop: ChainShop, **named: Any) -> dict[str, Any]:
    """What a 402 asks."""
    with pytest.raises(PaymentRequired) as asked:
        await shop.top_up(None, **named)
    required: dict[str, Any] = json.loads(base64.b64decode(asked.value.headers()["payment-required"]))
    return required


async def signed(shop: ChainShop, **named: Any) -> str:
    """A payment for the price of an order, with a nonce of the client's choice."""
    required = await price(shop, **named)
    return ADA.payment(required, now_s=shop.clock() // 1000, nonce=shop.chain.digest())


async def test_without_a_payment_the_price_is_asked_and_repeats_ask_the_same(shop: ChainShop) -> None:
    first, second = await price(shop), await price(shop)

    assert first == second
    assert first["accepts"][0]["amount"] == "4990000"
    assert len(shop.store.orders) == 1


async def test_a_payment_is_settled_and_granted_once_it_is_final(shop: ChainShop) -> None:
    payment = await signed(shop)

    pending = await shop.top_up(payment)
    assert (pending.order.state, pending.blocks_missing) == (OrderState.PENDING, 2)
    assert pending.transaction
    assert await shop.credits() == NOTHING
    shop.chain.finalize()
    granted = await shop.top_up(payment)

    assert granted.order.state is OrderState.GRANTED
    assert (granted.transaction, granted.payer) == (pending.transaction, ADA.address)
    assert (await shop.credits(), shop.facilitator.settled) == (WHOLE, 1)
    await shop.check_books()


async def test_a_repeat_answers_the_same_with_the_payment_or_without_or_with_another(shop: ChainShop) -> None:
    """An order that is paid settles nothing more."""
    payment, other = await signed(shop), await signed(shop)
    await shop.top_up(payment)
    shop.chain.finalize()
    first = await shop.top_up(payment)

    again = [await shop.top_up(shown) for shown in (payment, None, other, payment)]

    assert again == [first] * 4
    assert (await shop.credits(), shop.facilitator.settled) == (WHOLE, 1)


async def test_the_credits_come_by_a_task_when_the_client_left(shop: ChainShop) -> None:
    await shop.top_up(await signed(shop))
    shop.wait(2 * MINUTE_MS)
    assert await shop.look() == 1

    shop.chain.finalize()

    assert await shop.look() == 0
    assert await shop.credits() == WHOLE


async def test_a_lost_answer_of_the_facilitator_loses_no_credits(shop: ChainShop) -> None:
    shop.facilitator.loses_answers = True
    with pytest.raises(FacilitatorUnavailable):
        await shop.top_up(await signed(shop))
    shop.chain.finalize()
    shop.wait(2 * MINUTE_MS)

    assert await shop.look() == 0
    assert await shop.credits() == WHOLE


async def test_who_lost_the_answer_is_told_of_the_payment_and_not_asked_for_another(shop: ChainShop) -> None:
    payment = await signed(shop)
    await shop.top_up(payment)

    pending = await shop.top_up(None)
    shop.chain.finalize()
    granted = await shop.top_up(None)

    assert (pending.order.state, pending.blocks_missing) == (OrderState.PENDING, 2)
    assert granted.order.state is OrderState.GRANTED
    assert await shop.credits() == WHOLE


async def test_two_payments_for_one_order_are_not_both_taken(shop: ChainShop) -> None:
    """A client that signs anew at each try pays once, one after the other or all at once."""
    payments = [await signed(shop) for _ in range(3)]

    outcomes = await asyncio.gather(*(shop.top_up(payment) for payment in payments), return_exceptions=True)

    assert shop.facilitator.settled <= 1
    assert all(
        isinstance(outcome, OrderBusy | PaymentUnderway) or not isinstance(outcome, BaseException)
        for outcome in outcomes
    )
    taken = [payment for payment, outcome in zip(payments, outcomes, strict=True) if not isinstance(outcome, Exception)]
    for payment in set(payments) - set(taken):
        with pytest.raises(PaymentUnderway):
            await shop.top_up(payment)
    shop.chain.finalize()
    await shop.top_up(taken[0])
    assert (await shop.credits(), shop.facilitator.settled) == (WHOLE, 1)


async def test_a_payment_that_is_not_settled_tells_why_and_another_one_may_follow(shop: ChainShop) -> None:
    shop.facilitator.refusal = "insufficient_funds"
    with pytest.raises(PaymentRequired) as asked:
        await shop.top_up(await signed(shop))
    assert asked.value.details() == {"reason": "insufficient_funds"}
    assert json.loads(base64.b64decode(asked.value.header))["error"] == "insufficient_funds"
    shop.facilitator.refusal = None

    await shop.top_up(await signed(shop))
    shop.chain.finalize()
    shop.wait(2 * MINUTE_MS)
    await shop.look()

    assert (await shop.credits(), shop.facilitator.settled) == (WHOLE, 1)


async def test_what_was_refused_and_is_carried_out_all_the_same_keeps_a_second_one_from_being_taken(
    shop: ChainShop,
) -> None:
    shop.facilitator.refusal = "no_gas"
    payment = await signed(shop)
    with pytest.raises(PaymentRequired):
        await shop.top_up(payment)
    shop.facilitator.refusal, other = None, await signed(shop)
    await _carry_out(shop, payment)

    with pytest.raises(PaymentUnderway):
        await shop.top_up(other)
    shop.chain.finalize()
    shop.wait(2 * MINUTE_MS)
    await shop.look()

    assert (await shop.credits(), shop.facilitator.settled) == (WHOLE, 0)


async def _carry_out(shop: ChainShop, payment: str) -> None:
    """Settle a payment past us, as the facilitator still can."""
    watch = watch_of(next(iter(shop.store.orders.values())).order)
    assert watch is not None
    shop.chain.carry_out(read_payment(payment, offer_of(watch), shop.token))


async def test_a_payment_for_one_order_pays_no_other(shop: ChainShop) -> None:
    """Neither of the same buyer nor of somebody who has seen it."""
    payment = await signed(shop)
    await shop.top_up(payment)
    shop.chain.finalize()
    await price(shop, key="another")
    await price(shop, key="theft", owner=THIEF)

    for named in ({"key": "another"}, {"key": "theft", "owner": THIEF}):
        with pytest.raises(AuthorizationTaken):
            await shop.top_up(payment, **named)
    await shop.top_up(payment)

    assert (await shop.credits(), await shop.thiefs_credits()) == (WHOLE, 0)


async def test_a_payment_of_x402_is_not_taken_again_as_a_plain_transfer(shop: ChainShop) -> None:
    payment = await signed(shop)
    await shop.top_up(payment)
    shop.chain.finalize()
    granted = await shop.top_up(payment)
    order = await shop.order()
    assert granted.transaction is not None

    with pytest.raises(TransferTaken):
        await shop.claim(order, granted.transaction)

    assert await shop.credits() == WHOLE


async def test_claimed_as_a_plain_transfer_first_it_is_granted_for_that_order_only(shop: ChainShop) -> None:
    pending = await shop.top_up(await signed(shop))
    order = await shop.order()
    shop.chain.finalize()
    assert pending.transaction is not None

    await shop.claim(order, pending.transaction)
    shop.wait(2 * MINUTE_MS)
    await shop.look()

    assert await shop.credits() == WHOLE
    assert shop.reasons() == {"payment_of_another_order"}


async def test_a_dropped_settlement_is_granted_once_it_is_mined_again(shop: ChainShop) -> None:
    pending = await shop.top_up(await signed(shop))
    shop.chain.reorganize()
    shop.chain.finalize()
    shop.wait(2 * MINUTE_MS)
    assert await shop.look() == 1
    assert await shop.credits() == NOTHING
    assert pending.transaction is not None

    shop.chain.mine_again(pending.transaction)
    shop.chain.finalize()

    assert await shop.look() == 0
    assert await shop.credits() == WHOLE


async def test_an_order_that_is_over_settles_nothing(shop: ChainShop) -> None:
    payment = await signed(shop)
    order = next(iter(shop.store.orders.values())).order
    shop.wait(order.expires_at_ms - shop.clock())

    for shown in (payment, None):
        with pytest.raises(OrderOver):
            await shop.top_up(shown)

    assert shop.facilitator.settled == 0


async def test_a_payment_that_is_none_moves_nothing(shop: ChainShop) -> None:
    required = await price(shop)
    forged = MALLORY.payment(required, now_s=shop.clock() // 1000, nonce=shop.chain.digest())
    body = json.loads(base64.b64decode(forged))
    body["payload"]["authorization"]["from"] = ADA.address
    cheap = json.loads(json.dumps(required))
    cheap["accepts"][0]["amount"] = "1"
    other = ADA.payment(cheap, now_s=shop.clock() // 1000, nonce=shop.chain.digest())

    for payment in ("", "x", base64.b64encode(json.dumps(body).encode()).decode(), other, "A" * 10_000):
        with pytest.raises(AuthorizationRefused):
            await shop.top_up(payment)

    order = next(iter(shop.store.orders.values())).order
    assert (order.claims, shop.facilitator.settled) == ((), 0)


async def test_the_same_key_for_another_pack_is_refused(shop: ChainShop) -> None:
    await price(shop)

    with pytest.raises(KeyReused):
        await shop.shown_to().topups.top_up(BUYER, "starter", key="top-up", payment=None)


async def test_without_the_chain_the_same_payment_may_be_shown_again(shop: ChainShop) -> None:
    payment = await signed(shop)
    shop.chain.is_down = True
    with pytest.raises(ChainUnavailable):
        await shop.top_up(payment)
    shop.chain.is_down = False

    await shop.top_up(payment)
    shop.chain.finalize()
    await shop.top_up(payment)

    assert (await shop.credits(), shop.facilitator.settled) == (WHOLE, 1)


@pytest.mark.slow
async def test_a_death_between_any_two_steps_takes_and_grants_once() -> None:
    """The process dies at each of its steps; its client shows the payment again, or has left after it was settled."""
    for dies_at in range(1, STEPS_MAX):
        shop = ChainShop()
        await shop.open_wallets()
        payment = await signed(shop)
        if not await _dies(shop, payment, dies_at):
            break
        if not shop.chain.used or dies_at % 2:
            await shop.top_up(payment)
        shop.chain.finalize()
        shop.wait(2 * MINUTE_MS)
        assert await shop.look() == 0
        assert (await shop.credits(), shop.facilitator.settled) == (WHOLE, 1), f"died at step {dies_at}"
        await shop.check_books()
    assert 20 < dies_at < STEPS_MAX - 1


async def _dies(shop: ChainShop, payment: str, dies_at: int) -> bool:
    fate = Fate(dies_at)
    try:
        await fate.live(shop.top_up(payment, fate=fate))
        shop.chain.finalize()
        await fate.live(shop.top_up(payment, fate=fate))
    except (Killed, asyncio.CancelledError):
        assert fate.died.is_set()
        return True
    return False
