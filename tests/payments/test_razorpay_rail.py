"""What Razorpay shows, and what is made of it."""

import itertools

import pytest

from shared.payments.errors import RailRefused
from shared.payments.models import Money, Order, OrderState, PaymentId, PaymentStatus, ReversalState, Seen, Subject
from shared.payments.rails import Rail
from shared.payments.razorpay.rail import DISPUTE_PAGES_MAX, LISTED_MAX
from shared.payments.razorpay.shown import ORDER_KEY, UNTIL_KEY
from tests.payments.bench import Bench
from tests.payments.builders import PACK, Shop
from tests.payments.cases import bought
from tests.payments.matrix import NOTHING, WHOLE
from tests.payments.razorpay_bench import KEY_ID, RazorpayBench


@pytest.fixture
def bench() -> type[Bench]:
    return RazorpayBench


def provider(shop: Shop) -> RazorpayBench:
    assert isinstance(shop.bench, RazorpayBench)
    return shop.bench


def rail(shop: Shop) -> Rail:
    return shop.bench.rail(lambda inner: inner)


def reference(order: Order) -> str:
    assert order.checkout is not None
    return order.checkout.reference


async def seen_of(shop: Shop, subject: Subject) -> Seen:
    seen = await rail(shop).look(subject)
    assert seen is not None
    return seen


async def test_a_checkout_opens_with_what_the_order_froze(shop: Shop) -> None:
    order = await shop.order()

    theirs = provider(shop).account.handle("GET", f"/v1/orders/{reference(order)}", {})

    assert order.checkout is not None
    assert order.checkout.url is None
    price = PACK.prices_minor["INR"]
    assert order.checkout.parameters == {
        "key": KEY_ID,
        "order_id": reference(order),
        "amount": price,
        "currency": "INR",
    }
    assert (theirs["amount"], theirs["currency"], theirs["receipt"]) == (price, "INR", order.order_id)
    assert theirs["notes"] == {ORDER_KEY: order.order_id, UNTIL_KEY: str(order.expires_at_ms)}


async def test_one_order_is_one_order_there(shop: Shop) -> None:
    """A try that died before it wrote down what Razorpay made."""
    order = await shop.order()

    assert (await rail(shop).begin(order)).reference == reference(order)


async def test_whatever_it_is_asked_about_it_sees_the_same(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    refund_id = shop.bench.give_back(payment_id, 200)
    dispute_id = shop.bench.dispute(payment_id)
    kinds = {"order": reference(order), "payment": payment_id, "refund": refund_id, "dispute": dispute_id}

    seen = [await seen_of(shop, Subject(kind, object_id)) for kind, object_id in kinds.items()]

    assert seen == [seen[0]] * 4
    assert (seen[0].status, seen[0].money, seen[0].payment_id) == (PaymentStatus.PAID, order.money, payment_id)
    assert [(found.refund_id, found.amount_minor) for found in seen[0].refunds] == [(refund_id, 200)]
    assert [(found.dispute_id, found.state) for found in seen[0].disputes] == [(dispute_id, ReversalState.OPEN)]


async def test_what_the_browser_writes_on_a_payment_is_not_read(shop: Shop) -> None:
    """A thief pays the cheap order and notes the dear one on the payment."""
    cheap, dear = await shop.order(), await shop.order()
    payment_id = shop.bench.pay(cheap)
    provider(shop).account.tamper(payment_id, notes={ORDER_KEY: dear.order_id})

    await shop.settle()

    assert (shop.kept(cheap).state, shop.kept(dear).state) == (OrderState.GRANTED, OrderState.PENDING)


async def test_an_order_without_our_note_is_not_ours(shop: Shop) -> None:
    """Sold by somebody else who uses the same account, by order or without one."""
    account = provider(shop).account
    order = account.handle("POST", "/v1/orders", {"amount": 500, "currency": "INR"})
    payment = account.pay(order["id"])

    assert await rail(shop).look(Subject("order", order["id"])) is None
    assert await rail(shop).look(Subject("payment", payment["id"])) is None
    account.tamper(payment["id"], order_id=None)
    assert await rail(shop).look(Subject("payment", payment["id"])) is None


async def test_an_attempt_that_failed_leaves_the_order_open(shop: Shop) -> None:
    order = await shop.order()
    failed = provider(shop).account.decline(reference(order))
    await shop.settle()
    assert shop.kept(order).state is OrderState.PENDING
    assert (await seen_of(shop, Subject("payment", failed["id"]))).status is PaymentStatus.OPEN

    shop.bench.pay(order)
    await shop.settle()

    assert await shop.credits() == WHOLE


async def test_a_payment_that_is_not_captured_is_waited_for(shop: Shop) -> None:
    order = await shop.order()
    payment = provider(shop).account.pay(reference(order), later=True)
    await shop.settle()
    assert (await seen_of(shop, Subject("order", reference(order)))).status is PaymentStatus.PENDING
    assert await shop.credits() == NOTHING

    provider(shop).account.arrive(payment["id"])
    await shop.settle()

    assert await shop.credits() == WHOLE


async def test_money_that_comes_after_the_end_is_granted(shop: Shop) -> None:
    order = await shop.order()
    shop.bench.lapse(order)
    await shop.work()
    assert shop.kept(order).state is OrderState.EXPIRED

    shop.bench.pay(order)
    await shop.settle()

    assert await shop.credits() == WHOLE


async def test_a_note_that_is_no_time_ends_nothing(shop: Shop) -> None:
    order = await shop.order()
    for until in ("", "soon", "-1", "9" * 40, "²"):
        provider(shop).account.tamper(reference(order), notes={ORDER_KEY: order.order_id, UNTIL_KEY: until})
        assert (await seen_of(shop, Subject("order", reference(order)))).status is PaymentStatus.OPEN


async def test_refunded_without_a_refund_is_left_to_a_person(shop: Shop) -> None:
    payment_id = shop.bench.pay(await shop.order())
    provider(shop).account.tamper(payment_id, status="refunded")

    await shop.settle()

    assert await shop.credits() == NOTHING
    assert shop.reasons() == {"unknown_status"}


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("open", ReversalState.OPEN),
        ("under_review", ReversalState.OPEN),
        ("won", ReversalState.RETURNED),
        ("closed", ReversalState.RETURNED),
        ("lost", ReversalState.TAKEN),
        ("in_limbo", None),
    ],
)
async def test_each_word_of_a_dispute_has_its_meaning(shop: Shop, status: str, state: ReversalState | None) -> None:
    _, payment_id = await bought(shop)
    provider(shop).account.decide(shop.bench.dispute(payment_id), status)

    seen = await seen_of(shop, Subject("payment", payment_id))

    assert [found.state for found in seen.disputes] == [state]


