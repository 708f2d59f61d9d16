"""Payouts over stores in memory and Stripe's stand-in: crashes between any two steps, and thieves."""

import asyncio

import pytest
from msgspec.structs import replace

from local.stripe.account import StripeAccount
from shared.base.economy import DAY_MS
from shared.base.ids import AccountId, UserId
from shared.ledger.memory import MemoryLedgerArchive, MemoryLedgerStore
from shared.ledger.models import Origin
from shared.ledger.reversals import Reversals
from shared.ledger.service import Ledger
from shared.ledger.verify import verify_account
from shared.payouts import rules
from shared.payouts.errors import PayoutBusy, PayoutRefused
from shared.payouts.models import Payout, PayoutId, PayoutState, Recipient, Standing
from shared.payouts.service import Payouts
from shared.payouts.stripe import StripeSender
from tests.ledger.builders import Ticker, engine_on
from tests.payments.stripe_bench import AccountApi
from tests.payouts.test_standin import ready_recipient

ADA, EARN = UserId("ada"), AccountId("earn:ada")
EARNED = 3_000_000_000
ASKED = 2_000_000_000


class Died(Exception):
    """The process dies here."""


class MemoryPayouts:
    """Payouts in a dictionary; the process dies before or after its n-th write."""

    def __init__(self) -> None:
        self.kept: dict[PayoutId, Payout] = {}
        self.dies_at: int | None = None

    async def create(self, payout: Payout) -> Payout:
        self._step()
        kept = self.kept.setdefault(payout.payout_id, payout)
        self._step()
        return kept

    async def find(self, payout_id: PayoutId) -> Payout | None:
        return self.kept.get(payout_id)

    async def replace(self, before: Payout, after: Payout) -> None:
        self._step()
        if self.kept[before.payout_id] != before:
            raise PayoutBusy
        self.kept[before.payout_id] = after
        self._step()

    async def was_paid(self, owner: UserId) -> bool:
        return any(one.owner == owner and one.state is PayoutState.PAID for one in self.kept.values())

    def _step(self) -> None:
        if self.dies_at is not None:
            self.dies_at -= 1
            if self.dies_at < 0:
                self.dies_at = None
                raise Died


