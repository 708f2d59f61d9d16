"""What a pool's postings do to whose credits, at the edges; and that nobody can write the book otherwise."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from shared.base.ids import AccountId, UserId
from shared.base.periods import Period
from shared.ledger import shares
from shared.ledger.administration import Administration
from shared.ledger.errors import AccountNotOpen, ChainBroken, CreditTooLow, SpendLimitReached
from shared.ledger.funds import Funds
from shared.ledger.memory import MemoryLedgerArchive, MemoryLedgerStore
from shared.ledger.models import Book, Head, Lot, Origin, SpendLimit, Stake
from shared.ledger.operation import post
from shared.ledger.pool_errors import DrawUnseen, PoolEnding, PoolFull, PoolInUse, StakeAbsent, StakesOnly
from shared.ledger.pooling import GiveBack
from shared.ledger.pools import PoolLedger, draw_entry_id, wallet_of
from shared.ledger.rules import LOTS_MAX
from shared.ledger.service import Ledger
from shared.ledger.share_check import ShareFold, check_shares
from shared.ledger.verify import verify_account
from tests.ledger.builders import DAY, Ticker, debit, engine_on

POOL, CARD, OTHER_CARD = AccountId("pool:p"), AccountId("card:c"), AccountId("card:d")
ADA, BEN, CLARA = UserId("ada"), UserId("ben"), UserId("clara")
DAILY = SpendLimit(100, Period.DAY)


class Bank:
    """A pool of three people in memory, each with a wallet of paid credits, and two cards."""

    def __init__(self) -> None:
        self.clock = Ticker()
        self.store = MemoryLedgerStore()
        engine = engine_on(self.store)
        self.ledger = Ledger(engine, self.store, self.clock)
        self.funds = Funds(engine, self.clock)
        self.administration = Administration(engine, self.store, self.clock)
        self.pools = PoolLedger(engine, self.ledger, self.clock)

    async def put_in(self, person: UserId, amount: int) -> None:
        key = f"{person}{amount}"
        await self.pools.contribute(POOL, person, amount, origin=Origin.PAID, key=key, facts={})

    async def draw(self, person: UserId, amount: int, card: AccountId = CARD) -> None:
        await self.pools.draw(POOL, card, person, amount, facts={})

    async def book(self) -> Book:
        return await self.pools.book(POOL)

    async def stake(self, person: UserId) -> Stake:
        stake = shares.stake_of(await self.book(), person)
        assert stake is not None
        return stake

    async def share(self, person: UserId) -> int:
        return sum(lot.remaining_micros for lot in (await self.stake(person)).lots)

    async def verify(self) -> None:
        await verify_account(MemoryLedgerArchive(self.store), POOL)


@pytest.fixture
async def bank() -> Bank:
    bank = Bank()
    await bank.pools.open(POOL)
    for person in (ADA, BEN, CLARA):
        await bank.ledger.open(wallet_of(person))
        await bank.ledger.grant_paid(wallet_of(person), 10_000, key="paid", facts={})
        await bank.pools.seat(POOL, person, None, members_max=3)
    for card in (CARD, OTHER_CARD):
        await bank.funds.open(card, None)
    return bank


async def test_what_is_lent_is_split_by_what_each_has_to_the_micro(bank: Bank) -> None:
    await bank.put_in(ADA, 2)
    await bank.put_in(BEN, 1)

    await bank.draw(CLARA, 2)
    assert (await bank.share(ADA), await bank.share(BEN)) == (1, 0)
    await bank.pools.give_back(POOL, CARD, CLARA, facts={})
    assert (await bank.share(ADA), await bank.share(BEN)) == (2, 1)
    await bank.verify()


async def test_only_who_lends_is_drawn_on(bank: Bank) -> None:
    """Each says it for themselves; what was drawn before comes back all the same."""
    await bank.put_in(ADA, 100)
    await bank.put_in(BEN, 100)
    await bank.draw(CLARA, 20)
    await bank.pools.lend(POOL, ADA, False)

    with pytest.raises(CreditTooLow):
        await bank.draw(CLARA, 91, OTHER_CARD)
    await bank.draw(CLARA, 90, OTHER_CARD)
    assert (await bank.share(ADA), await bank.share(BEN)) == (90, 0)
    for card in (CARD, OTHER_CARD):
        await bank.pools.give_back(POOL, card, CLARA, facts={})
    assert (await bank.share(ADA), await bank.share(BEN)) == (100, 100)
    await bank.verify()


async def test_only_what_was_paid_for_is_lent(bank: Bank) -> None:
    """A gift is for whom it was given to, in a pool too; its owner draws it, and first."""
    await bank.ledger.grant_promo(wallet_of(ADA), 50, lifetime_ms=DAY, key="gift", facts={})
    await bank.pools.contribute(POOL, ADA, 50, origin=Origin.PROMO, key="gift", facts={})

    with pytest.raises(CreditTooLow):
        await bank.draw(BEN, 1)
    await bank.put_in(ADA, 10)
    await bank.draw(BEN, 10)
    await bank.draw(ADA, 50, OTHER_CARD)
    await bank.verify()


async def test_whoever_puts_in_between_gains_nothing_of_what_comes_back(bank: Bank) -> None:
    """A flood of credits just before a large rest returns would take it, were shares parts of the whole."""
    await bank.put_in(ADA, 100)
    await bank.draw(BEN, 100)
    await bank.put_in(CLARA, 9_000)

    await bank.pools.give_back(POOL, CARD, BEN, facts={})
    assert (await bank.share(ADA), await bank.share(CLARA)) == (100, 9_000)
    with pytest.raises(CreditTooLow):
        await bank.pools.take_out(POOL, CLARA, 9_001, key="k", facts={})


async def test_a_limit_counts_by_day_and_what_comes_back_counts_no_more(bank: Bank) -> None:
    await bank.put_in(ADA, 500)
    await bank.pools.relimit(POOL, BEN, DAILY)
    await bank.draw(BEN, 100)
    with pytest.raises(SpendLimitReached) as refused:
        await bank.draw(BEN, 1, OTHER_CARD)
    assert refused.value.details()["resets_at_ms"] > bank.clock()

    await bank.ledger.debit(CARD, 30, key="spent", facts={})
    await bank.pools.give_back(POOL, CARD, BEN, facts={})
    with pytest.raises(SpendLimitReached):
        await bank.draw(BEN, 71, OTHER_CARD)
    await bank.draw(BEN, 70, OTHER_CARD)
    bank.clock.now_ms += DAY
    # What was drawn yesterday gives nothing back to the limit of today.
    await bank.pools.give_back(POOL, OTHER_CARD, BEN, facts={})
    third = AccountId("card:e")
    await bank.funds.open(third, None)
    await bank.draw(BEN, 100, third)
    assert (await bank.stake(BEN)).allowance.day_micros == 100
    assert (await bank.stake(BEN)).used_micros == 130


async def test_a_limit_holds_when_two_processes_draw_at_once(bank: Bank) -> None:
    """And whoever takes out their own at the same moment takes out no more than is left of it."""
    await bank.put_in(ADA, 500)
    await bank.pools.relimit(POOL, BEN, DAILY)
    other = PoolLedger(engine_on(bank.store), Ledger(engine_on(bank.store), bank.store, bank.clock), bank.clock)
    cards = [AccountId(f"card:at-once-{number}") for number in range(10)]
    for card in cards:
        await bank.funds.open(card, None)

    draws = [(bank.pools, other)[n % 2].draw(POOL, card, BEN, 30, facts={}) for n, card in enumerate(cards)]
    takes = [(other, bank.pools)[n % 2].take_out(POOL, ADA, 150, key=f"k{n}", facts={}) for n in range(6)]
    outcomes = await asyncio.gather(*draws, *takes, return_exceptions=True)

    drawn, taken = (sum(not isinstance(one, BaseException) for one in part) for part in (outcomes[:10], outcomes[10:]))
    assert all(isinstance(one, CreditTooLow) for one in outcomes if isinstance(one, BaseException))
    assert drawn <= 3
    assert await bank.share(ADA) == 500 - 30 * drawn - 150 * taken >= 0
    assert (await bank.stake(BEN)).allowance.day_micros == 30 * drawn
    await bank.verify()


async def test_ones_own_is_under_no_limit(bank: Bank) -> None:
    await bank.put_in(BEN, 500)
    await bank.pools.relimit(POOL, BEN, SpendLimit(0, Period.DAY))

    await bank.draw(BEN, 500)
    assert (await bank.stake(BEN)).allowance.day_micros == 0


async def test_leaving_keeps_the_count_of_the_limit(bank: Bank) -> None:
    await bank.put_in(ADA, 500)
    await bank.pools.relimit(POOL, BEN, DAILY)
    await bank.draw(BEN, 100)
    await bank.pools.leave(POOL, BEN, key="l", facts={})
    await bank.pools.seat(POOL, BEN, DAILY, members_max=3)

    with pytest.raises(SpendLimitReached):
        await bank.draw(BEN, 1, OTHER_CARD)


async def test_seats_are_counted(bank: Bank) -> None:
    with pytest.raises(PoolFull):
        await bank.pools.seat(POOL, UserId("dora"), None, members_max=3)
    with pytest.raises(StakeAbsent):
        await bank.pools.relimit(POOL, UserId("dora"), None)
    await bank.pools.leave(POOL, BEN, key="l", facts={})
    await bank.pools.seat(POOL, UserId("dora"), None, members_max=3)
    await bank.pools.seat(POOL, ADA, DAILY, members_max=1)
    assert (await bank.stake(ADA)).allowance.limit is None


async def test_whoever_has_no_seat_neither_puts_in_nor_draws_nor_lends(bank: Bank) -> None:
    await bank.put_in(ADA, 50)
    await bank.draw(BEN, 50)
    await bank.pools.leave(POOL, ADA, key="l", facts={})
    await bank.pools.give_back(POOL, CARD, BEN, facts={})

    assert await bank.share(ADA) == 50
    with pytest.raises(StakeAbsent):
        await bank.put_in(ADA, 1)
    with pytest.raises(StakeAbsent):
        await bank.draw(ADA, 1, OTHER_CARD)
    with pytest.raises(CreditTooLow):
        await bank.draw(BEN, 1, OTHER_CARD)
    await bank.pools.take_out(POOL, ADA, 50, key="k", facts={})
    await bank.verify()


def test_a_posting_that_leaves_a_pools_credits_to_nobody_is_never_written() -> None:
    """Whatever an operation computes: all that is in a pool is somebody's."""
    pool = Head(POOL, lots=(Lot(Origin.PAID, None, 5),), book=Book())

    with pytest.raises(ArithmeticError):
        post(debit(1, by=POOL), pool, changes=(), legs=(), facts=(), book=Book())


