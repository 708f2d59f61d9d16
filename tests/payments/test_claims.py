"""Orders paid by a transfer that their buyer claims: what is granted, when, and to nobody else."""

import asyncio
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from shared.chain.errors import ChainUnavailable, ClaimNotSigned, TransferAmbiguous, TransferRefused
from shared.chain.models import Address, Digest
from shared.payments.crypto.errors import (
    ClaimsTooMany,
    OrderNotOnChain,
    OrderPaid,
    PaymentInReview,
    PaymentRequired,
    TransferTaken,
)
from shared.payments.crypto.rules import CLAIM_LIFETIME_MS, CLAIMS_MAX, LATE_MS
from shared.payments.errors import OrderAbsent, RailRefused, RefundRefused
from shared.payments.models import Order, OrderState, RailName
from tests.images.jobs import Fate, Killed
from tests.payments.builders import BUYER, PACK
from tests.payments.chain_benches import ADA
from tests.payments.chain_shop import MALLORY, PRICE, THIEF, ChainShop
from tests.payments.memory_chain import OTHER_TOKEN, TOKEN

WHOLE, NOTHING = (500, 50), (0, 0)
MINUTE_MS = 60_000
STEPS_MAX = 200


@pytest.fixture
async def shop() -> ChainShop:
    made = ChainShop()
    await made.open_wallets()
    return made


def paid(shop: ChainShop) -> Digest:
    """A transfer of the price that is final."""
    transaction = shop.chain.transfer(ADA.address, PRICE)
    shop.chain.finalize()
    return transaction


async def test_an_order_says_what_to_send_and_what_to_sign(shop: ChainShop) -> None:
    order = await shop.order()

    assert order.checkout is not None
    assert order.checkout.terms is not None
    assert (order.checkout.terms.token, order.checkout.terms.amount) == (TOKEN, 4_990_000)
    assert order.checkout.url == f"ethereum:{TOKEN.asset}@31337/transfer?address={TOKEN.receiver}&uint256=4990000"


async def test_only_dollars_are_taken(shop: ChainShop) -> None:
    orders = shop.process().orders

    with pytest.raises(RailRefused):
        await orders.checkout(BUYER, RailName.CRYPTO, PACK.pack_id, "INR", key="rupees")


async def test_a_final_transfer_is_granted_when_it_is_claimed(shop: ChainShop) -> None:
    order = await shop.order()
    transaction = paid(shop)

    shown = await shop.claim(order, transaction)

    assert await shop.credits() == WHOLE
    assert (shown.order.state, shown.transaction, shown.blocks_missing) == (OrderState.GRANTED, transaction, None)
    assert shown.order.invoice
    await shop.check_books()


async def test_a_repeat_answers_the_same_and_grants_nothing_more(shop: ChainShop) -> None:
    order = await shop.order()
    transaction = paid(shop)
    first = await shop.claim(order, transaction)

    again = [await shop.claim(order, transaction) for _ in range(2)]
    together = await asyncio.gather(*(shop.claim(order, transaction) for _ in range(3)))

    assert all(shown.order == first.order for shown in (*again, *together))
    assert await shop.credits() == WHOLE


async def test_until_it_is_final_it_says_how_far_and_a_task_grants_it_though_the_client_left(shop: ChainShop) -> None:
    order = await shop.order()

    shown = await shop.claim(order, shop.chain.transfer(ADA.address, PRICE))

    assert (shown.order.state, shown.blocks_missing) == (OrderState.PENDING, 2)
    shop.wait(2 * MINUTE_MS)
    assert await shop.look() == 1
    assert await shop.credits() == NOTHING
    shop.chain.finalize()
    assert await shop.look() == 0
    assert await shop.credits() == WHOLE


async def test_what_a_reorganization_dropped_is_granted_once_it_is_mined_again(shop: ChainShop) -> None:
    order = await shop.order()
    transaction = shop.chain.transfer(ADA.address, PRICE)
    await shop.claim(order, transaction)

    shop.chain.reorganize()
    shop.chain.finalize()
    shown = await shop.claim(order, transaction)
    shop.wait(2 * MINUTE_MS)
    assert await shop.look() == 1
    assert (shown.blocks_missing, await shop.credits()) == (None, NOTHING)

    shop.chain.mine_again(transaction)
    shop.chain.finalize()
    assert await shop.look() == 0
    assert await shop.credits() == WHOLE


async def test_what_never_comes_is_looked_for_two_hours_long_and_the_order_ends(shop: ChainShop) -> None:
    order = await shop.order()
    await shop.claim(order, shop.chain.digest())

    shop.wait(CLAIM_LIFETIME_MS - MINUTE_MS)
    assert await shop.look() == 2
    assert shop.kept(order).state is OrderState.PENDING
    shop.wait(2 * MINUTE_MS)

    assert await shop.look() == 0
    assert shop.kept(order).state is OrderState.EXPIRED


