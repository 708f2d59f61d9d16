"""What the stores of reconciliation promise, on those in memory and on Firestore."""

from dataclasses import dataclass

import pytest
from google.cloud import firestore
from msgspec.structs import replace

from local.stack import Stack
from shared.base.ids import UserId
from shared.payments import rules
from shared.payments.errors import ReviewResolved
from shared.payments.models import Event, Money, Order, OrderId, OrderState, PaymentId, RailName, Review, Subject
from shared.payments.reviews import Decision, ReviewStore, Verdict
from shared.payments.store import EVENT_LOOK_MS, FirestorePayments, PaymentStore
from shared.payments.sweep import WaitingEvents
from shared.payments.waiting import FirestoreReviews, FirestoreWaitingEvents
from shared.reconciliation.errors import TicketAbsent, TicketClosed
from shared.reconciliation.houses import HouseBooks
from shared.reconciliation.models import (
    DayBook,
    Difference,
    HouseDay,
    Line,
    LineKind,
    Progress,
    SubjectKind,
    Sums,
    Thing,
    TicketDecision,
    TicketKind,
    TicketState,
)
from shared.reconciliation.orders import FirestorePaidOrders, PaidOrders, Place
from shared.reconciliation.rules import ticket_id
from shared.reconciliation.store import Books, FirestoreBooks, FirestoreHouseBooks
from shared.reconciliation.tickets import FirestoreTickets, Tickets
from tests.ledger.builders import NOW
from tests.payments.builders import PACK
from tests.payments.memory import MemoryPayments
from tests.payments.waiting import MemoryReviews, MemoryWaitingEvents
from tests.reconciliation.memory import MemoryBooks, MemoryHouseBooks, MemoryPaidOrders, MemoryTickets

STRIPE = RailName.STRIPE
DAY = "2027-01-15"


@dataclass
class Stores:
    """All stores of one deployment."""

    payments: PaymentStore
    books: Books
    tickets: Tickets
    orders: PaidOrders
    houses: HouseBooks
    reviews: ReviewStore
    waiting: WaitingEvents


@pytest.fixture(params=["memory", pytest.param("firestore", marks=pytest.mark.stack)])
def stores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Stores:
    if request.param == "memory":
        payments = MemoryPayments()
        return Stores(
            payments,
            MemoryBooks(),
            MemoryTickets(),
            MemoryPaidOrders(payments),
            MemoryHouseBooks(),
            MemoryReviews(payments),
            MemoryWaitingEvents(payments),
        )
    stack: Stack = request.getfixturevalue("stack")
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", stack.firestore_address)
    client = firestore.AsyncClient(project=request.getfixturevalue("project_id"))
    return Stores(
        FirestorePayments(client),
        FirestoreBooks(client),
        FirestoreTickets(client),
        FirestorePaidOrders(client),
        FirestoreHouseBooks(client),
        FirestoreReviews(client),
        FirestoreWaitingEvents(client),
    )


def line(number: int, **fields: object) -> Line:
    made = Line(
        line_id=f"txn_{number}",
        kind=LineKind.PAYMENT,
        amount_minor=499,
        fee_minor=44,
        currency="USD",
        at_ms=NOW,
        about=f"ch_{number}",
        payment_id=PaymentId(f"pi_{number}"),
        money=Money(499, "USD"),
    )
    return replace(made, **fields)


def difference(number: int, kind: TicketKind = TicketKind.LATE) -> Difference:
    thing = Thing(SubjectKind.LINE, f"txn_{number}", DAY)
    return Difference(rail=STRIPE, thing=thing, kind=kind, currency="USD", ours="a", theirs="b")