async def test_a_pools_credits_move_by_nothing_else(bank: Bank) -> None:
    """Neither a transfer, a charge nor a clawback says whose they are, not even of all that there is."""
    await bank.put_in(ADA, 50)
    wallet = wallet_of(ADA)
    tries = [
        bank.ledger.transfer(POOL, wallet, 1, key="k", facts={}),
        bank.ledger.transfer(wallet, POOL, 1, key="k", facts={}),
        bank.ledger.transfer(POOL, wallet, 50, key="all", facts={}),
        bank.ledger.debit(POOL, 1, key="k", facts={}),
        bank.ledger.debit(POOL, 50, key="all", facts={}),
        bank.ledger.grant_paid(POOL, 1, key="k", facts={}),
        bank.funds.withdraw(POOL, wallet, key="k", facts={}),
        bank.administration.claw_back(POOL, 1, key="k", facts={}),
    ]

    for work in tries:
        with pytest.raises(StakesOnly):
            await work
    with pytest.raises(PoolInUse):
        await bank.administration.close(POOL, rest_to=wallet, key="k", facts={})
    assert await bank.share(ADA) == 50
    await bank.verify()


async def test_a_card_draws_once_and_only_while_it_is_empty(bank: Bank) -> None:
    await bank.put_in(ADA, 50)
    await bank.ledger.transfer(wallet_of(BEN), OTHER_CARD, 5, key="k", facts={})

    await bank.draw(BEN, 20)
    await bank.draw(BEN, 20)
    assert await bank.share(ADA) == 30
    with pytest.raises(CreditTooLow):
        await bank.draw(BEN, 20, OTHER_CARD)
    with pytest.raises(DrawUnseen):
        await bank.pools.give_back(POOL, OTHER_CARD, BEN, facts={})


