"""A chain as books: what came to our address and left it, day by day, whoever claims it, and what the address has."""

import base64
import json

import pytest
from msgspec.structs import replace

from shared.chain.models import UNITS_PER_CENT
from shared.chain.node import BLOCKS_MAX
from shared.payments.crypto.errors import PaymentRequired
from shared.payments.errors import RailUnavailable
from shared.payments.models import Money, OrderState, PaymentId, RailName
from shared.reconciliation.chain import ASSET, ChainStatements
from shared.reconciliation.days import end_ms, moved
from shared.reconciliation.models import Line, LineKind, TicketState
from tests.ledger.builders import DAY
from tests.payments.chain_benches import ADA, MALLORY
from tests.payments.chain_shop import PRICE, ChainShop
from tests.payments.memory_chain import TOKEN, MemoryChain
from tests.reconciliation.builders import Office

MINUTE_MS = 60_000


class ChainOffice(Office):
    """An office whose provider is a chain."""

    def __init__(self) -> None:
        self.chain_shop = ChainShop()
        super().__init__(shop=self.chain_shop)
        self.statements = ChainStatements(self.chain, TOKEN)

    @property
    def chain(self) -> MemoryChain:
        return self.chain_shop.chain

    async def days_pass(self, nights: int = 1) -> None:
        for _ in range(nights):
            self.clock.now_ms += DAY
            # Blocks come all the time, so by the night the day's are final.
            self.chain.finalize()
            self.chain.finalize()
            await self.settle_ledger()
            await self.settle()
            await self.reconcile()

    async def lines(self, day: str | None = None) -> list[Line]:
        found: list[Line] = []
        cursor: str | None = None
        while True:
            page = await self.statements.lines(day or self.today, cursor)
            found += page.lines
            cursor = page.cursor
            if cursor is None:
                return found


@pytest.fixture
async def office() -> ChainOffice:
    made = ChainOffice()
    made.clock.now_ms = end_ms(made.today) - DAY // 2
    await made.chain_shop.open_wallets()
    await made.days_pass(2)
    return made


async def paid(office: ChainOffice) -> None:
    """Somebody buys by a transfer, and shows it."""
    order = await office.shop.order()
    transaction = office.chain.transfer(ADA.address, PRICE)
    office.chain.finalize()
    await office.chain_shop.claim(order, transaction)
    office.clock.now_ms += 60_000
    await office.chain_shop.look()
    assert office.shop.store.orders[order.order_id].order.state is OrderState.GRANTED