async def test_a_line_that_is_booked_again_keeps_its_payout(stores: Stores) -> None:
    books, progress = stores.books, Progress(step="lines", cursor="x", sums={"USD": Sums(took_minor=499)})
    await books.book(STRIPE, DAY, [line(1), line(2)], "run", progress)
    await books.mark_paid_out(STRIPE, "po_1", ["txn_1"])
    await books.mark_paid_out(STRIPE, "po_1", [])
    await books.book(STRIPE, DAY, [line(1, fee_minor=45)], "run", replace(progress, cursor=None))

    kept = await books.booked(STRIPE, ["txn_1", "txn_2", "txn_3"])

    assert {name: (one.line.fee_minor, one.payout_id) for name, one in kept.items()} == {
        "txn_1": (45, "po_1"),
        "txn_2": (44, None),
    }
    assert await books.progress("run") == replace(progress, cursor=None)
    assert await books.progress("another") is None
    assert await books.booked(STRIPE, []) == {}


async def test_lines_are_found_by_day_and_by_payment(stores: Stores) -> None:
    books, progress = stores.books, Progress(step="lines")
    await books.book(STRIPE, DAY, [line(number) for number in (3, 1, 2)], "run", progress)
    await books.book(STRIPE, "2027-01-16", [line(4, payment_id=PaymentId("pi_1"))], "run", progress)

    assert [one.line.line_id for one in await books.booked_on(STRIPE, DAY, None)] == ["txn_1", "txn_2", "txn_3"]
    assert [one.line.line_id for one in await books.booked_on(STRIPE, DAY, "txn_1")] == ["txn_2", "txn_3"]
    found = await books.booked_for(STRIPE, [PaymentId("pi_1"), PaymentId("pi_3"), PaymentId("pi_9")])
    assert sorted(one.line.line_id for one in found) == ["txn_1", "txn_3", "txn_4"]
    assert await books.booked_for(STRIPE, []) == []


async def test_days_are_found_by_range(stores: Stores) -> None:
    kept = [
        DayBook(rail=STRIPE, day=day, currency="USD", sums=Sums(took_minor=number))
        for number, day in enumerate(("2027-01-14", "2027-01-15", "2027-02-01"))
    ]
    await stores.books.close_day(kept, "run", Progress(step="close", is_done=True))
    houses = [HouseDay(day=one.day, opening={}, moved={"house:x": {"paid": 1}}, cursors={"house:x": 3}) for one in kept]
    for day in houses:
        await stores.houses.put(day)

    assert list(await stores.books.day_books("2027-01-15", "2027-01-31")) == kept[1:2]
    assert await stores.houses.between("2027-01-14", "2027-01-15") == houses[:2]
    assert await stores.houses.find("2027-02-01") == houses[2]
    assert await stores.houses.find("2027-02-02") is None


async def test_a_difference_is_one_ticket_that_closes_and_opens(stores: Stores) -> None:
    tickets, name = stores.tickets, ticket_id(difference(1))
    assert await tickets.note([difference(1), difference(2), difference(1)], at_ms=NOW) == 2
    assert await tickets.note([difference(1)], at_ms=NOW + 1) == 0
    assert await tickets.note([], at_ms=NOW) == 0

    await tickets.resolve([name], at_ms=NOW + 2)
    assert [found for found, _ in await tickets.open(None)] == [ticket_id(difference(2))]

    assert await tickets.note([difference(1)], at_ms=NOW + 3) == 1
    found = dict(await tickets.open(None))
    assert (found[name].first_seen_ms, found[name].last_seen_ms, found[name].state) == (NOW, NOW + 3, TicketState.OPEN)
    first, second = sorted(found)
    assert [one for one, _ in await tickets.open(first)] == [second]


async def paid_order(stores: Stores, key: str, at_ms: int) -> Order:
    order = rules.new_order(rules.order_id_of(UserId("ada"), key), UserId("ada"), STRIPE, PACK, "USD", at_ms=NOW)
    kept = await stores.payments.create(order)
    paid = replace(rules.moved_to(order, OrderState.PAID), payment_id=PaymentId(f"pi_{key}"), paid_at_ms=at_ms)
    return (await stores.payments.replace(kept, paid)).order


