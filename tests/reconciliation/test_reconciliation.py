"""Each way in which two sides can differ: one ticket, as long as they do, and none after."""

from typing import Any

import pytest
from msgspec.structs import replace

from shared.ledger.models import Origin
from shared.payments.errors import RailUnavailable
from shared.payments.models import Money
from shared.reconciliation.days import day_of, moved
from shared.reconciliation.models import Line, Page, TicketState
from shared.reconciliation.recheck import WAITS_MAX
from shared.reconciliation.service import AGAIN_DAYS, LATE_DAYS
from tests.ledger.builders import DAY
from tests.payments.builders import WALLET
from tests.reconciliation.builders import FEE, PRICE, STRIPE, Office
from tests.reconciliation.memory import MemoryStatements


@pytest.fixture
async def office() -> Office:
    made = Office()
    await made.shop.open_wallet()
    # A first day on which nothing happens: what was before settlement began is compared with nothing.
    await made.night(2)
    return made


async def paid_out_daily(office: Office, days: int) -> None:
    """Days on which everything that happened the day before goes to the bank, as it should."""
    for _number in range(days):
        waiting = [name for name, line in office.statements.shown.items() if _is_waiting(office, name)]
        if waiting:
            office.statements.pay_out(f"po_{len(office.statements.payouts):03d}", office.today, waiting)
        await office.night()


def _is_waiting(office: Office, name: str) -> bool:
    return all(name not in names for _, _, names in office.statements.payouts.values())


async def test_books_that_agree_have_no_ticket(office: Office) -> None:
    _, line = await office.buy()
    await office.refund(line, 100)
    await office.buy()

    await paid_out_daily(office, LATE_DAYS + AGAIN_DAYS)

    assert office.all_tickets() == []
    assert (await office.reconcile()).finished


async def test_a_charge_that_we_were_never_told_of_is_one_ticket_and_then_looked_at(office: Office) -> None:
    order, line = await office.buy(is_told=False)

    opened = await office.night()
    assert (opened.opened, office.open_tickets()) == (1, [("missing_here", "line")])
    again = await office.reconcile()
    assert (again.opened, again.resolved) == (0, 0)

    # The ticket had a look posted; once the queue has delivered it, the books agree.
    await office.shop.work()
    assert office.shop.kept(order).payment_id == line.payment_id
    assert (await office.reconcile()).resolved == 1
    assert [ticket.state for ticket in office.all_tickets()] == [TicketState.RESOLVED]


async def test_a_refund_made_in_the_dashboard_and_never_told_is_found_and_taken(office: Office) -> None:
    order, line = await office.buy()
    await office.refund(line, PRICE, is_told=False)

    await office.night()
    assert office.open_tickets() == [("missing_here", "line")]

    await office.shop.work()
    await office.reconcile()
    assert (office.open_tickets(), len(office.all_tickets())) == ([], 1)
    assert office.shop.kept(order).state == "refunded"


async def test_another_amount_than_was_ordered_is_one_ticket_until_it_is_put_right(office: Office) -> None:
    order, line = await office.buy()
    office.statements.show(replace(line, amount_minor=PRICE - 1, money=Money(PRICE - 1, "USD")))

    await office.night(3)
    assert office.open_tickets() == [("amount_differs", "line")]
    [ticket] = office.all_tickets()
    assert str(order.money.amount_minor) in ticket.difference.ours
    assert str(PRICE - 1) in ticket.difference.theirs

    office.statements.show(line)
    await office.settle(day_of(line.at_ms))
    await office.reconcile()
    assert (office.open_tickets(), len(office.all_tickets())) == ([], 1)


async def test_another_currency_than_was_ordered_is_one_ticket(office: Office) -> None:
    _, line = await office.buy()
    office.statements.show(replace(line, money=Money(PRICE, "EUR")))

    await office.night(2)

    assert office.open_tickets() == [("currency_differs", "line")]


async def test_a_payout_that_lacks_a_line_is_one_ticket_until_it_has_it(office: Office) -> None:
    lines = [(await office.buy())[1] for _ in range(3)]
    await office.night()
    payout = office.statements.pay_out("po_1", office.today, [line.line_id for line in lines])
    office.statements.payouts["po_1"] = (payout, office.today, [line.line_id for line in lines[:2]])

    await office.night(3)
    assert office.open_tickets() == [("amount_differs", "payout")]
    [ticket] = office.all_tickets()
    assert ticket.difference.ours == f"its lines: {2 * (PRICE - FEE)}"

    whole = [line.line_id for line in lines]
    office.statements.payouts["po_1"] = (payout, office.statements.payouts["po_1"][1], whole)
    await office.reconcile()
    await office.night(LATE_DAYS)
    assert (office.open_tickets(), len(office.all_tickets())) == ([], 1)


