"""A shop that takes cards, and what thieves do there."""

from collections.abc import Sequence

from shared.base.ids import AccountId, UserId
from shared.payments.models import Order, PaymentId
from shared.risk.limits import (
    CHECKOUT_LIMITS,
)
from shared.risk.models import ClientClaim, Decision, SignalKind, Subject
from tests.ledger.builders import opened
from tests.payments.builders import PACK, Shop
from tests.payments.stripe_bench import StripeBench

USER_ORDERS_MAX = CHECKOUT_LIMITS[SignalKind.USER][0].marks_max
THIEF = ClientClaim("198.51.100.1, 203.0.113.7", "")


class StripeShop(Shop):
    """Whose bench shows cards."""

    bench: StripeBench

    def __init__(self) -> None:
        super().__init__(StripeBench)


async def checkout(shop: StripeShop, user: str, key: str, client: ClientClaim = THIEF) -> Order:
    orders = shop.process().orders
    return await orders.checkout(UserId(user), shop.bench.name, PACK.pack_id, "USD", key=key, client=client)


async def accounts(shop: StripeShop, count: int) -> list[str]:
    """Accounts of as many thieves."""
    names = [f"thief{number}" for number in range(count)]
    await opened(shop.ledger_store, accounts=tuple(AccountId(f"user:{name}") for name in names))
    return names


def reference(order: Order) -> str:
    assert order.checkout is not None
    return order.checkout.reference


def pay(shop: StripeShop, order: Order, card: str) -> PaymentId:
    return PaymentId(shop.bench.account.pay(reference(order), card=card)["id"])


async def balance(shop: StripeShop, user: str) -> int:
    return (await shop.process().ledger.head(AccountId(f"user:{user}"))).balance_micros


async def decisions(shop: StripeShop, subject: str) -> Sequence[Decision]:
    record = (await shop.risk_store.record(Subject(subject))).record
    return record.decisions if record else ()
