"""Any sequence of operations, through engines that lose messages, does what a naive ledger on paper would."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shared.base.errors import CredenceError
from shared.base.ids import AccountId
from shared.ledger.memory import MemoryLedgerArchive, MemoryLedgerStore
from shared.ledger.operation import Posted
from shared.ledger.rules import spendable_micros
from shared.ledger.verify import verify_ledger
from tests.ledger.builders import (
    ADA,
    BEN,
    NOW,
    FaultyStore,
    capture,
    chance_of,
    debit,
    engine_on,
    grant,
    open_account,
    place,
    release,
    transfer,
)

LIFETIME = 60
people = st.sampled_from([ADA, BEN])
sums = st.integers(1, 120)


@dataclass
class Paper:
    """One account, the slow way: each lot a row, each hold a row, every answer by adding up."""

    rows: list[list[Any]] = field(default_factory=list)
    """[is_paid, expires_at or infinity, amount], in the order of spending."""
    holds: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    spent: int = 0

    def live(self, at_ms: int) -> dict[str, tuple[int, int, int]]:
        return {name: hold for name, hold in self.holds.items() if hold[2] > at_ms}

    def spendable(self, at_ms: int) -> int:
        alive = sum(int(amount) for _, expires, amount in self.rows if expires > at_ms)
        return max(0, alive - sum(amount for amount, _, _ in self.live(at_ms).values()))

    def add(self, is_paid: bool, expires: float, amount: int) -> None:
        for row in self.rows:
            if row[:2] == [is_paid, expires]:
                row[2] += amount
                return
        self.rows.append([is_paid, expires, amount])
        self.rows.sort()

    def take(self, amount: int, valid_at_ms: int) -> list[tuple[bool, float, int]]:
        taken = []
        for row in self.rows:
            part = min(row[2], amount) if row[1] > valid_at_ms else 0
            if part:
                taken.append((row[0], row[1], part))
                row[2] -= part
                amount -= part
        assert amount == 0
        return taken

    def balance(self) -> int:
        return sum(int(row[2]) for row in self.rows)


class LedgerMachine(RuleBasedStateMachine):
    """Two people, two engines, one faulty store, and the paper beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.memory = MemoryLedgerStore()
        store = FaultyStore(self.memory, lost=0.15, unacknowledged=0.15, unread=0.1, chance=chance_of(7))
        self.engines = [engine_on(store, seed) for seed in range(2)]
        self.paper = {ADA: Paper(), BEN: Paper()}
        self.at_ms = NOW
        self.number = 0
        self.done: list[tuple[Any, Any]] = []
        for account_id in self.paper:
            assert isinstance(self.outcome(open_account(account_id)), Posted)

    def teardown(self) -> None:
        self.runner.close()

    def outcome(self, operation: Any) -> Any:
        """What the engine answers: a result, or the code of a refusal."""
        self.number += 1
        try:
            result = self.runner.run(self.engines[self.number % 2].run(operation))
        except CredenceError as refusal:
            return refusal.code
        self.done.append((operation, result))
        return result

    def key(self) -> str:
        return f"key{self.number}"

    @rule(wait=st.integers(1, 40))
    def time_passes(self, wait: int) -> None:
        self.at_ms += wait

    @rule(account_id=people, amount=sums, lifetime=st.none() | st.integers(1, 80))
    def give(self, account_id: AccountId, amount: int, lifetime: int | None) -> None:
        expires = None if lifetime is None else self.at_ms + lifetime
        outcome = self.outcome(grant(amount, self.key(), to=account_id, promo_until=expires, at_ms=self.at_ms))

        self.paper[account_id].add(lifetime is None, expires or float("inf"), amount)
        assert outcome.entry.delta_micros == amount

    @rule(account_id=people, amount=sums)
    def charge(self, account_id: AccountId, amount: int) -> None:
        paper = self.paper[account_id]
        outcome = self.outcome(debit(amount, self.key(), by=account_id, at_ms=self.at_ms))

        if paper.spendable(self.at_ms) < amount:
            assert outcome == "credit_too_low"
            return
        paper.take(amount, self.at_ms)
        paper.spent += amount
        assert outcome.entry.balance_micros == paper.balance()

    @rule(payer=people, amount=sums)
    def move(self, payer: AccountId, amount: int) -> None:
        payee = BEN if payer == ADA else ADA
        outcome = self.outcome(transfer(amount, self.key(), by=payer, to=payee, at_ms=self.at_ms))

        if self.paper[payer].spendable(self.at_ms) < amount:
            assert outcome == "credit_too_low"
            return
        for is_paid, expires, part in self.paper[payer].take(amount, self.at_ms):
            self.paper[payee].add(is_paid, expires, part)
        assert outcome.entry.delta_micros == -amount

    @rule(account_id=people, amount=sums)
    def hold(self, account_id: AccountId, amount: int) -> None:
        paper, name = self.paper[account_id], self.key()
        wanted = place(amount, name, by=account_id, at_ms=self.at_ms, lifetime_ms=LIFETIME)
        spendable = paper.spendable(self.at_ms)

        if spendable < amount:
            assert self.outcome(wanted) == "credit_too_low"
            return
        paper.holds[name] = (amount, self.at_ms, self.at_ms + LIFETIME)
        held = self.outcome(wanted)
        assert (held.hold, held.spendable_micros) == (wanted.hold, spendable - amount)

    @precondition(lambda self: any(paper.holds for paper in self.paper.values()))
    @rule(data=st.data(), share=st.integers(1, 110))
    def take(self, data: st.DataObject, share: int) -> None:
        account_id, name = data.draw(st.sampled_from([(a, name) for a, p in self.paper.items() for name in p.holds]))
        paper = self.paper[account_id]
        held, placed, expires = paper.holds[name]
        amount = max(1, held * share // 100)
        outcome = self.outcome(capture(amount, name, by=account_id, at_ms=self.at_ms))

        if expires <= self.at_ms:
            assert outcome == "hold_not_found"
        elif amount > held:
            assert outcome == "hold_exceeded"
        else:
            paper.take(amount, placed)
            paper.spent += amount
            del paper.holds[name]
            assert outcome.entry.delta_micros == -amount

    @precondition(lambda self: any(paper.holds for paper in self.paper.values()))
    @rule(data=st.data())
    def let_go(self, data: st.DataObject) -> None:
        account_id, name = data.draw(st.sampled_from([(a, name) for a, p in self.paper.items() for name in p.holds]))
        expires = self.paper[account_id].holds.pop(name)[2]
        outcome = self.outcome(release(name, by=account_id, at_ms=self.at_ms))

        # When the answer was lost, the hold is found gone; either way it no longer counts.
        assert outcome == "hold_not_found" or (expires > self.at_ms and outcome.hold_id == name)

    @precondition(lambda self: any(isinstance(result, Posted) for _, result in self.done))
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Whatever was posted answers the same for ever."""
        operation, result = data.draw(st.sampled_from([d for d in self.done if isinstance(d[1], Posted)]))

        assert self.outcome(operation) == Posted(result.entry, repeated=True)

    @invariant()
    def the_ledger_is_what_the_paper_says(self) -> None:
        report = self.runner.run(verify_ledger(MemoryLedgerArchive(self.memory), {}))
        assert report.broken == ()
        assert report.drift_micros == 0
        heads = self.runner.run(self.memory.read(list(self.paper), ())).heads
        for account_id, paper in self.paper.items():
            head = heads[account_id].head
            assert head is not None
            assert head.balance_micros == paper.balance()
            assert head.spent_micros == paper.spent
            assert spendable_micros(head, self.at_ms) == paper.spendable(self.at_ms)


LedgerMachine.TestCase.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
TestLedgerMachine = LedgerMachine.TestCase
