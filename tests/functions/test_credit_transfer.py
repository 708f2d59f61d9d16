"""credit_transfer: paid credits reach another person once, whatever is clicked twice, within what a day allows."""

import secrets

import pytest

from local.deployment import Deployment
from local.people import Person
from local.stack import Stack
from local.treasury import Treasury
from shared.base.economy import SENT_PER_DAY_MICROS_MAX, WELCOME_STAGES
from tests.clients import add_member, add_person, answer, balance_micros, call, refusal

GRANTED = WELCOME_STAGES[0].amount_micros


@pytest.fixture
def other(stack: Stack, deployment: Deployment) -> Person:
    return add_member(stack, deployment)


@pytest.fixture
def payer(deployment: Deployment, member: Person) -> Person:
    """Somebody with 1,000 paid micros beside the welcome bonus."""
    Treasury(deployment.environment).grant_paid(member.uid, 1_000)
    return member


def send(deployment: Deployment, payer: Person, recipient: str, amount_micros: object, **rest: object):  # type: ignore[no-untyped-def]
    body = {"recipient": recipient, "amount_micros": amount_micros, "idempotency_key": secrets.token_hex(8), **rest}
    return call(deployment, "POST", "/v1/transfers", payer.token, json=body)


def test_credits_arrive(deployment: Deployment, payer: Person, other: Person) -> None:
    """The receipt is on both wallets under one id."""
    sent = answer(send(deployment, payer, other.uid, 300))

    assert (sent["amount_micros"], sent["balance_micros"], sent["repeated"]) == (300, GRANTED + 700, False)
    assert balance_micros(deployment, other) == GRANTED + 300
    for person in (payer, other):
        receipt = answer(call(deployment, "GET", f"/v1/receipts/{sent['receipt_id']}", person.token))
        assert receipt["facts"] == {"sent_by": payer.uid, "sent_to": other.uid}


def test_promotional_credits_stay(deployment: Deployment, payer: Person, other: Person) -> None:
    """Else a hundred sign-ups would be one rich wallet."""
    response = send(deployment, payer, other.uid, 1_001)

    assert refusal(response, 402) == "credit_too_low"
    assert response.json()["error"]["spendable_micros"] == 1_000


def test_a_second_click_sends_nothing_more(deployment: Deployment, payer: Person, other: Person) -> None:
    """The same key answers the same; another key with the same content asks first."""
    first = answer(send(deployment, payer, other.uid, 100, idempotency_key="click"))
    again = answer(send(deployment, payer, other.uid, 100, idempotency_key="click"))

    assert again == {**first, "repeated": True}
    assert refusal(send(deployment, payer, other.uid, 100), 409) == "transfer_repeated"
    assert answer(send(deployment, payer, other.uid, 100, confirm_repeat=True))["repeated"] is False
    assert balance_micros(deployment, other) == GRANTED + 200


def test_another_amount_under_a_used_key_is_refused(deployment: Deployment, payer: Person, other: Person) -> None:
    answer(send(deployment, payer, other.uid, 100, idempotency_key="key"))

    assert refusal(send(deployment, payer, other.uid, 101, idempotency_key="key"), 409) == "idempotency_key_reused"


def test_a_day_has_a_limit(deployment: Deployment, payer: Person, other: Person) -> None:
    """The refusal says how much is left and when there is more."""
    Treasury(deployment.environment).grant_paid(payer.uid, SENT_PER_DAY_MICROS_MAX * 2)
    answer(send(deployment, payer, other.uid, SENT_PER_DAY_MICROS_MAX - 5))

    response = send(deployment, payer, other.uid, 6)

    assert refusal(response, 429) == "send_limit_exceeded"
    assert response.json()["error"]["left_micros"] == 5
    assert int(response.headers["retry-after"]) <= 86_400
    assert answer(send(deployment, payer, other.uid, 5))["amount_micros"] == 5


def test_credits_go_to_people_who_have_a_wallet(stack: Stack, deployment: Deployment, payer: Person) -> None:
    """Not to nobody, not to oneself, not to the house."""
    stranger = add_person(stack, deployment)

    for recipient in (stranger.uid, "nobody"):
        assert refusal(send(deployment, payer, recipient, 5), 404) == "account_not_found"
    assert refusal(send(deployment, payer, payer.uid, 5), 400) == "transfer_to_self"
    for wrong in ("house:revenue", "a/b", "", "x" * 129, "a\n", 7, None):
        assert refusal(send(deployment, payer, wrong, 5), 400) == "invalid_request"  # type: ignore[arg-type]
    for amount in (0, -1, 1.5, "5", 2**63):
        assert refusal(send(deployment, payer, "nobody", amount), 400) == "invalid_request"
    assert balance_micros(deployment, payer) == GRANTED + 1_000
