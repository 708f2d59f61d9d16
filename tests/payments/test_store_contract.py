"""What a store of payments promises, on the one in memory and on Firestore."""

import asyncio

import pytest
from google.cloud import firestore
from msgspec.structs import replace

from local.stack import Stack
from shared.base.ids import UserId
from shared.payments import rules
from shared.payments.models import (
    Checkout,
    Event,
    Order,
    OrderId,
    OrderState,
    PaymentId,
    RailName,
    Reversal,
    ReversalKind,
    ReversalState,
    Review,
    Subject,
)
from shared.payments.store import (
    FirestorePayments,
    KeptOrder,
    OrderChanged,
    OrderExists,
    PaymentBound,
    PaymentStore,
)
from tests.ledger.builders import NOW
from tests.payments.builders import PACK
from tests.payments.memory import MemoryPayments

ADA = UserId("ada")
INTENT = PaymentId("pi_1")


@pytest.fixture
def client(stack: Stack, project_id: str, monkeypatch: pytest.MonkeyPatch) -> firestore.AsyncClient:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", stack.firestore_address)
    return firestore.AsyncClient(project=project_id)


@pytest.fixture(params=["memory", pytest.param("firestore", marks=pytest.mark.stack)])
def store(request: pytest.FixtureRequest) -> PaymentStore:
    if request.param == "memory":
        return MemoryPayments()
    return FirestorePayments(request.getfixturevalue("client"))


def order(key: str = "a") -> Order:
    order_id = rules.order_id_of(ADA, key)
    return rules.new_order(order_id, ADA, RailName.STRIPE, PACK, "USD", at_ms=NOW)


def paid(kept: KeptOrder, payment_id: PaymentId = INTENT) -> Order:
    return replace(rules.moved_to(kept.order, OrderState.PAID), payment_id=payment_id, paid_at_ms=NOW)


async def test_an_order_is_read_as_it_was_written(store: PaymentStore) -> None:
    reversal = Reversal(
        kind=ReversalKind.DISPUTE, state=ReversalState.OPEN, credits_micros=7, bonus_micros=1, amount_minor=3
    )
    full = replace(
        order(), checkout=Checkout("cs_1", "https://pay"), reversals={"dp_1": reversal}, refund_notes={"k": "v"}
    )
    await store.create(full)

    kept = await store.find(full.order_id)

    assert kept is not None
    assert kept.order == full
    assert await store.find(OrderId("other")) is None


async def test_an_order_is_created_once(store: PaymentStore) -> None:
    await store.create(order())

    with pytest.raises(OrderExists):
        await store.create(order())


async def test_only_what_was_read_is_written_over(store: PaymentStore) -> None:
    kept = await store.create(order())
    await store.replace(kept, rules.moved_to(kept.order, OrderState.PENDING))

    with pytest.raises(OrderChanged):
        await store.replace(kept, rules.moved_to(kept.order, OrderState.EXPIRED))


async def test_a_payment_is_bound_to_one_order(store: PaymentStore) -> None:
    first, second = await store.create(order("a")), await store.create(order("b"))
    await store.replace(first, paid(first))

    with pytest.raises(PaymentBound):
        await store.replace(second, paid(second))

    found = await store.find(second.order.order_id)
    assert found is not None
    assert found.order.state is OrderState.CREATED
    assert await store.order_of(RailName.STRIPE, INTENT) == first.order.order_id
    assert await store.order_of(RailName.STRIPE, PaymentId("pi_2")) is None


async def test_an_operators_key_is_bound_to_the_order_that_it_was_used_for_first(store: PaymentStore) -> None:
    first, second = OrderId("a"), OrderId("b")

    assert [await store.bind_refund("key", one) for one in (first, second, first)] == [first] * 3
    assert await store.bind_refund("other", second) == second


async def test_a_movement_on_a_chain_is_bound_to_one_order_whichever_way_it_was_paid(store: PaymentStore) -> None:
    movement = PaymentId("eip155:8453/0xasset/0xsender/0xnonce")
    plain = await store.create(replace(order("a"), rail=RailName.CRYPTO))
    signed = await store.create(replace(order("b"), rail=RailName.X402))
    await store.replace(signed, paid(signed, movement))

    with pytest.raises(PaymentBound):
        await store.replace(plain, paid(plain, movement))

    assert await store.order_of(RailName.CRYPTO, movement) == signed.order.order_id
    assert await store.order_of(RailName.STRIPE, movement) is None


async def test_a_second_binding_of_the_same_payment_is_a_lost_race(store: PaymentStore) -> None:
    """Two looks at one payment: the second one looks again."""
    kept = await store.create(order())
    await store.replace(kept, paid(kept))

    with pytest.raises(OrderChanged):
        await store.replace(kept, paid(kept))


async def test_an_event_is_kept_once(store: PaymentStore) -> None:
    event = Event(
        rail=RailName.STRIPE, event_id="evt_1", kind="x", subject=Subject("charge", "ch_1"), body_sha256="0" * 64
    )

    assert await store.keep_event(event, at_ms=NOW)
    assert not await store.keep_event(replace(event, subject=None), at_ms=NOW)


async def test_a_review_may_be_found_again(store: PaymentStore) -> None:
    review = Review(rail=RailName.STRIPE, reason="x", subject="pi/1", order_id=None, expected="a", found="b")

    await store.keep_review(review, at_ms=NOW)
    await store.keep_review(review, at_ms=NOW + 1)


async def test_invoices_have_no_gaps_however_many_are_issued_at_once(store: PaymentStore) -> None:
    """Whoever loses a race reads again, as the applier's next look does."""
    kept = [await store.create(order(str(number))) for number in range(5)]

    async def issue(one: KeptOrder) -> str:
        for _ in range(50):
            try:
                return str((await store.issue_invoice(one, at_ms=NOW)).order.invoice)
            except OrderChanged:
                await asyncio.sleep(0)
        raise AssertionError("it never got its number")

    numbers = await asyncio.gather(*(issue(one) for one in kept))

    assert sorted(int(number.rpartition("-")[2]) for number in numbers) == [1, 2, 3, 4, 5]
