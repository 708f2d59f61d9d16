"""Deaths: the process that takes the events, or the one that applies them, ends at each of its steps in turn."""

import asyncio

from shared.payments.models import PaymentId
from tests.images.jobs import Fate, Killed
from tests.payments.bench import Bench
from tests.payments.builders import Shop
from tests.payments.cases import Case, bought

STEPS_MAX = 400
"""More calls of stores than any path makes; a sweep that reaches it does not end."""


async def purchase(shop: Shop) -> PaymentId:
    return shop.bench.pay(await shop.order())


async def refund(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    await shop.spend(300)
    shop.bench.give_back(payment_id, order.money.amount_minor)


async def decided_for_us(shop: Shop) -> None:
    await _disputed(shop, won=True)


async def decided_against_us(shop: Shop) -> None:
    await _disputed(shop, won=False)


async def warning(shop: Shop) -> None:
    _, payment_id = await bought(shop)
    shop.bench.warn(payment_id)


async def _disputed(shop: Shop, *, won: bool) -> None:
    _, payment_id = await bought(shop)
    dispute_id = shop.bench.dispute(payment_id)
    await shop.settle()
    shop.bench.decide(dispute_id, won=won)


async def balances_after_deaths(bench: type[Bench], case: Case) -> list[tuple[float, float]]:
    """The balance after each possible death and what providers and queues then do by themselves: try again."""
    balances = []
    for dies_at in range(1, STEPS_MAX):
        shop = Shop(bench)
        await shop.open_wallet()
        await case(shop)
        if not await _dies(shop, dies_at):
            return balances
        balances.append(await shop.credits())
        await shop.check_books()
    raise AssertionError(f"{STEPS_MAX} steps and no end")


async def _dies(shop: Shop, dies_at: int) -> bool:
    """The events' way with a death at one step, after which provider and queue try again. False when none happened."""
    fate = Fate(dies_at)
    deliveries = shop.bench.deliveries()
    try:
        for raw, headers in deliveries:
            await fate.live(shop.process(fate).inbox.receive(raw, headers))
        for told in shop.told():
            await fate.live(shop.run("payment_apply", told, fate))
    except (Killed, asyncio.CancelledError):
        # Of several calls at once, those that come after the death are cancelled.
        assert fate.died.is_set()
        await shop.receive(deliveries)
        for told in shop.told():
            await shop.run("payment_apply", told)
        return True
    return False