async def test_a_dispute_is_found_among_those_of_others(shop: Shop) -> None:
    _, payment_id = await bought(shop)
    other = shop.bench.pay(await shop.order())
    dispute_id = shop.bench.dispute(payment_id)
    for _ in range(LISTED_MAX + 1):
        shop.bench.dispute(other)

    seen = await seen_of(shop, Subject("payment", payment_id))

    assert [found.dispute_id for found in seen.disputes] == [dispute_id]


async def test_more_disputes_than_are_read_are_left_to_a_person(shop: Shop) -> None:
    payment_id, other = shop.bench.pay(await shop.order()), shop.bench.pay(await shop.order())
    for _ in range(LISTED_MAX * DISPUTE_PAGES_MAX):
        shop.bench.dispute(other)

    assert (await seen_of(shop, Subject("payment", payment_id))).status is PaymentStatus.UNKNOWN


async def test_a_refund_is_made_once_for_all_time(shop: Shop) -> None:
    """While Razorpay remembers the key, and when it has forgotten it."""
    _, payment_id = await bought(shop)
    for _ in range(2):
        await rail(shop).refund(payment_id, Money(200, "INR"), key="refund-one-key")
        provider(shop).account.forget_keys()

    seen = await seen_of(shop, Subject("payment", payment_id))

    assert [found.amount_minor for found in seen.refunds] == [200]


async def test_a_refund_that_somebody_else_made_is_done(shop: Shop) -> None:
    order, payment_id = await bought(shop)
    shop.bench.give_back(payment_id, order.money.amount_minor)

    await rail(shop).refund(payment_id, order.money, key="refund-another-key")


async def test_a_refund_above_the_price_is_refused(shop: Shop) -> None:
    order, payment_id = await bought(shop)

    with pytest.raises(RailRefused):
        await rail(shop).refund(payment_id, Money(order.money.amount_minor + 1, "INR"), key="refund-too-much")


async def test_what_is_no_object_of_a_payment_is_not_looked_at(shop: Shop) -> None:
    assert await rail(shop).look(Subject("customer", "cust_1")) is None


async def test_of_several_attempts_the_one_that_paid_tells(shop: Shop) -> None:
    """In whatever order they are listed."""
    for before, after in itertools.product(range(2), repeat=2):
        order = await shop.order()
        for _ in range(before):
            provider(shop).account.decline(reference(order))
        payment_id: PaymentId = shop.bench.pay(order)
        for _ in range(after):
            provider(shop).account.decline(reference(order))
        assert (await seen_of(shop, Subject("order", reference(order)))).payment_id == payment_id
