"""What is taken for an event of Razorpay's, and what is not."""

import json
from typing import Any

import pytest

from local.razorpay.wire import sign
from shared.base.secret import Secret
from shared.payments.errors import EventRefused
from shared.payments.models import Event, Subject
from shared.payments.razorpay.events import RazorpayEvents
from tests.ledger.builders import NOW

OLD, NEW = "secret_old", "secret_new"
PAYMENT = {"entity": {"id": "pay_1", "entity": "payment", "notes": {"what": "₹ in raw bytes"}}}
EVENT: dict[str, Any] = {"entity": "event", "event": "payment.captured", "payload": {"payment": PAYMENT}}
RAW = json.dumps(EVENT, ensure_ascii=False).encode()


def headers(raw: bytes = RAW, secret: str = NEW) -> dict[str, str]:
    return {"x-razorpay-signature": sign(raw, secret)}


def read(raw: bytes, given: dict[str, str], secrets: str = NEW) -> Event:
    return RazorpayEvents(Secret(secrets)).read(raw, given, now_ms=NOW)


def test_a_signed_event_says_what_to_look_at() -> None:
    event = read(RAW, headers())

    assert (event.kind, event.subject) == ("payment.captured", Subject("payment", "pay_1"))


def test_while_secrets_rotate_both_are_good() -> None:
    for secret in (OLD, NEW):
        assert read(RAW, headers(secret=secret), f"{NEW},{OLD}").kind == "payment.captured"


def test_an_event_is_named_by_what_is_signed() -> None:
    """The id in the header is not: by it one signed body would be as many tasks as a thief likes."""
    first = read(RAW, {**headers(), "x-razorpay-event-id": "one"})
    again = read(RAW, {**headers(), "x-razorpay-event-id": "another"})
    other = json.dumps({**EVENT, "created_at": 1}).encode()

    assert first == again
    assert read(other, headers(other)).event_id != first.event_id


@pytest.mark.parametrize(
    ("payload", "subject"),
    [
        ({"payment": "pay_1", "order": "order_1"}, Subject("payment", "pay_1")),
        ({"payment": "pay_1", "refund": "rfnd_1"}, Subject("refund", "rfnd_1")),
        ({"payment": "pay_1", "dispute": "disp_1"}, Subject("dispute", "disp_1")),
        ({"order": "order_1"}, Subject("order", "order_1")),
        ({"subscription": "sub_1"}, None),
        ({"payment": "../pay_1"}, None),
        ({"payment": "order_1"}, None),
        ({"payment": ""}, None),
        ({}, None),
    ],
)
def test_the_most_telling_object_is_looked_at(payload: dict[str, str], subject: Subject | None) -> None:
    held = {kind: {"entity": {"id": found}} for kind, found in payload.items()}
    raw = json.dumps({**EVENT, "payload": held}).encode()

    assert read(raw, headers(raw)).subject == subject


GOOD = headers()["x-razorpay-signature"]


@pytest.mark.parametrize(
    "signature",
    ["", GOOD[:-1], GOOD + "0", GOOD.upper(), f" {GOOD}", f"{GOOD},{GOOD}", "0" * 64, "é" * 64, "x" * 5_000],
)
def test_another_form_of_signature_is_none(signature: str) -> None:
    with pytest.raises(EventRefused):
        read(RAW, {"x-razorpay-signature": signature})


def test_without_a_signature_nothing_is_read() -> None:
    with pytest.raises(EventRefused):
        read(RAW, {})


def test_other_bytes_are_refused() -> None:
    """The same JSON in other bytes too."""
    for raw in (RAW + b" ", json.dumps(EVENT).encode()):
        with pytest.raises(EventRefused):
            read(raw, headers())


def test_another_secret_is_refused() -> None:
    for secret in ("guess", ""):
        with pytest.raises(EventRefused):
            read(RAW, headers(secret=secret))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"event": "payment.captured"}',
        b'{"event": 7, "payload": {}}',
        b'{"event": "payment.captured", "payload": []}',
        b'{"event": "payment.captured", "payload": {"payment": {"entity": {"id": 7}}}}',
        json.dumps({**EVENT, "event": "A B"}).encode(),
        b"\xff" + RAW,
        b"[" * 100_000,
    ],
)
def test_a_signed_body_that_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(EventRefused):
        read(body, headers(body))


@pytest.mark.parametrize("secrets", ["", ",", "a,", "a,b,c", " "])
def test_an_empty_secret_is_none(secrets: str) -> None:
    """An HMAC with an empty key is one that everybody can make."""
    with pytest.raises(ValueError, match="RAZORPAY_WEBHOOK_SECRET"):
        RazorpayEvents(Secret(secrets))
