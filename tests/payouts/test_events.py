"""Stripe's events about those whom we pay: what is believed, what it leads to, and what it does not."""

import json

import pytest

from local.stripe.wire import sign
from shared.base.payment_mode import PaymentMode
from shared.base.secret import Secret
from shared.payments.errors import EventRefused, RailUnavailable
from shared.payouts.events import ConnectEvents
from shared.payouts.models import PayoutState
from tests.ledger.builders import NOW
from tests.payouts.bench import ADA, BEN, SECRET, PayoutBench

THIN = {
    "id": "evt_1",
    "object": "v2.core.event",
    "type": "v2.core.account[requirements].updated",
    "livemode": False,
}
ACCOUNT = {**THIN, "related_object": {"id": "acct_1", "type": "v2.core.account", "url": "/v2/core/accounts/acct_1"}}
TRANSFER = {
    "id": "evt_2",
    "type": "transfer.reversed",
    "livemode": False,
    "data": {"object": {"object": "transfer", "id": "tr_1"}},
}
BANK = {
    "id": "evt_3",
    "type": "payout.failed",
    "account": "acct_1",
    "livemode": False,
    "data": {"object": {"object": "payout", "id": "po_1"}},
}


def read(event: object, secret: str = SECRET, secrets: str = SECRET, *, at_ms: int = NOW) -> object:
    raw = json.dumps(event).encode()
    headers = {"stripe-signature": sign(raw, secret, NOW // 1000)}
    return ConnectEvents(Secret(secrets), PaymentMode.TEST).read(raw, headers, now_ms=at_ms)


@pytest.mark.parametrize("event", [ACCOUNT, TRANSFER, BANK], ids=["account", "transfer", "bank payout"])
def test_what_is_about_a_recipient_names_what_to_look_at(event: dict[str, object]) -> None:
    assert getattr(read(event), "event_id") == event["id"]  # noqa: B009 - of any event


@pytest.mark.parametrize(
    "event",
    [THIN, {**BANK, "account": None}, {**ACCOUNT, "related_object": {"id": "x/y", "type": "v2.core.account"}}],
    ids=["nothing named", "our own bank payout", "an id with a path in it"],
)
def test_what_is_nothing_to_us_leads_nowhere(event: object) -> None:
    assert read(event) is None


@pytest.mark.parametrize("event", [ACCOUNT, TRANSFER, BANK], ids=["account", "transfer", "bank payout"])
def test_what_happened_in_the_other_mode_leads_nowhere(
    event: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    """Stripe sends what connected accounts do in test mode to live addresses too, and wants to hear that it came."""
    assert read({**event, "livemode": True}) is None
    assert "connect_event_of_other_mode" in capsys.readouterr().out


@pytest.mark.parametrize("secret", ["", "whsec_payments"])
def test_an_event_that_was_not_signed_for_this_address_is_refused(secret: str) -> None:
    with pytest.raises(EventRefused):
        read(ACCOUNT, secret)


@pytest.mark.parametrize("apart_ms", [-301_000, 301_000])
def test_an_event_that_was_not_signed_just_now_is_refused(apart_ms: int) -> None:
    with pytest.raises(EventRefused):
        read(ACCOUNT, at_ms=NOW + apart_ms)


@pytest.mark.parametrize("secret", ["whsec_old", "whsec_new"])
def test_while_secrets_rotate_both_are_good(secret: str) -> None:
    assert read(ACCOUNT, secret, "whsec_old,whsec_new") is not None


async def test_the_same_event_many_times_is_one_task() -> None:
    bench = PayoutBench()
    for _ in range(5):
        await bench.receive(json.dumps(ACCOUNT).encode())

    assert len(bench.queues.tasks) == 1


async def test_a_bank_payout_that_names_another_ones_payout_leads_nowhere() -> None:
    """A recipient may write what they like on payouts of their own account."""
    bench = PayoutBench()
    await bench.open()
    await bench.onboard()
    thief = await bench.onboard(BEN)
    await bench.sell()
    sent = await bench.on_its_way()
    params = {"amount": 100, "currency": "usd", "destination": thief}
    bench.stripe.handle("POST", "/v1/transfers", params)
    told = {"credence_payout": sent.payout_id, "credence_attempt": "1"}
    forged = bench.stripe.handle(
        "POST", "/v1/payouts", {"amount": 100, "currency": "usd", "metadata": told}, owner=thief
    )
    bench.stripe.bank.arrive(forged["id"])
    await bench.receive_events()
    await bench.work()

    assert (bench.kept(sent).owner, bench.kept(sent).state) == (ADA, PayoutState.TRANSFERRING)


async def test_what_became_of_a_payout_in_the_other_mode_says_nothing_of_it() -> None:
    """Nobody is told that they were paid, or given credits back, for test money."""
    bench = PayoutBench()
    await bench.open()
    destination = await bench.onboard()
    await bench.sell()
    sent = await bench.on_its_way()
    left = await bench.balance()
    bench.stripe.bank.fail(sent.arrival_id or "")
    bench.stripe.tamper(sent.arrival_id or "", livemode=True)

    with pytest.raises(RailUnavailable):
        await bench.advance(sent)

    assert (bench.kept(sent).state, await bench.balance()) == (PayoutState.TRANSFERRING, left)
    bench.stripe.tamper(destination, livemode=True)
    recipient = await bench.process().recipients.look(ADA)
    assert recipient is not None
    assert not recipient.is_active