async def test_a_draw_that_was_overlooked_is_not_forgotten(bank: Bank) -> None:
    """The draw came after it was looked for, and all of it is spent: closed without it, it would be out for ever."""
    await bank.put_in(ADA, 20)
    await bank.draw(BEN, 20)
    await bank.ledger.debit(CARD, 20, key="k", facts={})
    heads = {name: await bank.ledger.head(name) for name in (CARD, POOL)}
    overlooking = GiveBack(
        account_id=CARD, rest_to=POOL, user_id=BEN, drawn=None, key="k", facts=(), at_ms=bank.clock()
    )

    with pytest.raises(DrawUnseen):
        overlooking.apply(heads)


async def test_a_closed_card_draws_no_more(bank: Bank) -> None:
    await bank.put_in(ADA, 50)
    await bank.pools.give_back(POOL, CARD, BEN, facts={})

    with pytest.raises(AccountNotOpen):
        await bank.draw(BEN, 20)
    assert (await bank.book()).draws_open == 0


async def test_a_pool_closes_when_everybody_has_theirs(bank: Bank) -> None:
    await bank.put_in(ADA, 50)
    with pytest.raises(PoolInUse):
        await bank.pools.close(POOL, facts={})
    await bank.draw(BEN, 50)
    await bank.pools.end(POOL)

    with pytest.raises(PoolInUse):
        await bank.pools.close(POOL, facts={})
    with pytest.raises(PoolEnding):
        await bank.pools.seat(POOL, BEN, None, members_max=9)
    await bank.pools.give_back(POOL, CARD, BEN, facts={})
    with pytest.raises(PoolInUse):
        await bank.pools.close(POOL, facts={})
    await bank.pools.leave(POOL, ADA, key="l", facts={})
    await bank.pools.close(POOL, facts={})
    await bank.verify()