async def test_a_fee_that_is_changed_later_is_one_ticket_until_the_day_is_settled_again(office: Office) -> None:
    _, line = await office.buy()
    await paid_out_daily(office, AGAIN_DAYS - 1)
    assert office.all_tickets() == []
    office.statements.show(replace(line, fee_minor=FEE + 5))
    payout, day, names = office.statements.payouts["po_000"]
    office.statements.payouts["po_000"] = (replace(payout, amount_minor=payout.amount_minor - 5), day, names)

    await paid_out_daily(office, 4)
    assert office.open_tickets() == [("fee_unexplained", "line")]

    await office.settle(day_of(line.at_ms))
    await office.reconcile()
    assert (office.open_tickets(), len(office.all_tickets())) == ([], 1)
    [book] = await office.books.day_books(day_of(line.at_ms), day_of(line.at_ms))
    assert book.sums.fees_minor == FEE + 5


async def test_an_unknown_fee_is_one_ticket_until_it_is_told(office: Office) -> None:
    """And nobody has to settle the day again."""
    _, line = await office.buy()
    office.statements.show(replace(line, fee_minor=None))
    await office.night(2)
    assert office.open_tickets() == [("fee_unknown", "line")]

    office.statements.show(line)
    await office.night()
    assert (office.open_tickets(), len(office.all_tickets())) == ([], 1)


async def test_an_order_that_the_provider_does_not_show_is_one_ticket_until_it_does(office: Office) -> None:
    _, line = await office.buy()
    del office.statements.shown[line.line_id]
    await office.night(3)
    assert office.open_tickets() == [("missing_there", "order")]

    office.statements.show(line)
    await office.settle(day_of(line.at_ms))
    await office.reconcile()
    assert (office.open_tickets(), len(office.all_tickets())) == ([], 1)


async def test_lines_that_never_reach_the_bank_are_one_ticket_a_day_until_they_do(office: Office) -> None:
    lines = [(await office.buy())[1] for _ in range(3)]
    await office.night(LATE_DAYS)
    assert office.open_tickets() == []
    await office.night(2)
    assert office.open_tickets() == [("late", "unpaid")]

    office.statements.pay_out("po_1", office.today, [line.line_id for line in lines])
    await office.night()
    await office.reconcile()
    assert (office.open_tickets(), len(office.all_tickets())) == ([], 1)


async def test_a_line_that_is_shown_no_more_is_one_ticket(office: Office) -> None:
    _, line = await office.buy()
    await office.buy()
    await office.night()
    del office.statements.shown[line.line_id]

    await office.night(AGAIN_DAYS + 1)

    assert ("missing_there", "day") in office.open_tickets()
    assert len([one for one in office.open_tickets() if one == ("missing_there", "day")]) == 1


async def test_a_line_that_appears_in_a_day_that_was_over_is_one_ticket_until_it_is_settled(office: Office) -> None:
    await office.buy()
    early = office.clock()
    await paid_out_daily(office, 3)
    order = await office.shop.order()
    payment_id = office.shop.bench.pay(order)
    await office.shop.settle()
    line = replace(office.charge(order, payment_id), at_ms=early)
    office.statements.show(line)

    await paid_out_daily(office, AGAIN_DAYS - 2)
    assert ("missing_here", "line") in office.open_tickets()

    await office.settle(day_of(early))
    await office.reconcile()
    assert office.open_tickets() == []


async def test_credits_that_nobody_paid_for_are_one_ticket(office: Office) -> None:
    """Posted in the form of a purchase, by whoever can write the ledger."""
    facts = {"reason": "credits bought", "order": "none", "payment": "stripe:pi_none"}
    await office.shop.process().ledger.grant_paid(WALLET, 7, key="stripe:pi_none", facts=facts)

    await office.night(2)

    assert office.open_tickets() == [("missing_there", "entry")]


async def test_credits_for_an_order_that_nobody_paid_are_one_ticket(office: Office) -> None:
    order = await office.shop.order()
    for number, payment in enumerate(("stripe:None", "stripe:", "stripe:pi_1")):
        facts = {"reason": "credits bought", "order": order.order_id, "payment": payment}
        await office.shop.process().ledger.grant_paid(WALLET, order.credits_micros, key=payment, facts=facts)
        await office.night()
        assert office.open_tickets() == [("missing_there", "entry")] * (number + 1)


async def test_a_second_grant_for_a_payment_is_one_ticket(office: Office) -> None:
    """In the form of the first, under another key."""
    order, line = await office.buy()
    facts = {"reason": "credits bought", "order": order.order_id, "payment": f"stripe:{line.payment_id}"}
    await office.shop.process().ledger.grant_paid(WALLET, order.credits_micros, key="another", facts=facts)

    await office.night()

    assert office.open_tickets() == [("missing_there", "entry")]


async def test_more_credits_than_were_sold_are_one_ticket(office: Office) -> None:
    order = await office.shop.order()
    payment_id = office.shop.bench.pay(order)
    facts = {"reason": "credits bought", "order": order.order_id, "payment": f"stripe:{payment_id}"}
    posted = order.credits_micros + 1
    await office.shop.process().ledger.grant_paid(WALLET, posted, key=f"stripe:{payment_id}", facts=facts)
    await office.shop.settle()

    await office.night()

    assert office.open_tickets() == [("amount_differs", "entry")]