async def test_an_order_that_nobody_claims_ends(shop: ChainShop) -> None:
    order = await shop.order()
    shop.wait(order.expires_at_ms - shop.clock() + 2 * MINUTE_MS)

    await shop.look()

    assert shop.kept(order).state is OrderState.EXPIRED


async def test_what_was_sent_in_time_is_granted_after_the_order_has_ended(shop: ChainShop) -> None:
    order = await shop.order()
    transaction = paid(shop)
    shop.wait(3 * LATE_MS)
    await shop.look()
    assert shop.kept(order).state is OrderState.EXPIRED

    await shop.claim(order, transaction)

    assert await shop.credits() == WHOLE


async def test_an_order_is_no_price_for_good(shop: ChainShop) -> None:
    """What is sent long after its end is put before a person."""
    order = await shop.order()
    shop.wait(order.expires_at_ms - shop.clock() + LATE_MS + MINUTE_MS)

    with pytest.raises(PaymentInReview):
        await shop.claim(order, paid(shop))

    assert await shop.credits() == NOTHING
    assert shop.reasons() == {"unknown_status"}


async def test_the_terms_of_an_order_outlive_those_of_the_settings(shop: ChainShop) -> None:
    order = await shop.order()
    shop.token = replace(TOKEN, receiver=Address("0x" + "99" * 20))

    await shop.claim(order, paid(shop))

    assert await shop.credits() == WHOLE


async def test_an_order_of_a_chain_that_is_read_no_more_is_for_a_person(shop: ChainShop) -> None:
    order = await shop.order()
    shop.token = replace(TOKEN, chain_id=1)

    with pytest.raises(PaymentInReview):
        await shop.claim(order, paid(shop))

    assert (await shop.credits(), shop.reasons()) == (NOTHING, {"unknown_status"})


