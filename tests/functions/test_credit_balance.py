"""credit_balance: OpenRouter's numbers and exact micros, of the caller's own wallet."""

from local.deployment import Deployment
from local.people import Person
from local.stack import Stack
from shared.base.economy import WELCOME_STAGES
from shared.base.micros import CREDIT_MICROS
from tests.clients import answer, call, debit, refusal

GRANTED = WELCOME_STAGES[0].amount_micros


def test_a_new_wallet_shows_what_was_granted(deployment: Deployment, member: Person) -> None:
    """All of it can be spent."""
    response = call(deployment, "GET", "/v1/credits", member.token)

    assert answer(response)["data"] == {
        "total_credits": GRANTED / CREDIT_MICROS,
        "total_usage": 0.0,
        "balance_micros": GRANTED,
        "held_micros": 0,
        "spendable_micros": GRANTED,
    }
    assert response.headers["cache-control"] == "no-store"


def test_what_was_spent_counts_as_usage_and_stays_in_the_total(deployment: Deployment, member: Person) -> None:
    """OpenRouter's `total_credits` is all that was ever credited, not what is left."""
    answer(debit(deployment, member, 2_500_000, key="usage"))

    data = answer(call(deployment, "GET", "/v1/credits", member.token))["data"]
    assert (data["total_credits"], data["total_usage"]) == (GRANTED / CREDIT_MICROS, 2.5)
    assert data["balance_micros"] == data["spendable_micros"] == GRANTED - 2_500_000


def test_before_the_start_there_is_no_wallet(deployment: Deployment, newcomer: Person) -> None:
    """The message says what to do."""
    response = call(deployment, "GET", "/v1/credits", newcomer.token)

    assert refusal(response, 404) == "account_not_found"
    assert "POST /v1/account" in response.json()["error"]["message"]


def test_nobody_sees_another_wallet(stack: Stack, deployment: Deployment, member: Person, newcomer: Person) -> None:
    """There is no way to name one: what a query adds is refused, not ignored."""
    response = call(deployment, "GET", "/v1/credits", newcomer.token, params={"account_id": f"user:{member.uid}"})

    assert refusal(response, 400) == "invalid_request"


def test_a_service_has_no_wallet(deployment: Deployment) -> None:
    """Its token is no user's."""
    assert refusal(call(deployment, "GET", "/v1/credits", deployment.backend_token), 401) == "invalid_token"