async def test_a_refund_that_failed_before_we_ever_saw_it_is_nobodys_ticket(office: Office) -> None:
    _, line = await office.buy()
    shown = await office.refund(line, 100, is_told=False)
    office.shop.bench.fail_refund(shown.about)
    back = replace(shown, line_id="txn_back", amount_minor=100, is_void=True)
    office.statements.show(replace(shown, is_void=True), back)

    await office.night(2)

    assert office.all_tickets() == []


async def test_a_line_that_appears_hides_none_that_is_gone(office: Office) -> None:
    _, line = await office.buy()
    await office.night()
    del office.statements.shown[line.line_id]
    office.statements.show(replace(line, line_id="txn_other"))

    await office.night(AGAIN_DAYS)

    assert ("missing_there", "day") in office.open_tickets()


async def test_a_payout_made_by_hand_is_not_compared(office: Office) -> None:
    """Its provider does not say what is in it."""
    _, line = await office.buy()
    payout = office.statements.pay_out("po_1", office.today, [line.line_id])
    office.statements.payouts["po_1"] = (replace(payout, lists_lines=False), office.today, [])

    await office.night(2)

    assert office.all_tickets() == []


async def test_a_posting_that_hides_from_the_index_shows_in_the_sums_of_its_day(office: Office) -> None:
    facts = {"reason": "credits bought", "order": "none", "payment": "stripe:pi_none"}
    posted = await office.shop.process().ledger.grant_paid(WALLET, 7, key="stripe:pi_none", facts=facts)
    office.clock.now_ms += DAY
    await office.settle_ledger()
    office.shop.ledger_store.entries[WALLET, posted.entry.entry_id]["payees"] = []
    await office.settle()
    await office.reconcile()

    assert office.open_tickets() == [("amount_differs", "ledger")]


async def test_what_others_sell_on_the_same_account_is_nobody_elses_ticket(office: Office) -> None:
    _, line = await office.buy()
    office.statements.show(replace(line, line_id="txn_foreign", payment_id="pi_foreign", order_id=None))

    await office.night(2)

    assert office.all_tickets() == []


async def test_what_differs_anew_opens_the_same_ticket(office: Office) -> None:
    _, line = await office.buy()
    wrong = replace(line, money=Money(PRICE + 1, "USD"))
    office.statements.show(wrong)
    await office.night()
    office.statements.show(line)
    await office.night()
    assert office.open_tickets() == []
    office.statements.show(wrong)
    await office.night(AGAIN_DAYS)

    [ticket] = office.all_tickets()
    assert ticket.state is TicketState.OPEN
    assert ticket.first_seen_ms < ticket.last_seen_ms


async def test_a_day_is_compared_only_once_it_is_settled(office: Office) -> None:
    await office.buy(is_told=False)
    office.clock.now_ms += DAY

    assert not (await office.reconcile()).finished
    assert office.all_tickets() == []

    await office.settle_ledger()
    await office.settle()
    assert (await office.reconcile()).finished
    assert office.open_tickets() == [("missing_here", "line")]


class SilentStatements(MemoryStatements):
    """Books of a provider that does not answer."""

    asks = 0

    async def lines(self, day: str, cursor: str | None) -> Page:
        raise RailUnavailable("Stripe")

    async def line(self, line_id: str) -> Line | None:
        self.asks += 1
        raise RailUnavailable("Stripe")


async def test_a_provider_that_does_not_answer_is_not_waited_for_with_each_ticket(office: Office) -> None:
    """Each wait takes most of a minute, and a run has five: else no day would be compared while it is silent."""
    for _ in range(3):
        await office.buy(is_told=False)
    await office.night()
    office.statements = silent = SilentStatements()

    await office.night()

    assert (silent.asks, len(office.open_tickets())) == (WAITS_MAX, 3)


async def test_a_provider_that_does_not_answer_holds_up_nothing_else_and_closes_no_ticket(office: Office) -> None:
    await office.buy(is_told=False)
    await office.night()
    shown, office.statements = office.statements, SilentStatements()

    silent = await office.night()

    assert (silent.finished, silent.days) == (False, 1), "the ledger's own day was compared"
    assert not (await office.settle()).finished
    assert office.open_tickets() == [("missing_here", "line")]

    office.statements = shown
    await office.shop.work()
    await office.settle()
    done = await office.reconcile()
    assert (done.finished, office.open_tickets()) == (True, [])


async def test_days_of_an_outage_are_made_up_for(office: Office) -> None:
    await office.buy(is_told=False)
    office.clock.now_ms += 4 * DAY
    await office.settle_ledger()

    settled = await office.settle()
    done = await office.reconcile()

    assert (settled.days, settled.finished) == (4, True)
    assert (done.days, done.finished) == (8, True)
    assert office.open_tickets() == [("missing_here", "line")]
    assert office.all_tickets()[0].difference.thing.day == moved(office.today, -4)


async def test_a_payment_and_its_posting_agree_to_the_micro(office: Office) -> None:
    order, _ = await office.buy()

    await office.night()

    day: Any = await office.house_books.find(moved(office.today, -1))
    assert day.moved["house:payments"] == {Origin.PAID.value: -order.credits_micros}
    assert STRIPE in {rail for rail, _ in office.books.lines}