WRONG: dict[str, Callable[[ChainShop], Digest]] = {
    "less": lambda shop: shop.chain.transfer(ADA.address, PRICE - 1),
    "more": lambda shop: shop.chain.transfer(ADA.address, PRICE + 1),
    "another token": lambda shop: shop.chain.transfer(ADA.address, PRICE, asset=OTHER_TOKEN.asset),
    "to somebody else": lambda shop: shop.chain.transfer(ADA.address, PRICE, to=MALLORY.address),
    "reverted": lambda shop: shop.chain.transfer(ADA.address, PRICE, succeeds=False),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_does_not_pay_the_order_is_refused_and_leaves_nothing(shop: ChainShop, wrong: str) -> None:
    order = await shop.order()
    transaction = WRONG[wrong](shop)
    tasks = len(shop.queues.tasks)
    for _ in range(2):
        # At once, and not first when it is final.
        with pytest.raises(TransferRefused):
            await shop.claim(order, transaction)
        shop.chain.finalize()

    assert shop.kept(order) == order
    assert (len(shop.queues.tasks), shop.reasons(), await shop.credits()) == (tasks, set(), NOTHING)


async def test_what_was_sent_before_the_order_does_not_pay_it(shop: ChainShop) -> None:
    transaction = paid(shop)
    shop.wait(10 * MINUTE_MS)
    order = await shop.order()

    with pytest.raises(TransferRefused, match="older"):
        await shop.claim(order, transaction)

    assert (await shop.credits(), shop.reasons()) == (NOTHING, set())


async def test_a_thief_cannot_claim_a_transfer_that_everybody_sees(shop: ChainShop) -> None:
    """Neither signing it themselves, nor by the signature that the sender made for their own order."""
    own, thiefs = await shop.order(), await shop.order_of(THIEF)
    transaction = shop.chain.transfer(ADA.address, PRICE)
    copied = ADA.claim(own.order_id, transaction)
    for _ in range(2):
        for signature in (MALLORY.claim(thiefs.order_id, transaction), copied):
            with pytest.raises(ClaimNotSigned):
                await shop.claim(thiefs, transaction, owner=THIEF, signature=signature)
        with pytest.raises(OrderAbsent):
            await shop.claim(own, transaction, owner=THIEF)
        shop.chain.finalize()

    await shop.claim(own, transaction)

    assert (await shop.credits(), await shop.thiefs_credits()) == (WHOLE, 0)


async def test_a_claim_before_its_transaction_is_seen_is_worth_nothing_to_who_did_not_send_it(shop: ChainShop) -> None:
    """The thief is quicker than the node, so that their claim waits; the sender's own is granted."""
    own, thiefs = await shop.order(), await shop.order_of(THIEF)
    transaction = shop.chain.transfer(ADA.address, PRICE)
    hidden = shop.chain.receipts.pop(transaction)
    await shop.claim(thiefs, transaction, owner=THIEF, by=MALLORY)
    shop.chain.receipts[transaction] = hidden
    shop.chain.finalize()
    shop.wait(2 * MINUTE_MS)

    await shop.look()
    await shop.claim(own, transaction)

    assert (await shop.credits(), await shop.thiefs_credits()) == (WHOLE, 0)


async def test_a_transfer_pays_one_order_also_when_two_claim_it_at_once(shop: ChainShop) -> None:
    orders = [await shop.order() for _ in range(3)]
    transaction = paid(shop)

    outcomes = await asyncio.gather(*(shop.claim(order, transaction) for order in orders), return_exceptions=True)

    refused = [outcome for outcome in outcomes if isinstance(outcome, TransferTaken | PaymentInReview)]
    assert len(refused) == 2
    assert await shop.credits() == WHOLE
    with pytest.raises(TransferTaken):
        await shop.claim(next(order for order in orders if shop.kept(order).payment_id is None), transaction)


async def test_two_transfers_of_one_transaction_pay_two_orders_when_each_is_named(shop: ChainShop) -> None:
    first, second = await shop.order(), await shop.order()
    transaction = shop.chain.transfer(ADA.address, PRICE, times=2)
    shop.chain.finalize()

    with pytest.raises(TransferAmbiguous):
        await shop.claim(first, transaction)
    await shop.claim(first, transaction, log_index=0)
    with pytest.raises(TransferTaken):
        await shop.claim(second, transaction, log_index=0)
    await shop.claim(second, transaction, log_index=1)

    assert await shop.credits() == (1_000, 100)


async def test_an_order_that_is_paid_twice_is_granted_once_and_seen(shop: ChainShop) -> None:
    order = await shop.order()
    await shop.claim(order, paid(shop))

    with pytest.raises(OrderPaid):
        await shop.claim(order, paid(shop))
    with pytest.raises(OrderPaid):
        await shop.claim(order, shop.chain.digest())

    assert (await shop.credits(), shop.reasons()) == (WHOLE, {"paid_twice"})


async def test_a_claim_that_waits_in_vain_hides_no_other(shop: ChainShop) -> None:
    """A wallet replaces a transaction by another with a higher fee."""
    order = await shop.order()
    await shop.claim(order, shop.chain.digest())
    await shop.claim(order, shop.chain.transfer(ADA.address, PRICE))
    shop.chain.finalize()
    shop.wait(2 * MINUTE_MS)

    await shop.look()

    assert await shop.credits() == WHOLE


async def test_so_many_claims_are_looked_for_and_no_more(shop: ChainShop) -> None:
    order = await shop.order()
    for _ in range(CLAIMS_MAX):
        await shop.claim(order, shop.chain.digest())

    with pytest.raises(ClaimsTooMany):
        await shop.claim(order, shop.chain.digest())


async def test_an_order_of_x402_is_not_claimed(shop: ChainShop) -> None:
    with pytest.raises(PaymentRequired):
        await shop.top_up(None)
    (order,) = (kept.order for kept in shop.store.orders.values())

    with pytest.raises(OrderNotOnChain):
        await shop.claim(order, paid(shop))


async def test_what_a_buyer_wants_back_is_refused_and_stays_theirs(shop: ChainShop) -> None:
    """No key that could send anything is here; a person pays it back."""
    order = await shop.order()
    await shop.claim(order, paid(shop))

    with pytest.raises(RefundRefused):
        await shop.process().refunds.own(BUYER, order.order_id)

    assert await shop.credits() == WHOLE


async def test_without_the_chain_nothing_is_granted_and_nothing_lost(shop: ChainShop) -> None:
    order = await shop.order()
    transaction = shop.chain.transfer(ADA.address, PRICE)
    await shop.claim(order, transaction)
    shop.chain.finalize()
    shop.chain.is_down = True
    shop.wait(2 * MINUTE_MS)

    with pytest.raises(ChainUnavailable):
        await shop.claim(order, transaction)
    assert await shop.look() == 1

    shop.chain.is_down = False
    assert await shop.look() == 0
    assert await shop.credits() == WHOLE


@pytest.mark.parametrize("is_final", [True, False])
async def test_a_death_between_any_two_steps_loses_and_doubles_nothing(is_final: bool) -> None:
    """The process that takes the claim dies at each of its steps; the client tries again, or a task goes on."""
    for dies_at in range(1, STEPS_MAX):
        shop = ChainShop()
        await shop.open_wallets()
        order = await shop.order()
        transaction = shop.chain.transfer(ADA.address, PRICE)
        if is_final:
            shop.chain.finalize()
        if not await _dies(shop, order, transaction, dies_at):
            break
        shop.chain.finalize()
        if shop.kept(order).claims and dies_at % 2:
            # The client never comes back. Its claim is kept, so the task of the claim or of the order's end finds it.
            shop.wait(2 * LATE_MS)
            assert await shop.look() == 0
        else:
            await shop.claim(order, transaction)
        assert await shop.credits() == WHOLE, f"died at step {dies_at}"
        await shop.check_books()
    assert 5 < dies_at < STEPS_MAX - 1


async def _dies(shop: ChainShop, order: Order, transaction: Digest, dies_at: int) -> bool:
    fate = Fate(dies_at)
    try:
        await fate.live(shop.claim(order, transaction, fate=fate))
    except (Killed, asyncio.CancelledError):
        assert fate.died.is_set()
        return True
    return False