class Bench:
    """An earner with settled earnings, and a platform with money."""

    def __init__(self) -> None:
        self.clock = Ticker()
        store = MemoryLedgerStore()
        self.ledger_store = store
        engine = engine_on(store)
        self.ledger = Ledger(engine, store, self.clock)
        self.stripe = StripeAccount(lambda: self.clock() // 1000)
        self.stripe.bank.top_up("usd", 100_000)
        self.store = MemoryPayouts()
        recipient = Recipient(owner=ADA, destination=ready_recipient(self.stripe), is_active=True, bank_changed_at_ms=0)
        self.standing = Standing(recipient=recipient, wallet_micros=0, earned_micros=0, is_open=True, is_disputed=False)
        sender, reversals = StripeSender(AccountApi(self.stripe)), Reversals(engine, self.clock)
        self.payouts = Payouts(self.store, sender, engine, reversals, self.look, self.clock)

    async def look(self, owner: UserId) -> Standing:
        return self.standing

    async def earn(self, *, promo: bool = False) -> None:
        await self.ledger.open(EARN)
        if promo:
            await self.ledger.grant_promo(EARN, EARNED, lifetime_ms=90 * DAY_MS, key="earned", facts={})
        else:
            await self.ledger.grant_paid(EARN, EARNED, key="earned", facts={})

    async def balance(self) -> int:
        return (await self.ledger.head(EARN)).balance_micros

    def transfers(self) -> int:
        return len(self.stripe.handle("GET", "/v1/transfers", {})["data"])

    async def through(self) -> Payout:
        payout = await self.payouts.request(ADA, ASKED, key="one")
        await self.payouts.approve(payout.payout_id, operator="olga", reason="known to us")
        self.clock.now_ms += 8 * DAY_MS
        return await self.payouts.advance(payout.payout_id)


@pytest.fixture
async def bench() -> Bench:
    made = Bench()
    await made.earn()
    return made


async def test_earnings_are_set_aside_reviewed_held_and_sent(bench: Bench) -> None:
    paid = await bench.through()

    assert (paid.state, paid.amount_minor) == (PayoutState.PAID, 1_400)
    assert (bench.transfers(), await bench.balance()) == (1, EARNED - paid.micros)


@pytest.mark.parametrize("step", range(12))
async def test_a_death_before_or_after_any_write_pays_once(step: int) -> None:
    bench = Bench()
    await bench.earn()
    bench.store.dies_at = step
    try:
        paid = await bench.through()
    except Died:
        bench.stripe.forget_keys()
        paid = await bench.through()

    assert paid.state is PayoutState.PAID
    assert (bench.transfers(), await bench.balance()) == (1, EARNED - paid.micros)


async def test_two_requests_at_once_never_take_more_than_was_earned(bench: Bench) -> None:
    asked = [bench.payouts.request(ADA, ASKED, key=key) for key in ("one", "two", "one")]
    done = await asyncio.gather(*asked, return_exceptions=True)

    held = {one.payout_id for one in done if isinstance(one, Payout)}
    assert len(held) == 1
    assert await bench.balance() == EARNED - rules.cost_micros(1_400)


async def test_what_promotional_credits_earned_is_never_paid_out() -> None:
    bench = Bench()
    await bench.earn(promo=True)

    with pytest.raises(PayoutRefused, match="not_earned"):
        await bench.payouts.request(ADA, ASKED, key="one")

    assert {lot.origin for lot in (await bench.ledger.head(EARN)).lots} == {Origin.PROMO}


@pytest.mark.parametrize("field", ["is_disputed", "is_open", "wallet_micros", "recipient"])
async def test_what_comes_up_after_the_request_keeps_it_from_being_sent(bench: Bench, field: str) -> None:
    values = {"is_disputed": True, "is_open": False, "wallet_micros": -1, "recipient": None}
    payout = await bench.payouts.request(ADA, ASKED, key="one")
    await bench.payouts.approve(payout.payout_id, operator="olga", reason="known to us")
    bench.clock.now_ms += 8 * DAY_MS
    bench.standing = replace(bench.standing, **{field: values[field]})

    assert (await bench.payouts.advance(payout.payout_id)).state is PayoutState.HELD
    with pytest.raises(PayoutRefused):
        await bench.payouts.request(ADA, ASKED // 2, key="two")
    assert bench.transfers() == 0


async def test_a_change_of_bank_starts_a_cooldown(bench: Bench) -> None:
    payout = await bench.payouts.request(ADA, ASKED, key="one")
    await bench.payouts.approve(payout.payout_id, operator="olga", reason="known to us")
    bench.clock.now_ms += 8 * DAY_MS
    assert bench.standing.recipient is not None
    changed = replace(bench.standing.recipient, bank_changed_at_ms=bench.clock.now_ms)
    bench.standing = replace(bench.standing, recipient=changed)

    assert (await bench.payouts.advance(payout.payout_id)).state is PayoutState.HELD


async def test_a_first_payout_waits_for_a_person_who_may_refuse_it(bench: Bench) -> None:
    payout = await bench.payouts.request(ADA, ASKED, key="one")
    bench.clock.now_ms += 8 * DAY_MS
    assert (await bench.payouts.advance(payout.payout_id)).state is PayoutState.HELD

    for _ in range(2):
        await bench.payouts.refuse(payout.payout_id, operator="olga", reason="sells to herself")

    assert (await bench.payouts.advance(payout.payout_id)).state is PayoutState.REFUSED
    assert await bench.balance() == EARNED


async def test_a_transfer_that_came_back_gives_the_credits_back_once(bench: Bench) -> None:
    paid = await bench.through()
    bench.stripe.handle("POST", f"/v1/transfers/{paid.transfer_id}/reversals", {})

    for _ in range(2):
        seen = await bench.payouts.advance(paid.payout_id)

    assert (seen.state, await bench.balance()) == (PayoutState.REVERSED, EARNED)


async def test_a_refused_transfer_is_tried_again_and_pays_once(bench: Bench) -> None:
    destination = bench.standing.recipient.destination if bench.standing.recipient else ""
    bench.stripe.connect.restrict(destination)
    assert (await bench.through()).state is PayoutState.FAILED

    bench.stripe.connect.onboard(destination)
    assert (await bench.through()).state is PayoutState.PAID
    assert bench.transfers() == 1


async def test_what_died_between_the_record_and_the_credits_is_finished_by_whoever_looks(bench: Bench) -> None:
    bench.store.dies_at = 2
    with pytest.raises(Died):
        await bench.payouts.request(ADA, ASKED, key="one")
    payout_id = rules.payout_id_of(ADA, "one")
    assert bench.store.kept[payout_id].state is PayoutState.ACCRUED

    await bench.payouts.advance(payout_id)

    assert await bench.balance() == EARNED - rules.cost_micros(1_400)


async def test_the_earners_chain_verifies_after_credits_went_and_came_back(bench: Bench) -> None:
    paid = await bench.through()
    bench.stripe.handle("POST", f"/v1/transfers/{paid.transfer_id}/reversals", {})
    await bench.payouts.advance(paid.payout_id)

    archive = MemoryLedgerArchive(bench.ledger_store)
    await verify_account(archive, EARN)
