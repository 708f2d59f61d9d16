"""What is taken for an event of PayPal's, and what is not."""

import json
from typing import Any
from zlib import crc32

import pytest

from local.paypal.authority import Signatory
from shared.base.webhook_ids import parse_webhook_ids
from shared.payments.errors import EventRefused
from shared.payments.models import Event, Subject
from shared.payments.paypal.events import AGE_MS_MAX, AHEAD_MS_MAX, PayPalEvents
from tests.ledger.builders import NOW, Ticker
from tests.payments.checksum import with_crc32
from tests.payments.paypal_bench import WEBHOOK_ID, PayPalBench, signatory, thief

OTHER_ID = "1JE4291016473214C"
TRANSMISSION = "69cd13f0-d67a-11e5-baa3-778b53f4ae55"
EVENT = {
    "id": "WH-1",
    "event_type": "PAYMENT.CAPTURE.COMPLETED",
    "resource_type": "capture",
    "resource": {"id": "42311647XV020574X", "amount": {"value": "1000000.00", "currency_code": "USD"}},
}
RAW = json.dumps(EVENT).encode()


def headers(
    raw: bytes = RAW, *, by: Signatory | None = None, webhook_id: str = WEBHOOK_ID, at_ms: int = NOW, **more: str
) -> dict[str, str]:
    signed = (by or signatory()).sign(raw, webhook_id, at_ms // 1000, transmission_id=TRANSMISSION)
    return {**signed, **{f"paypal-{name.replace('_', '-')}": value for name, value in more.items()}}


async def read(raw: bytes, given: dict[str, str], webhook_ids: str = WEBHOOK_ID) -> Event:
    reader = PayPalEvents(webhook_ids, PayPalBench(Ticker()).certificates())
    await reader.prepare(given, now_ms=NOW)
    return reader.read(raw, given, now_ms=NOW)


async def test_a_signed_event_says_what_to_look_at() -> None:
    event = await read(RAW, headers())

    assert (event.kind, event.subject) == ("PAYMENT.CAPTURE.COMPLETED", Subject("capture", "42311647XV020574X"))


async def test_an_event_bears_the_name_that_is_signed() -> None:
    """The body's own id is not."""
    assert (await read(RAW, headers())).event_id == TRANSMISSION


async def test_while_webhooks_are_replaced_both_are_good() -> None:
    for webhook_id in (WEBHOOK_ID, OTHER_ID):
        event = await read(RAW, headers(webhook_id=webhook_id), f"{WEBHOOK_ID},{OTHER_ID}")
        assert event.event_id == TRANSMISSION


@pytest.mark.parametrize("at_ms", [NOW - AGE_MS_MAX, NOW - 3 * 86_400_000, NOW, NOW + AHEAD_MS_MAX])
async def test_a_retry_of_three_days_later_is_taken(at_ms: int) -> None:
    assert await read(RAW, headers(at_ms=at_ms))


@pytest.mark.parametrize("at_ms", [NOW - AGE_MS_MAX - 1_000, NOW + AHEAD_MS_MAX + 1_000, 0])
async def test_what_was_not_signed_lately_is_refused(at_ms: int) -> None:
    with pytest.raises(EventRefused):
        await read(RAW, headers(at_ms=at_ms))


def test_a_time_that_has_passed_since_it_was_prepared_is_noticed() -> None:
    """Proving and judging are one step, whatever happened before it."""
    reader = PayPalEvents(WEBHOOK_ID, PayPalBench(Ticker()).certificates())
    with pytest.raises(EventRefused):
        reader.read(RAW, headers(), now_ms=NOW)


GOOD = headers()["paypal-transmission-sig"]
WRONG_FORM = [
    {"auth_algo": "SHA1withRSA"},
    {"auth_algo": "none"},
    {"auth_algo": ""},
    {"transmission_id": ""},
    {"transmission_id": "short"},
    {"transmission_id": f"{TRANSMISSION}|x"},
    {"transmission_id": f"{TRANSMISSION}\n"},
    {"transmission_time": ""},
    {"transmission_time": "yesterday"},
    {"transmission_time": "2027-13-45T00:00:00Z"},
    {"transmission_time": "2027-01-15T08:00:00"},
    {"transmission_time": "2027-01-15T08:00:00+00:00"},
    {"transmission_time": "2027-01-15T08:00:00Z|x"},
    {"transmission_sig": ""},
    {"transmission_sig": "!!!"},
    {"transmission_sig": GOOD[:-4]},
    {"transmission_sig": GOOD.lower()},
    {"transmission_sig": "A" * 2_000},
]


@pytest.mark.parametrize(
    "wrong", WRONG_FORM, ids=[f"{number}-{next(iter(one))}" for number, one in enumerate(WRONG_FORM)]
)
async def test_another_form_of_signature_is_none(wrong: dict[str, str]) -> None:
    with pytest.raises(EventRefused):
        await read(RAW, headers(**wrong))


async def test_headers_that_are_missing_are_refused() -> None:
    for name in headers():
        with pytest.raises(EventRefused):
            await read(RAW, {other: value for other, value in headers().items() if other != name})


async def test_a_stranger_signs_nothing() -> None:
    with pytest.raises(EventRefused):
        await read(RAW, headers(by=thief()))


async def test_an_event_for_another_webhook_is_refused() -> None:
    """What PayPal signs for one merchant is nothing to another, though it is the same key."""
    with pytest.raises(EventRefused):
        await read(RAW, headers(webhook_id=OTHER_ID))


async def test_no_part_of_what_is_signed_can_be_moved_into_another() -> None:
    with pytest.raises(EventRefused):
        await read(RAW, headers(transmission_time="2027-01-15T08:00:01Z"))
    with pytest.raises(EventRefused):
        await read(RAW + b" ", headers())


@pytest.mark.parametrize("webhook_ids", ["", "WEBHOOK_ID", "webhook_id", f"{WEBHOOK_ID},WEBHOOK_ID"])
def test_a_placeholder_is_no_webhook(webhook_ids: str) -> None:
    """PayPal's simulator signs whatever it is asked to with it."""
    assert parse_webhook_ids(webhook_ids) == ()
    with pytest.raises(ValueError, match="PAYPAL_WEBHOOK_ID"):
        PayPalEvents(webhook_ids, PayPalBench(Ticker()).certificates())


@pytest.mark.parametrize("webhook_ids", [",", "a,", "a,b,c", "a b", "a|b", "YOUR_WEBHOOK_ID", "a" * 51])
def test_what_can_be_no_webhook_does_not_start(webhook_ids: str) -> None:
    with pytest.raises(ValueError, match="PAYPAL_WEBHOOK_ID"):
        parse_webhook_ids(webhook_ids)


async def test_another_body_with_the_same_checksum_is_the_same_event() -> None:
    """Whoever saw a delivery can make another body for its signature; but what is kept under its name is the first."""
    other = json.dumps({**EVENT, "id": "WH-2", "resource": {"id": "THIEVES0000000000"}}).encode()
    forged = with_crc32(other, crc32(RAW))

    genuine, stolen = await read(RAW, headers()), await read(forged, headers())

    assert stolen.subject == Subject("capture", "THIEVES0000000000")
    assert stolen.event_id == genuine.event_id


SUBJECTS: list[tuple[str, dict[str, Any], str, Subject | None]] = [
    ("CHECKOUT.ORDER.APPROVED", {"id": "ORDER"}, "checkout-order", Subject("order", "ORDER")),
    ("CHECKOUT.PAYMENT-APPROVAL.REVERSED", {"order_id": "ORDER"}, "", Subject("order", "ORDER")),
    ("PAYMENT.CAPTURE.PENDING", {"id": "CAPTURE"}, "capture", Subject("capture", "CAPTURE")),
    ("PAYMENT.CAPTURE.DENIED", {"id": "CAPTURE"}, "capture", Subject("capture", "CAPTURE")),
    ("PAYMENT.CAPTURE.DECLINED", {"id": "CAPTURE"}, "capture", Subject("capture", "CAPTURE")),
    ("PAYMENT.CAPTURE.REFUNDED", {"id": "REFUND"}, "refund", Subject("refund", "REFUND")),
    ("PAYMENT.CAPTURE.REVERSED", {"id": "REFUND"}, "refund", Subject("refund", "REFUND")),
    ("PAYMENT.CAPTURE.REVERSED", {"id": "CAPTURE"}, "capture", Subject("capture", "CAPTURE")),
    ("PAYMENT.REFUND.FAILED", {"id": "REFUND"}, "refund", Subject("refund", "REFUND")),
    ("CUSTOMER.DISPUTE.CREATED", {"dispute_id": "PP-D-1"}, "dispute", Subject("dispute", "PP-D-1")),
    ("CUSTOMER.DISPUTE.RESOLVED", {"dispute_id": "PP-D-1"}, "dispute", Subject("dispute", "PP-D-1")),
    ("BILLING.SUBSCRIPTION.CREATED", {"id": "I-1"}, "subscription", None),
    ("PAYMENT.CAPTURE.COMPLETED", {"id": "../orders/1"}, "capture", None),
    ("PAYMENT.CAPTURE.COMPLETED", {"id": 7}, "capture", None),
    ("PAYMENT.CAPTURE.COMPLETED", {}, "capture", None),
]


@pytest.mark.parametrize(("kind", "resource", "resource_type", "subject"), SUBJECTS, ids=str)
async def test_each_kind_leads_to_its_object(
    kind: str, resource: dict[str, Any], resource_type: str, subject: Subject | None
) -> None:
    raw = json.dumps({"event_type": kind, "resource_type": resource_type, "resource": resource}).encode()

    assert (await read(raw, headers(raw))).subject == subject


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"{}", b'{"event_type": 7}', b'{"event_type": "a b"}', b'{"event_type": ""}', b"[" * 100_000],
)
async def test_a_signed_body_that_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(EventRefused):
        await read(body, headers(body))


@pytest.mark.parametrize("resource", ["null", "[]", '"x"', "7"])
async def test_an_event_about_nothing_leads_to_nothing(resource: str) -> None:
    raw = f'{{"event_type": "PAYMENT.CAPTURE.COMPLETED", "resource": {resource}}}'.encode()

    assert (await read(raw, headers(raw))).subject is None
