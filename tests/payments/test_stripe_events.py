"""What is taken for an event of Stripe's, and what is not."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from local.stripe.wire import sign
from shared.base.payment_mode import PaymentMode
from shared.base.secret import Secret
from shared.payments.errors import EventRefused, RailRefused
from shared.payments.models import OrderState, Subject
from shared.payments.stripe.events import TOLERANCE_MS, StripeEvents
from shared.payments.stripe.rail import StripeRail
from tests.ledger.builders import NOW
from tests.payments.builders import Shop
from tests.payments.matrix import NOTHING, WHOLE
from tests.payments.stripe_bench import StripeBench

OLD, NEW = "whsec_old", "whsec_new"
EVENT = {
    "id": "evt_1",
    "type": "charge.refunded",
    "livemode": False,
    "data": {"object": {"object": "charge", "id": "ch_1"}},
}
RAW = json.dumps(EVENT).encode()


def headers(raw: bytes = RAW, secret: str = NEW, at_ms: int = NOW) -> dict[str, str]:
    return {"stripe-signature": sign(raw, secret, at_ms // 1000)}


def read(raw: bytes, given: dict[str, str], secrets: str = NEW) -> Any:
    return StripeEvents(Secret(secrets), PaymentMode.TEST).read(raw, given, now_ms=NOW)


def test_a_signed_event_says_what_to_look_at() -> None:
    event = read(RAW, headers())

    assert (event.event_id, event.kind, event.subject) == ("evt_1", "charge.refunded", Subject("charge", "ch_1"))


def test_while_secrets_rotate_both_are_good() -> None:
    for secret in (OLD, NEW):
        assert read(RAW, headers(secret=secret), f"{NEW},{OLD}").event_id == "evt_1"


def test_one_good_signature_among_several_is_enough() -> None:
    """Stripe signs with each secret of the last day."""
    given = headers()["stripe-signature"].replace("v1=", f"v1={'0' * 64},v1=")

    assert read(RAW, {"stripe-signature": given}).event_id == "evt_1"


@pytest.mark.parametrize("at_ms", [NOW - TOLERANCE_MS, NOW, NOW + TOLERANCE_MS])
def test_five_minutes_of_difference_are_taken(at_ms: int) -> None:
    assert read(RAW, headers(at_ms=at_ms)).event_id == "evt_1"


GOOD = headers()["stripe-signature"]
UNSIGNED = [
    "",
    "t=1",
    GOOD.split(",")[1],
    GOOD.replace("v1=", "v0="),
    GOOD + f",t={NOW // 1000}",
    GOOD.replace("t=", "t=-"),
    GOOD.replace("t=", "t= "),
    GOOD[:-1],
    GOOD.upper(),
    f"t={NOW // 1000}" + f",v1={'0' * 64}" * 9,
    "x" * 3_000,
]


@pytest.mark.parametrize("signature", UNSIGNED)
def test_another_form_of_signature_is_none(signature: str) -> None:
    with pytest.raises(EventRefused):
        read(RAW, {"stripe-signature": signature})


@pytest.mark.parametrize("at_ms", [NOW - TOLERANCE_MS - 1_000, NOW + TOLERANCE_MS + 1_000, 0])
def test_what_was_not_signed_just_now_is_refused(at_ms: int) -> None:
    """The future too, which Stripe's own library lets pass."""
    with pytest.raises(EventRefused):
        read(RAW, headers(at_ms=at_ms))


def test_other_bytes_are_refused() -> None:
    with pytest.raises(EventRefused):
        read(RAW + b" ", headers())


def test_another_secret_is_refused() -> None:
    with pytest.raises(EventRefused):
        read(RAW, headers(secret="whsec_guess"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"id": "evt_1"}',
        json.dumps({**EVENT, "id": "a/b"}).encode(),
        json.dumps({**EVENT, "id": 7}).encode(),
        json.dumps({**EVENT, "type": "A B"}).encode(),
        b"[" * 100_000,
    ],
)
def test_a_signed_body_that_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(EventRefused):
        read(body, headers(body))


@pytest.mark.parametrize("about", [{"object": "customer", "id": "cus_1"}, {"object": "charge", "id": "../x"}, {}])
def test_what_is_no_payment_leads_to_nothing(about: dict[str, str]) -> None:
    raw = json.dumps({**EVENT, "data": {"object": about}}).encode()

    assert read(raw, headers(raw)).subject is None


@pytest.mark.parametrize("secrets", ["", ",", "a,", "a,b,c", " "])
def test_an_empty_secret_is_none(secrets: str) -> None:
    """An HMAC with an empty key is one that everybody can make."""
    with pytest.raises(ValueError, match="STRIPE_WEBHOOK_SECRET"):
        StripeEvents(Secret(secrets), PaymentMode.TEST)


@pytest.mark.parametrize(("livemode", "is_ours"), [(False, True), (True, False), (None, False)])
def test_an_event_of_the_other_mode_or_of_none_is_marked(livemode: bool | None, is_ours: bool) -> None:
    raw = json.dumps({**EVENT, "livemode": livemode}).encode()

    assert read(raw, headers(raw)).is_of_other_mode is not is_ours


@pytest.mark.parametrize("says_so", [True, False], ids=["and its events say so", "and its events hide it"])
async def test_what_was_paid_in_the_other_mode_is_no_money_and_a_person_sees_it(says_so: bool) -> None:
    """Secrets are mixed up, so that a payment in the other mode is told to us, for an order of ours.

    Its object is not looked at. Were it, no key reaches an object of the other mode.
    """
    shop = Shop(StripeBench)
    await shop.open_wallet()
    order, other = await shop.order(), StripeBench(shop.clock)
    elsewhere = replace(order, checkout=await other.rail(lambda api: api).begin(order))
    other.pay(elsewhere)

    for raw, _ in other.deliveries():
        event = json.loads(raw)
        event["livemode"] = says_so
        await shop.receive([other.signed(event)])
    await shop.work()

    assert await shop.credits() == NOTHING
    assert (shop.kept(order).state, shop.kept(order).payment_id) == (OrderState.PENDING, None)
    assert shop.reasons() == {"wrong_mode" if says_so else "object_unknown"}
    shop.bench.pay(order)
    await shop.settle()
    assert await shop.credits() == WHOLE


async def test_an_object_of_the_other_mode_grants_nothing_whatever_reached_it() -> None:
    shop = Shop(StripeBench)
    await shop.open_wallet()
    order = await shop.order()
    shop.bench.account.tamper(shop.bench.pay(order), livemode=True)

    await shop.settle()

    assert (await shop.credits(), shop.kept(order).payment_id) == (NOTHING, None)
    assert shop.reasons() == {"wrong_mode"}


async def test_a_checkout_of_the_other_mode_is_not_shown_to_a_buyer() -> None:
    """They would pay money for what a test deployment gives, or nothing for what costs money."""
    shop = Shop(StripeBench)
    await shop.open_wallet()
    order = await shop.order()
    rail = StripeRail(shop.bench.api, "https://app.example/wallet", PaymentMode.LIVE)

    with pytest.raises(RailRefused) as refusal:
        await rail.begin(order)

    assert refusal.value.provider_code == "wrong_mode"