async def test_lots_that_the_head_merges_stay_their_owners(bank: Bank) -> None:
    """More expiries than a head keeps apart: nobody loses a micro or a day."""
    for number in range(LOTS_MAX):
        person = (ADA, BEN)[number % 2]
        lifetime_ms = (number + 1) * DAY
        key = f"promo{number}"
        await bank.ledger.grant_promo(wallet_of(person), 7, lifetime_ms=lifetime_ms, key=key, facts={})
    for person in (ADA, BEN):
        amount = 7 * LOTS_MAX // 2
        await bank.pools.contribute(POOL, person, amount, origin=Origin.PROMO, key="all", facts={})
        await bank.put_in(person, 3)

    assert len((await bank.ledger.head(POOL)).lots) <= LOTS_MAX
    assert await bank.share(ADA) == await bank.share(BEN) == 7 * LOTS_MAX // 2 + 3
    await bank.verify()


@pytest.mark.parametrize("rows", [[["ben", "paid", None, 50]], [["ada", "paid", None, 49]], "x", []])
async def test_an_entry_that_gives_the_credits_to_another_is_found(bank: Bank, rows: Any) -> None:
    """The rows are under the entry's hash; and a book that says otherwise than they do is found too."""
    await bank.put_in(ADA, 50)
    [(ref, entry)] = [(ref, one) for ref, one in bank.store.entries.items() if ref[0] == POOL and one["seq"] == 2]
    bank.store.entries[ref] = {**entry, "facts": {**entry["facts"], "shares": str(rows)}}

    with pytest.raises(ChainBroken):
        await bank.verify()


@pytest.mark.parametrize("rows", ["[]", '[["ben","paid",null,51]]', '[["ben","promo",null,50]]'])
async def test_an_entry_moves_the_credits_of_those_it_names(bank: Bank, rows: str) -> None:
    """Also one that was sealed anew, on an account whose book nobody looked at yet."""
    await bank.put_in(ADA, 50)
    entry_id = next(ref[1] for ref, one in bank.store.entries.items() if ref[0] == POOL and one["seq"] == 2)
    entry = await bank.ledger.entry(POOL, entry_id)

    with pytest.raises(ChainBroken, match="other credits than those"):
        check_shares(replace(entry, facts=(("shares", rows),)))


async def test_nobody_gives_more_than_they_had(bank: Bank) -> None:
    await bank.put_in(ADA, 50)
    await bank.draw(BEN, 50)
    fold = ShareFold(POOL)
    drawn = await bank.ledger.entry(POOL, draw_entry_id(CARD))

    with pytest.raises(ChainBroken, match="takes more from a member"):
        fold.add(drawn)


async def test_a_book_that_gives_the_credits_to_another_is_found(bank: Bank) -> None:
    await bank.put_in(ADA, 50)
    book = bank.store.heads[POOL]["book"]
    ada, ben, clara = book["stakes"]
    swapped = [{**ada, "lots": ben["lots"]}, {**ben, "lots": ada["lots"]}, clara]
    bank.store.heads[POOL]["book"] = {**book, "stakes": swapped}

    with pytest.raises(ChainBroken, match="other shares than its entries give"):
        await bank.verify()
    bank.store.heads[POOL]["book"] = {**book, "stakes": [{**ada, "lots": []}, ben, clara]}
    with pytest.raises(ChainBroken, match="not those of its members"):
        await bank.verify()


async def test_the_draws_entry_names_whose_credits_went(bank: Bank) -> None:
    await bank.put_in(ADA, 50)
    await bank.put_in(BEN, 10)
    await bank.draw(BEN, 30)

    entry = await bank.ledger.entry(POOL, draw_entry_id(CARD))
    assert shares.rows_from(dict(entry.facts)) == [
        (ADA, Origin.PAID, None, -20),
        (BEN, Origin.PAID, None, -10),
    ]
