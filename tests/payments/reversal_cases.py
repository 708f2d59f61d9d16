"""What may undo a purchase after it was granted, or before: refunds, disputes and warnings, in any order."""

from shared.payments.models import OrderState, PaymentId
from tests.payments.builders import CREDIT, PACK, Shop
from tests.payments.cases import bought

NOTHING = (0, 0)
PART_MINOR = 177
"""More than the least that a rail gives back."""


async def refunded(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    shop.bench.give_back(payment_id, order.money.amount_minor)
    await shop.settle()
    assert shop.kept(order).state is OrderState.REFUNDED


async def refunded_partly(shop: Shop) -> None:
    """Something that is no round part of the price, for what it takes is rounded in the buyer's favour."""
    order, payment_id = await bought(shop)
    shop.bench.give_back(payment_id, PART_MINOR)
    await shop.settle()
    assert shop.kept(order).state is OrderState.GRANTED


async def refunded_in_parts(shop: Shop) -> None:
    """The parts round, and their sum does not."""
    order, payment_id = await bought(shop)
    for amount_minor in (100, 133, order.money.amount_minor - 233):
        shop.bench.give_back(payment_id, amount_minor)
        await shop.settle()
    assert shop.kept(order).state is OrderState.REFUNDED


async def refunded_before_granted(shop: Shop) -> None:
    order = await shop.order()
    shop.bench.give_back(shop.bench.pay(order), order.money.amount_minor)
    await shop.settle()


async def refund_after_spend(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    await shop.spend(300)
    shop.bench.give_back(payment_id, order.money.amount_minor)
    await shop.settle()


async def refund_failed(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    refund_id = shop.bench.give_back(payment_id, order.money.amount_minor)
    await shop.settle()
    shop.bench.fail_refund(refund_id)
    await shop.settle()
    assert shop.kept(order).state is OrderState.GRANTED


async def refund_failed_after_dispute_lost(shop: Shop) -> None:
    """Each took the same money. That the one gave it back does not bring back what the other took."""
    order, payment_id = await bought(shop)
    refund_id = shop.bench.give_back(payment_id, order.money.amount_minor)
    await shop.settle()
    shop.bench.decide(shop.bench.dispute(payment_id), won=False)
    await shop.settle()
    shop.bench.fail_refund(refund_id)
    await shop.settle()
    assert "taken_by_another" in shop.reasons()


async def dispute_open(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    shop.bench.dispute(payment_id)
    await shop.settle()
    assert shop.kept(order).state is OrderState.DISPUTED
    assert await shop.set_aside() == PACK.credits_micros


async def dispute_won(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    dispute_id = shop.bench.dispute(payment_id)
    await shop.settle()
    shop.bench.decide(dispute_id, won=True)
    await shop.settle()
    assert shop.kept(order).state is OrderState.GRANTED


async def dispute_lost(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    dispute_id = shop.bench.dispute(payment_id)
    await shop.settle()
    shop.bench.decide(dispute_id, won=False)
    await shop.settle()
    assert shop.kept(order).state is OrderState.DISPUTED


async def dispute_lost_after_spend(shop: Shop) -> None:
    _, payment_id = await bought(shop)
    await shop.spend(300)
    dispute_id = shop.bench.dispute(payment_id)
    await shop.settle()
    assert await shop.credits() == NOTHING
    shop.bench.decide(dispute_id, won=False)
    await shop.settle()


async def dispute_lost_learned_at_once(shop: Shop) -> None:
    """Its opening and its end come in the wrong order, and only the end is left to see."""
    _, payment_id = await bought(shop)
    shop.bench.decide(shop.bench.dispute(payment_id), won=False)
    for delivery in reversed(shop.bench.deliveries()):
        await shop.receive([delivery])
        await shop.work()


async def dispute_above_the_price(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    shop.bench.decide(shop.bench.dispute(payment_id, order.money.amount_minor * 3), won=False)
    await shop.settle()
    assert "dispute_differs" in shop.reasons()


async def two_disputes_lost(shop: Shop) -> None:
    """Whatever banks ask for, no more goes back than was bought."""
    _, payment_id = await bought(shop)
    for _ in range(2):
        shop.bench.decide(shop.bench.dispute(payment_id), won=False)
        await shop.settle()


async def lost_then_won_on_appeal(shop: Shop) -> None:
    _, payment_id = await bought(shop)
    dispute_id = shop.bench.dispute(payment_id)
    for won in (False, True):
        shop.bench.decide(dispute_id, won=won)
        await shop.settle()


async def warned(shop: Shop) -> None:
    _, payment_id = await bought(shop)
    await shop.spend(100)
    shop.bench.warn(payment_id)
    await shop.settle()
    assert shop.reasons() == {"fraud_warning"}
    assert await shop.set_aside() == 450 * CREDIT


async def warned_then_refunded(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    shop.bench.warn(payment_id)
    await shop.settle()
    shop.bench.give_back(payment_id, order.money.amount_minor)
    await shop.settle()


async def warned_then_refund_failed(shop: Shop) -> None:
    """The money is with us again, and so is the doubt."""
    order, payment_id = await bought(shop)
    shop.bench.warn(payment_id)
    await shop.settle()
    refund_id = shop.bench.give_back(payment_id, order.money.amount_minor)
    await shop.settle()
    assert await shop.set_aside() == 0
    shop.bench.fail_refund(refund_id)
    await shop.settle()
    assert await shop.set_aside() == PACK.credits_micros


async def warned_then_refunded_at_last(shop: Shop) -> None:
    """By the second refund, after the first one failed."""
    await warned_then_refund_failed(shop)
    [order] = shop.store.orders.values()
    shop.bench.give_back(PaymentId(str(order.order.payment_id)), order.order.money.amount_minor)
    await shop.settle()


async def warned_then_dispute_won(shop: Shop) -> None:
    _, payment_id = await bought(shop)
    shop.bench.warn(payment_id)
    dispute_id = shop.bench.dispute(payment_id)
    await shop.settle()
    shop.bench.decide(dispute_id, won=True)
    await shop.settle()


async def warned_then_dispute_lost(shop: Shop) -> None:
    _, payment_id = await bought(shop)
    shop.bench.warn(payment_id)
    await shop.settle()
    shop.bench.decide(shop.bench.dispute(payment_id), won=False)
    await shop.settle()
