"""What persons decide of what waits for them: on the record, once, and where they say so looked at again."""

import pytest

from shared.payments.errors import ReviewAbsent, ReviewResolved
from shared.payments.holds import Holds
from shared.payments.models import PaymentId
from shared.payments.reviews import Reviews, Verdict
from shared.tasks.service import Tasks
from tests.payments.builders import Shop
from tests.payments.stripe_bench import StripeBench
from tests.payments.waiting import MemoryReviews


@pytest.fixture
async def shop() -> Shop:
    """Whose rail does not matter here."""
    made = Shop(StripeBench)
    await made.open_wallet()
    return made


@pytest.fixture
async def reviews(shop: Shop) -> Reviews:
    """A shop with one payment that says another amount than was ordered."""
    payment_id = shop.bench.pay(await shop.order())
    shop.bench.tamper(payment_id, amount_minor=1)
    await shop.settle()
    holds = Holds(shop.store, shop.process().risk)
    return Reviews(MemoryReviews(shop.store), holds, Tasks(shop.queues, "http://{function}", shop.clock), shop.clock)


async def test_a_decision_says_who_when_and_why(reviews: Reviews, shop: Shop) -> None:
    [open_one] = await MemoryReviews(shop.store).open(None)

    await reviews.resolve(open_one.review_id, Verdict.DONE, by="olga", why="paid back by hand")

    assert await MemoryReviews(shop.store).open(None) == []
    again = await reviews.resolve(open_one.review_id, Verdict.DONE, by="olga", why="paid back by hand")
    assert again.decision is not None
    assert (again.decision.by, again.decision.why, again.decision.at_ms) == ("olga", "paid back by hand", shop.clock())
    assert again.review == open_one.review


async def test_another_decision_does_not_take_the_firsts_place(reviews: Reviews, shop: Shop) -> None:
    [open_one] = await MemoryReviews(shop.store).open(None)
    await reviews.resolve(open_one.review_id, Verdict.DISMISSED, by="olga", why="a test")

    for verdict, by in ((Verdict.DONE, "olga"), (Verdict.DISMISSED, "oskar")):
        with pytest.raises(ReviewResolved):
            await reviews.resolve(open_one.review_id, verdict, by=by, why="a test")


async def test_what_is_to_be_looked_at_again_is(reviews: Reviews, shop: Shop) -> None:
    """The provider shows the right amount by now, so the credits come."""
    [open_one] = await MemoryReviews(shop.store).open(None)
    [kept] = shop.store.orders.values()
    shop.bench.tamper(PaymentId(open_one.review.subject), amount_minor=kept.order.money.amount_minor)
    assert await shop.credits() == (0, 0)

    await reviews.resolve(open_one.review_id, Verdict.LOOK_AGAIN, by="olga", why="the amount was put right")
    await shop.work()

    assert (await shop.credits())[0] == 500


async def test_no_such_review_is_nobodys_decision(reviews: Reviews) -> None:
    with pytest.raises(ReviewAbsent):
        await reviews.resolve("0" * 64, Verdict.DONE, by="olga", why="x")
