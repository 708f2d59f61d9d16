"""Books of a day in which certain things are wrong, and the tickets that must come of exactly those."""

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from msgspec.structs import replace

from shared.payments.models import Money, PaymentId
from shared.reconciliation.days import day_of
from shared.reconciliation.service import LATE_DAYS
from tests.ledger.builders import DAY
from tests.payments.builders import WALLET
from tests.reconciliation.builders import PRICE, Office

Found = tuple[str, str]
"""Kind and thing of a ticket."""
PAYOUT = "po_1"
LATE: Found = ("late", "unpaid")


class Wrong(StrEnum):
    """What may be wrong about one purchase."""

    NOTHING = "nothing"
    UNTOLD = "untold"
    REFUND_UNTOLD = "refund_untold"
    GONE = "gone"
    AMOUNT = "amount"
    CURRENCY = "currency"
    TWICE = "twice"
    FEE_UNTOLD = "fee_untold"
    FEE_COUNTED = "fee_counted"
    AMOUNT_COUNTED = "amount_counted"
    FORGED = "forged"
    UNSETTLED = "unsettled"


class WrongDay(StrEnum):
    """What may be wrong about all of a day."""

    PAYOUT_OFF = "payout_off"
    PAYOUT_LOST = "payout_lost"
    BALANCE_OFF = "balance_off"


class WrongOffice(Office):
    """One whose provider forgets lines."""

    def __init__(self, page_lines: int) -> None:
        super().__init__(page_lines)
        self.gone: list[str] = []
        """Lines that the provider shows to nobody. They are taken out last, so that no number is given twice."""


TICKET_OF: dict[StrEnum, Found] = {
    Wrong.UNTOLD: ("missing_here", "line"),
    Wrong.REFUND_UNTOLD: ("missing_here", "line"),
    Wrong.GONE: ("missing_there", "order"),
    Wrong.AMOUNT: ("amount_differs", "line"),
    Wrong.CURRENCY: ("currency_differs", "line"),
    Wrong.TWICE: ("paid_twice", "line"),
    Wrong.FEE_UNTOLD: ("fee_unknown", "line"),
    Wrong.FEE_COUNTED: ("fee_unexplained", "content"),
    Wrong.AMOUNT_COUNTED: ("amount_differs", "content"),
    Wrong.FORGED: ("missing_there", "entry"),
    WrongDay.PAYOUT_OFF: ("amount_differs", "payout"),
    WrongDay.PAYOUT_LOST: ("missing_there", "payout"),
    WrongDay.BALANCE_OFF: ("amount_differs", "balance"),
}
COUNTED = (Wrong.FEE_COUNTED, Wrong.AMOUNT_COUNTED)


def expected(wrongs: Sequence[Wrong], day: WrongDay | None) -> list[Found]:
    """One ticket for each thing that is wrong, and one for all that is not at the bank in the end."""
    is_lost = day is WrongDay.PAYOUT_LOST
    # What a payout counts is not seen where it never arrived.
    seen = [wrong for wrong in wrongs if wrong in TICKET_OF and not (is_lost and wrong in COUNTED)]
    tickets = [TICKET_OF[wrong] for wrong in (*seen, *([day] if day else []))]
    in_payout = any(wrong not in (Wrong.GONE, Wrong.UNSETTLED, Wrong.FORGED) for wrong in wrongs)
    if Wrong.UNSETTLED in wrongs or (is_lost and in_payout):
        tickets.append(LATE)
    return sorted(tickets)


async def office_of(wrongs: Sequence[Wrong], day: WrongDay | None, *, page_lines: int = 100) -> Office:
    """The evening of the day; its payout arrives tomorrow."""
    office = WrongOffice(page_lines)
    office.statements.recounts = True
    await office.shop.open_wallet()
    await office.night(2)
    today = office.today
    paid_out: list[str] = []
    for number, wrong in enumerate(wrongs):
        paid_out += await _bought(office, wrong, number)
    for name in office.gone:
        del office.statements.shown[name]
    _send(office, paid_out, day)
    moved = sum(line.net_minor for line in office.statements.shown.values())
    off = 1 if day is WrongDay.BALANCE_OFF else 0
    before, after = day_of(office.clock() - DAY), {"USD": moved + off}
    office.statements.standing = {before: {}, today: after}
    return office


async def _bought(office: WrongOffice, wrong: Wrong, number: int) -> list[str]:
    """One purchase, and which of its lines are to be in the payout."""
    if wrong is Wrong.FORGED:
        facts = {"reason": "credits bought", "order": "none", "payment": f"stripe:pi_{number}"}
        await office.shop.process().ledger.grant_paid(WALLET, 7, key=f"forged:{number}", facts=facts)
        return []
    _, line = await office.buy(is_told=wrong is not Wrong.UNTOLD)
    match wrong:
        case Wrong.REFUND_UNTOLD:
            refund = await office.refund(line, 100, is_told=False)
            return [line.line_id, refund.line_id]
        case Wrong.GONE:
            office.gone.append(line.line_id)
            return []
        case Wrong.AMOUNT:
            office.statements.show(replace(line, money=Money(PRICE - 1, "USD")))
        case Wrong.CURRENCY:
            office.statements.show(replace(line, money=Money(PRICE, "EUR")))
        case Wrong.TWICE:
            second = replace(line, line_id=f"{line.line_id}_second", payment_id=PaymentId(f"pi_second_{number}"))
            office.statements.show(second)
            return [line.line_id, second.line_id]
        case Wrong.FEE_UNTOLD:
            office.statements.show(replace(line, fee_minor=None))
        case Wrong.FEE_COUNTED:
            office.statements.counted[PAYOUT, line.line_id] = replace(line, fee_minor=(line.fee_minor or 0) + 5)
        case Wrong.AMOUNT_COUNTED:
            office.statements.counted[PAYOUT, line.line_id] = replace(line, amount_minor=line.amount_minor + 5)
        case Wrong.UNSETTLED:
            return []
        case _:
            pass
    return [line.line_id]


def _send(office: Office, names: Sequence[str], day: WrongDay | None) -> None:
    payout = office.statements.pay_out(PAYOUT, day_of(office.clock() + DAY), names)
    counted = sum(
        one.net_minor - office.statements.shown[name].net_minor for (_, name), one in office.statements.counted.items()
    )
    amount = payout.amount_minor + counted + (1 if day is WrongDay.PAYOUT_OFF else 0)
    sent = replace(payout, amount_minor=amount, has_arrived=day is not WrongDay.PAYOUT_LOST)
    office.statements.payouts[PAYOUT] = (sent, day_of(office.clock() + DAY), list(names))


async def nights_until_all_is_seen(office: Office) -> None:
    await office.night(LATE_DAYS + 3)


def tickets_of(office: Office) -> Counter[Found]:
    """All tickets that there are, open or not."""
    things = (one.difference for one in office.all_tickets())
    return Counter((one.kind.value, one.thing.kind.value) for one in things)
