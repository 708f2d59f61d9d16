"""What comes up between request and sending keeps the money here."""

import pytest
from msgspec.structs import replace

from shared.base.economy import DAY_MS
from shared.base.ids import AccountId
from shared.ledger.administration import Administration
from shared.ledger.models import HOUSE_PAYMENTS
from shared.payments.models import (
    Hold,
    Money,
    Order,
    OrderId,
    OrderState,
    RailName,
    Reversal,
    ReversalKind,
    ReversalState,
)
from shared.payouts import rules
from shared.payouts.errors import PayoutRefused
from shared.payouts.models import PayoutState
from tests.ledger.builders import NOW, engine_on
from tests.payouts.bench import (
    ADA,
    AMOUNT_MINOR,
    EARN,
    WALLET,
    PayoutBench,
    ready,
)


@pytest.fixture
async def bench() -> PayoutBench:
    return await ready()


def order(reversal: Reversal | None, hold: Hold | None = None) -> Order:
    return Order(
        order_id=OrderId("a" * 24),
        owner=ADA,
        rail=RailName.STRIPE,
        pack_id="starter",
        money=Money(99, "USD"),
        credits_micros=1,
        bonus_micros=0,
        state=OrderState.GRANTED,
        created_at_ms=NOW,
        expires_at_ms=NOW,
        reversals={"one": reversal} if reversal else {},
        hold=hold,
    )


def reversal(kind: ReversalKind, state: ReversalState) -> Reversal:
    return Reversal(kind=kind, state=state, credits_micros=1, bonus_micros=0, amount_minor=1)


OPEN_DISPUTE = order(reversal(ReversalKind.DISPUTE, ReversalState.OPEN))
DOUBTS = {
    "a dispute": OPEN_DISPUTE,
    "an early fraud warning": order(reversal(ReversalKind.WARNING, ReversalState.OPEN)),
    "a purchase set aside": order(None, Hold(reason="card_shared", escrow_id=EARN)),
}


@pytest.mark.parametrize("doubt", DOUBTS)
async def test_an_open_doubt_about_a_purchase_keeps_everything_here(bench: PayoutBench, doubt: str) -> None:
    payout = await bench.ask()
    await bench.approve(payout)
    bench.clock.now_ms += 8 * DAY_MS
    bench.purchases.orders[ADA] = [DOUBTS[doubt]]

    assert (await bench.advance(payout)).waits_for == "dispute_open"
    with pytest.raises(PayoutRefused, match="dispute_open"):
        await bench.ask(key="two")

    assert bench.transfers() == []


async def test_a_dispute_that_is_decided_keeps_nothing(bench: PayoutBench) -> None:
    bench.purchases.orders[ADA] = [order(reversal(ReversalKind.DISPUTE, ReversalState.TAKEN))]

    assert (await bench.on_its_way()).state is PayoutState.TRANSFERRING


@pytest.mark.parametrize("account_id", [WALLET, EARN])
async def test_who_is_frozen_is_paid_nothing_and_asks_for_nothing(bench: PayoutBench, account_id: AccountId) -> None:
    payout = await bench.ask()
    await bench.approve(payout)
    bench.clock.now_ms += 8 * DAY_MS
    engine = engine_on(bench.ledger_store)
    await Administration(engine, bench.ledger_store, bench.clock).freeze(account_id, key="look into it", facts={})

    assert (await bench.advance(payout)).waits_for == "account_not_open"
    with pytest.raises(PayoutRefused, match="account_not_open"):
        await bench.ask(key="two")

    assert bench.transfers() == []


async def test_a_wallet_below_zero_or_frozen_keeps_everything_here(bench: PayoutBench) -> None:
    payout = await bench.ask()
    await bench.approve(payout)
    bench.clock.now_ms += 8 * DAY_MS
    await bench.process().sending._reversals.take_back(WALLET, 5, 0, payee=HOUSE_PAYMENTS, key="fraud", facts={})

    assert (await bench.advance(payout)).waits_for == "negative_balance"


@pytest.mark.parametrize("seen", ["by the webhook", "by nobody"])
async def test_a_change_of_bank_between_request_and_sending_starts_a_cooldown(bench: PayoutBench, seen: str) -> None:
    """Also when its event is lost: whoever sends looks at the recipient first."""
    payout = await bench.ask()
    await bench.approve(payout)
    bench.clock.now_ms += 8 * DAY_MS
    bench.stripe.connect.change_bank(payout.destination)
    if seen == "by the webhook":
        await bench.receive_events()
        await bench.work()

    assert (await bench.advance(payout)).waits_for == "cooldown"
    bench.clock.now_ms += rules.COOLDOWN_MS - 1
    assert (await bench.advance(payout)).state is PayoutState.HELD
    bench.clock.now_ms += 1

    assert (await bench.advance(payout)).state is PayoutState.TRANSFERRING


async def test_a_change_of_bank_while_the_provider_was_away_starts_a_cooldown_too(bench: PayoutBench) -> None:
    """The transfer was made and its answer lost: the way to the bank is judged anew before it is taken."""
    payout = await bench.ask()
    await bench.approve(payout)
    bench.clock.now_ms += 8 * DAY_MS
    transferring = replace(bench.kept(payout), state=PayoutState.TRANSFERRING)
    bench.store.kept[payout.payout_id] = transferring
    await bench.process().sending._sender.send(transferring)
    bench.stripe.connect.change_bank(payout.destination)

    held_back = await bench.advance(payout)

    assert (held_back.state, held_back.reason) == (PayoutState.FAILED, "cooldown")
    assert bench.left_minor(payout.destination) == AMOUNT_MINOR
    bench.clock.now_ms += rules.COOLDOWN_MS
    assert (await bench.advance(payout)).state is PayoutState.TRANSFERRING
    assert (bench.left_minor(payout.destination), len(bench.transfers())) == (0, 1)


async def test_a_recipient_who_lost_the_providers_trust_is_not_paid(bench: PayoutBench) -> None:
    payout = await bench.ask()
    await bench.approve(payout)
    bench.clock.now_ms += 8 * DAY_MS
    bench.stripe.connect.restrict(payout.destination)

    assert (await bench.advance(payout)).waits_for == "not_onboarded"