async def test_purchases_by_both_ways_agree_with_what_the_address_has(office: ChainOffice) -> None:
    today = office.today
    await paid(office)
    with pytest.raises(PaymentRequired) as asked:
        await office.chain_shop.top_up(None)
    required = json.loads(base64.b64decode(asked.value.headers()["payment-required"]))
    payment = ADA.payment(required, now_s=office.clock() // 1000, nonce=office.chain.digest())
    await office.chain_shop.top_up(payment)
    office.chain.finalize()
    await office.chain_shop.top_up(payment)

    await office.days_pass(10)

    assert office.all_tickets() == []
    sold = [kept.order for kept in office.shop.store.orders.values()]
    assert {order.rail for order in sold} == set(ChainStatements.sells)
    assert {line.payment_id for line in await office.lines(today)} == {order.payment_id for order in sold}


async def test_an_order_that_the_chain_does_not_show_is_one_ticket(office: ChainOffice) -> None:
    await paid(office)
    [(name, kept)] = office.shop.store.orders.items()
    forged = replace(kept.order, rail=RailName.X402, payment_id=PaymentId("eip155:31337/0x0/0"))
    office.shop.store.orders[name] = replace(kept, order=forged)

    await office.days_pass(4)

    assert ("missing_there", "order") in office.open_tickets()
    office.shop.store.orders[name] = kept
    await office.days_pass(2)
    assert office.open_tickets() == []


async def test_a_transfer_is_a_line_of_the_day_of_its_block(office: ChainOffice) -> None:
    today = office.today
    transaction = office.chain.transfer(ADA.address, PRICE)
    await office.days_pass()

    [line] = await office.lines(today)

    assert (line.kind, line.amount_minor, line.currency, line.fee_minor) == (LineKind.PAYMENT, PRICE, ASSET, 0)
    assert (line.money, line.line_id) == (Money(PRICE // UNITS_PER_CENT, "USD"), f"{transaction}-0")
    assert await office.lines(moved(today, -1)) == []
    assert await office.statements.line(line.line_id) == line
    assert await office.statements.line(f"{transaction}-7") is None
    assert await office.statements.line(f"0x{'00' * 32}-0") is None


async def test_what_nobody_claims_is_one_ticket_until_somebody_does(office: ChainOffice) -> None:
    office.clock.now_ms = end_ms(office.today) - 10 * MINUTE_MS
    order = await office.shop.order()
    transaction = office.chain.transfer(ADA.address, PRICE)
    office.clock.now_ms += 30 * MINUTE_MS
    office.chain.finalize()
    office.chain.finalize()
    await office.settle_ledger()
    await office.settle()
    await office.reconcile()
    [ticket] = office.all_tickets()
    assert (ticket.difference.kind.value, ticket.difference.thing.kind.value) == ("missing_here", "line")

    await office.chain_shop.claim(order, transaction)
    await office.chain_shop.look()
    await office.days_pass(2)

    assert office.all_tickets()[0].state is TicketState.RESOLVED
    assert office.open_tickets() == []


async def test_less_than_a_cent_and_nothing_at_all_are_nobodys_ticket(office: ChainOffice) -> None:
    today = office.today
    office.chain.transfer(MALLORY.address, UNITS_PER_CENT - 1)
    office.chain.transfer(MALLORY.address, 0)
    await office.days_pass(2)

    assert [line.kind for line in await office.lines(today)] == [LineKind.OTHER]
    assert office.all_tickets() == []


async def test_what_leaves_the_address_is_counted_as_sent_on(office: ChainOffice) -> None:
    today = office.today
    await paid(office)
    office.chain.transfer(TOKEN.receiver, PRICE, to=ADA.address)
    office.chain.transfer(TOKEN.receiver, PRICE)
    await office.days_pass(2)

    assert [(line.kind, line.amount_minor) for line in await office.lines(today)] == [
        (LineKind.PAYMENT, PRICE),
        (LineKind.PAYOUT, -PRICE),
    ]
    assert office.all_tickets() == []
    [book] = await office.books.day_books(today, today)
    assert book.sums.balance_change_minor == 0


async def test_a_balance_that_no_transfer_explains_is_one_ticket(office: ChainOffice) -> None:
    await paid(office)
    office.chain.unexplained = 5
    balances = office.statements.balances

    async def since(day: str) -> dict[str, int] | None:
        told = await balances(day)
        return {name: amount - (5 if day < today else 0) for name, amount in told.items()} if told else None

    today = office.today
    office.statements.balances = since
    await office.days_pass(2)
    assert office.open_tickets() == [("amount_differs", "balance")]

    office.statements.balances = balances
    await office.days_pass()
    assert office.open_tickets() == []


async def test_a_node_that_forgets_old_state_compares_no_balance(office: ChainOffice) -> None:
    office.chain.forgets = True
    assert await office.statements.balances(moved(office.today, -1)) is None

    await office.days_pass(2)
    assert office.all_tickets() == []


async def test_a_day_is_read_only_once_its_last_block_is_final(office: ChainOffice) -> None:
    office.chain.transfer(ADA.address, PRICE)
    with pytest.raises(RailUnavailable):
        await office.lines()

    office.clock.now_ms = end_ms(office.today)
    office.chain.mine()
    with pytest.raises(RailUnavailable):
        await office.lines(moved(office.today, -1))
    office.chain.finalize()
    assert len(await office.lines(moved(office.today, -1))) == 1


async def test_days_of_more_blocks_and_transfers_than_are_asked_for_at_once(office: ChainOffice) -> None:
    today = office.today
    for _ in range(3):
        office.chain.transfer(ADA.address, PRICE, times=45)
    office.chain.mine(2 * BLOCKS_MAX)
    office.chain.transfer(ADA.address, PRICE)
    await office.days_pass()

    found = await office.lines(today)

    assert len({line.line_id for line in found}) == len(found) == 136


async def test_a_node_that_is_down_is_no_empty_day(office: ChainOffice) -> None:
    office.chain.is_down = True
    for asked in (office.lines(), office.statements.line("0x1-0"), office.statements.balances(office.today)):
        with pytest.raises(RailUnavailable):
            await asked
