"""What follows a payment that is undone: credits set aside, taken back, given back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.base.ids import AccountId
from shared.ledger.errors import AccountNotOpen, NothingToMove
from shared.ledger.funds import Funds
from shared.ledger.memory import MemoryLedgerArchive, MemoryLedgerStore
from shared.ledger.models import HOUSE_DISPUTES, HOUSE_PROMOTIONS, Leg, Origin
from shared.ledger.reversals import Reversals
from shared.ledger.rules import by_origin, free_micros
from shared.ledger.service import Ledger
from shared.ledger.verify import verify_account
from tests.ledger.builders import ADA, DAY, NOW, Ticker, engine_on, grant, opened

ESCROW = AccountId("escrow:dp_1")
FACTS = {"reason": "a dispute"}


class Books:
    """A ledger with a wallet and an open escrow account."""

    def __init__(self) -> None:
        self.store, self.clock = MemoryLedgerStore(), Ticker()
        self.engine = engine_on(self.store)
        self.reversals, self.funds = Reversals(self.engine, self.clock), Funds(self.engine, self.clock)
        self.ledger = Ledger(self.engine, self.store, self.clock)

    async def fill(self, *, paid: int = 0, promo: int = 0) -> None:
        await opened(self.store, accounts=(ADA,))
        await self.funds.open(ESCROW, None)
        if paid:
            await self.engine.run(grant(paid, "paid"))
        if promo:
            await self.engine.run(grant(promo, "promo", promo_until=NOW + DAY))

    async def balances(self) -> tuple[int, int]:
        heads = [await self.ledger.head(account_id) for account_id in (ADA, ESCROW)]
        return heads[0].balance_micros, heads[1].balance_micros

    async def check(self) -> None:
        for account_id in (ADA, ESCROW):
            await verify_account(MemoryLedgerArchive(self.store), account_id)


@pytest.fixture
def books() -> Books:
    return Books()


async def test_no_more_is_set_aside_than_there_is_and_was_asked_for(books: Books) -> None:
    await books.fill(paid=70, promo=30)

    moved = [await books.reversals.set_aside(ADA, ESCROW, amount, facts=FACTS) for amount in (50, 50)]

    assert moved == [50, 50]
    assert await books.balances() == (50, 50)


async def test_promotional_credits_are_not_set_aside(books: Books) -> None:
    await books.fill(promo=30)

    with pytest.raises(NothingToMove):
        await books.reversals.set_aside(ADA, ESCROW, 10, facts=FACTS)


async def test_what_calls_in_flight_hold_stays(books: Books) -> None:
    await books.fill(paid=70)
    await books.ledger.hold(ADA, 60, hold_id="h")  # type: ignore[arg-type]

    assert await books.reversals.set_aside(ADA, ESCROW, 70, facts=FACTS) == 10


async def test_a_closed_escrow_takes_nothing_more(books: Books) -> None:
    """A look that was overtaken by the decision finds that there is nothing to set aside any more."""
    await books.fill(paid=70)
    await books.funds.close(ESCROW, rest_to=ADA, facts={})

    with pytest.raises(AccountNotOpen):
        await books.reversals.set_aside(ADA, ESCROW, 70, facts=FACTS)


async def test_a_bonus_that_is_gone_is_owed_as_paid_credits(books: Books) -> None:
    await books.fill(paid=100, promo=5)

    posted = await books.reversals.take_back(ADA, 100, 20, payee=HOUSE_DISPUTES, key="k", facts=FACTS)

    assert await books.balances() == (-15, 0)
    assert set(posted.entry.legs) == {
        Leg(HOUSE_DISPUTES, Origin.PAID, 115),
        Leg(HOUSE_PROMOTIONS, Origin.PROMO, 5),
    }
    await books.check()


amounts = st.integers(min_value=0, max_value=200)


@given(paid=amounts, promo=amounts, credits=st.integers(min_value=1, max_value=200), bonus=amounts)
async def test_what_is_taken_is_exact_whatever_is_there(paid: int, promo: int, credits: int, bonus: int) -> None:
    """The balance falls by all of it, the legs cancel it origin by origin, and a repeat takes nothing more."""
    books = Books()
    await books.fill(paid=paid, promo=promo)

    posted = [
        await books.reversals.take_back(ADA, credits, bonus, payee=HOUSE_DISPUTES, key="k", facts=FACTS)
        for _ in range(2)
    ]

    head = await books.ledger.head(ADA)
    assert head.balance_micros == paid + promo - credits - bonus
    assert [one.repeated for one in posted] == [False, True]
    legs = {leg.origin: leg.amount_micros for leg in posted[0].entry.legs}
    assert legs == {origin: amount for origin, amount in by_origin(posted[0].entry.lots).items() if amount}
    await books.check()


@given(paid=amounts, promo=amounts, amount=st.integers(min_value=1, max_value=300), held=amounts)
async def test_setting_aside_leaves_what_is_held_and_comes_back_whole(
    paid: int, promo: int, amount: int, held: int
) -> None:
    books = Books()
    await books.fill(paid=paid, promo=promo)
    if 0 < held <= paid + promo:
        await books.ledger.hold(ADA, held, hold_id="h")  # type: ignore[arg-type]
    before = await books.ledger.head(ADA)

    try:
        moved = await books.reversals.set_aside(ADA, ESCROW, amount, facts=FACTS)
    except NothingToMove:
        moved = 0
    free_after = free_micros(await books.ledger.head(ADA), NOW)

    assert moved <= min(amount, paid)
    assert free_after == free_micros(before, NOW) - moved
    await books.funds.close(ESCROW, rest_to=ADA, facts={})
    assert (await books.ledger.head(ADA)).lots == before.lots
    await books.check()
