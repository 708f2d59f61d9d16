"""Any sequence of what people do with a pool: its lots are its members', nobody takes out more than is theirs.

Beside the ledger runs a paper on which each person's own credits are written down the slow way.
"""

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shared.base.errors import CredenceError
from shared.base.ids import AccountId, UserId
from shared.base.periods import Period
from shared.ledger import shares
from shared.ledger.administration import Administration
from shared.ledger.errors import HoldsOpen, NothingExpired
from shared.ledger.funds import Funds
from shared.ledger.memory import MemoryLedgerArchive, MemoryLedgerStore
from shared.ledger.models import Head, Origin, SpendLimit
from shared.ledger.pools import PoolLedger, wallet_of
from shared.ledger.service import Ledger
from shared.ledger.verify import verify_ledger
from tests.ledger.builders import DAY, Ticker, engine_on

POOL = AccountId("pool:p")
PEOPLE = [UserId("ada"), UserId("ben"), UserId("clara")]
PAID, PROMO = 1_000, 400
LIFETIME = 3 * DAY
people = st.sampled_from(PEOPLE)
sums = st.integers(1, 500)


@dataclass
class Paper:
    """What one person put in and took out, and what others took of theirs, by origin."""

    own: dict[Origin, int] = field(default_factory=lambda: dict.fromkeys(Origin, 0))


@dataclass
class Drawn:
    """A card: whose it is, and what of whose credits was put on it."""

    user_id: UserId
    at_ms: int
    parts: dict[tuple[UserId, Origin], int]


class PoolMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = Ticker()
        self.store = MemoryLedgerStore()
        engine = engine_on(self.store)
        self.ledger = Ledger(engine, self.store, self.clock)
        self.funds = Funds(engine, self.clock)
        self.administration = Administration(engine, self.store, self.clock)
        self.pools = PoolLedger(engine, self.ledger, self.clock)
        self.paper = {person: Paper() for person in PEOPLE}
        self.cards: dict[AccountId, Drawn] = {}
        self.keys = 0
        self.run(self._begin())

    def run(self, work):  # type: ignore[no-untyped-def]
        return self.loop.run_until_complete(work)

    def tried(self, work) -> bool:  # type: ignore[no-untyped-def]
        try:
            self.run(work)
        except CredenceError:
            return False
        return True

    async def _begin(self) -> None:
        await self.pools.open(POOL)
        for person in PEOPLE:
            wallet = wallet_of(person)
            await self.ledger.open(wallet)
            await self.ledger.grant_paid(wallet, PAID, key="paid", facts={})
            await self.ledger.grant_promo(wallet, PROMO, lifetime_ms=LIFETIME, key="promo", facts={})
            await self.pools.seat(POOL, person, None, members_max=9)

    def head(self, account_id: AccountId = POOL) -> Head:
        return self.run(self.ledger.head(account_id))

    def key(self) -> str:
        self.keys += 1
        return str(self.keys)

    def stake_lots(self, person: UserId) -> dict[Origin, int]:
        book = self.head().book
        stake = shares.stake_of(book, person) if book else None
        lots = stake.lots if stake else ()
        return {origin: sum(lot.remaining_micros for lot in lots if lot.origin is origin) for origin in Origin}

    @rule(person=people, amount=sums, origin=st.sampled_from([None, *Origin]))
    def contribute(self, person: UserId, amount: int, origin: Origin | None) -> None:
        before = self.stake_lots(person)
        if self.tried(self.pools.contribute(POOL, person, amount, origin=origin, key=self.key(), facts={})):
            after = self.stake_lots(person)
            assert sum(after.values()) == sum(before.values()) + amount
            if origin:
                assert after[origin] == before[origin] + amount
            self.paper[person].own = after

    @rule(person=people, amount=sums)
    def take_out(self, person: UserId, amount: int) -> None:
        before = sum(self.paper[person].own.values())
        if self.tried(self.pools.take_out(POOL, person, amount, key=self.key(), facts={})):
            assert amount <= before
            self.paper[person].own = self.stake_lots(person)
            assert sum(self.paper[person].own.values()) == before - amount

    @rule(person=people, amount=st.integers(1, 2_000), limit=st.sampled_from([None, 0, 100]))
    def draw(self, person: UserId, amount: int, limit: int | None) -> None:
        """Own credits first; of the others only paid ones, in proportion, and within the limit."""
        allowed = None if limit is None else SpendLimit(limit, Period.DAY)
        seated = self.tried(self.pools.relimit(POOL, person, allowed))
        card = AccountId(f"card:{self.key()}")
        self.run(self.funds.open(card, None))
        before = {one: self.stake_lots(one) for one in PEOPLE}
        if not self.tried(self.pools.draw(POOL, card, person, amount, facts={})):
            return
        assert seated
        after = {one: self.stake_lots(one) for one in PEOPLE}
        parts = {(one, o): before[one][o] - after[one][o] for one in PEOPLE for o in Origin}
        lent = {one: parts[one, Origin.PAID] for one in PEOPLE if one != person}
        assert sum(parts.values()) == amount
        assert all(parts[one, Origin.PROMO] == 0 for one in PEOPLE if one != person)
        if sum(lent.values()):
            assert limit is None or sum(lent.values()) <= limit
            assert after[person][Origin.PAID] == 0
            others = sum(before[one][Origin.PAID] for one in lent)
            for one, part in lent.items():
                exact = sum(lent.values()) * before[one][Origin.PAID]
                assert exact // others <= part <= -(-exact // others)
        for one in PEOPLE:
            self.paper[one].own = after[one]
        self.cards[card] = Drawn(person, self.clock(), parts)

    @rule(data=st.data(), spent=st.integers(0, 2_000))
    def spend_and_give_back(self, data: st.DataObject, spent: int) -> None:
        """The others' come back first and never more than they gave; the rest is the drawer's."""
        if not self.cards:
            return
        card = data.draw(st.sampled_from(sorted(self.cards)))
        drawn = self.cards.pop(card)
        free = self.ledger.spendable_micros(self.head(card))
        if spent and free:
            self.run(self.ledger.debit(card, min(spent, free), key="spent", facts={}))
        left = self.run(self._alive(card))
        self.run(self.pools.give_back(POOL, card, drawn.user_id, facts={}))
        for one in PEOPLE:
            for origin in Origin:
                given = drawn.parts[one, origin]
                self.paper[one].own[origin] += self._back(drawn, one, origin, left)
                assert self._back(drawn, one, origin, left) <= given
        back = {one: self.stake_lots(one) for one in PEOPLE}
        mine = {one: self.paper[one].own for one in PEOPLE}
        # Shares of a part are whole micros: by how they are rounded, two may differ by one.
        for one in PEOPLE:
            for origin in Origin:
                assert abs(back[one][origin] - mine[one][origin]) <= 1
            self.paper[one].own = back[one]

    async def _alive(self, card: AccountId) -> dict[Origin, int]:
        head = await self.ledger.head(card)
        alive = [lot for lot in head.lots if lot.expires_at_ms is None or lot.expires_at_ms > self.clock()]
        return {o: sum(lot.remaining_micros for lot in alive if lot.origin is o) for o in Origin}

    def _back(self, drawn: Drawn, one: UserId, origin: Origin, left: dict[Origin, int]) -> int:
        lent = sum(part for (who, o), part in drawn.parts.items() if who != drawn.user_id and o is origin)
        to_others = min(lent, left[origin])
        if one == drawn.user_id:
            return left[origin] - to_others
        return to_others * drawn.parts[one, origin] // lent if lent else 0

    @rule(person=people, returns=st.booleans())
    def leave(self, person: UserId, returns: bool) -> None:
        before = self.stake_lots(person)
        wallet = self.head(wallet_of(person)).balance_micros
        if self.tried(self.pools.leave(POOL, person, key=self.key(), facts={})):
            moved = self.head(wallet_of(person)).balance_micros - wallet
            assert moved <= sum(before.values())
            self.paper[person].own = self.stake_lots(person)
        if returns:
            self.tried(self.pools.seat(POOL, person, None, members_max=9))

    @rule(days=st.integers(0, 2))
    def pass_time(self, days: int) -> None:
        self.clock.now_ms += days * DAY
        for account_id in [POOL, *map(wallet_of, PEOPLE)]:
            try:
                self.run(self.administration.expire(account_id, self.clock()))
            except (NothingExpired, HoldsOpen):
                continue
        for person in PEOPLE:
            after = self.stake_lots(person)
            assert after[Origin.PAID] == self.paper[person].own[Origin.PAID]
            assert after[Origin.PROMO] <= self.paper[person].own[Origin.PROMO]
            self.paper[person].own = after

    @rule()
    def cannot_close_while_anything_is_in_it(self) -> None:
        head = self.head()
        busy = bool(head.lots) or bool(head.book and (head.book.draws_open or not head.book.closing))
        assert self.tried(self.pools.close(POOL, facts={})) is False or not busy

    @invariant()
    def the_lots_are_the_members(self) -> None:
        head = self.head()
        assert head.book is not None
        assert shares.lots_of(head.book) == shares.summed(head.lots)
        assert head.book.draws_open == len(self.cards)
        for person in PEOPLE:
            assert self.stake_lots(person) == self.paper[person].own

    def teardown(self) -> None:
        """Everybody leaves, the pool closes, and no credit is anywhere but with whom it should be."""

        async def end() -> None:
            for card, drawn in self.cards.items():
                await self.pools.give_back(POOL, card, drawn.user_id, facts={})
            await self.pools.end(POOL)
            for person in PEOPLE:
                try:
                    await self.pools.leave(POOL, person, key="end", facts={})
                except CredenceError:
                    continue
            await self.pools.close(POOL, facts={})
            report = await verify_ledger(MemoryLedgerArchive(self.store), {})
            assert report.intact, report.broken

        self.run(end())
        self.loop.close()


PoolMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestPools = pytest.mark.slow(PoolMachine.TestCase)