async def test_orders_are_found_by_when_they_were_paid(stores: Stores) -> None:
    orders = [await paid_order(stores, key, NOW + number) for number, key in enumerate("abcd")]
    await stores.payments.create(rules.new_order(OrderId("u" * 24), UserId("ada"), STRIPE, PACK, "USD", at_ms=NOW))

    assert list(await stores.orders.paid_between(STRIPE, NOW + 1, NOW + 3, None)) == orders[1:3]
    after = Place(NOW + 1, orders[1].order_id)
    assert list(await stores.orders.paid_between(STRIPE, NOW + 1, NOW + 4, after)) == orders[2:]
    assert await stores.orders.named([orders[0].order_id, OrderId("none")]) == {orders[0].order_id: orders[0]}
    assert await stores.orders.named([]) == {}
    bound = await stores.orders.bound(STRIPE, [PaymentId("pi_b"), PaymentId("pi_z")])
    assert bound == {PaymentId("pi_b"): orders[1].order_id}


async def test_a_review_is_decided_once(stores: Stores) -> None:
    for subject in ("pi/1", "pi/2"):
        review = Review(rail=STRIPE, reason="x", subject=subject, order_id=None, expected="a", found="b")
        await stores.payments.keep_review(review, at_ms=NOW)
    first, second = await stores.reviews.open(None)
    assert [kept.review_id for kept in await stores.reviews.open(first.review_id)] == [second.review_id]

    decision = Decision(verdict=Verdict.DONE, by="olga", why="paid back", at_ms=NOW)
    await stores.reviews.decide(first.review_id, decision)

    with pytest.raises(ReviewResolved):
        await stores.reviews.decide(first.review_id, replace(decision, by="oskar"))
    found = await stores.reviews.find(first.review_id)
    assert found is not None
    assert (found.decision, found.review) == (decision, first.review)
    assert [kept.review_id for kept in await stores.reviews.open(None)] == [second.review_id]
    assert await stores.reviews.find("0" * 64) is None


async def test_an_event_waits_until_it_was_applied(stores: Stores) -> None:
    events = [
        Event(rail=STRIPE, event_id=f"evt_{number}", kind="x", subject=Subject("charge", "ch_1"), body_sha256="")
        for number in range(3)
    ]
    for number, event in enumerate(events):
        await stores.payments.keep_event(event, at_ms=NOW - number)
    await stores.payments.event_applied(events[0])
    due_ms = NOW + EVENT_LOOK_MS

    assert await stores.waiting.due(at_ms=due_ms - 10) == []
    found = await stores.waiting.due(at_ms=due_ms)
    assert [one.event.event_id for one in found] == ["evt_2", "evt_1"]
    assert found[0].event.subject == events[2].subject

    await stores.waiting.swept(found[0].name, sweeps=1, due_ms=due_ms + 1)
    await stores.waiting.swept(found[1].name, sweeps=1, due_ms=None)
    assert [(one.name, one.sweeps) for one in await stores.waiting.due(at_ms=due_ms + 1)] == [(found[0].name, 1)]


async def test_a_ticket_is_accepted_once_and_opens_when_its_sides_say_something_else(stores: Stores) -> None:
    tickets, found = stores.tickets, difference(1)
    name = ticket_id(found)
    decision = TicketDecision(by="olga", why="x", at_ms=NOW, ours="a", theirs="b")
    with pytest.raises(TicketAbsent):
        await tickets.accept(name, decision)
    assert await tickets.note([found], at_ms=NOW) == 1

    with pytest.raises(TicketClosed):
        await tickets.accept(name, replace(decision, theirs="what it said before"))
    after = await tickets.accept(name, decision)
    with pytest.raises(TicketClosed):
        await tickets.accept(name, replace(decision, by="oskar"))

    assert (await tickets.open(None), await tickets.find(name)) == ([], after)
    assert await tickets.note([found], at_ms=NOW + 1) == 0
    assert await tickets.open(None) == []
    assert await tickets.note([replace(found, theirs="c")], at_ms=NOW + 2) == 1
    [(again, ticket)] = await tickets.open(None)
    assert (again, ticket.decisions) == (name, (decision,))
