"""earning_get and settlement_get: one's own earnings, and nobody else's; the timer settles."""

from local.deployment import Deployment
from local.people import Person
from local.stack import Stack
from local.treasury import Treasury
from tests.clients import add_person, answer, call, refusal


def test_who_sold_nothing_earned_nothing(deployment: Deployment, newcomer: Person) -> None:
    """Even without a wallet."""
    assert answer(call(deployment, "GET", "/v1/earnings", newcomer.token)) == {
        "account_id": f"earn:{newcomer.uid}",
        "settled_paid_micros": 0,
        "settled_promo_micros": 0,
        "pending_paid_micros": 0,
        "pending_promo_micros": 0,
        "pending_is_whole": True,
    }


def test_a_settlement_is_its_payees_own(stack: Stack, deployment: Deployment, newcomer: Person) -> None:
    settlement_id = Treasury(deployment.environment).settle_nothing(newcomer.uid)
    path = f"/v1/settlements/{settlement_id}"

    own = answer(call(deployment, "GET", path, newcomer.token))

    assert (own["delta_micros"], own["sales"], own["facts"]["count"]) == (0, [], "0")
    assert own["sales_are_whole"] is True
    assert refusal(call(deployment, "GET", path, add_person(stack, deployment).token), 404) == "receipt_not_found"
    assert refusal(call(deployment, "GET", f"/v1/settlements/{'0' * 64}", newcomer.token), 404) == "receipt_not_found"


def test_the_timer_settles(deployment: Deployment, newcomer: Person) -> None:
    """What was posted a moment ago is in an open window; nothing of it is touched yet."""
    done = answer(call(deployment, "POST", "/_timers/ledger_settle", deployment.scheduler_token))

    assert done["finished"] is True
    assert refusal(call(deployment, "POST", "/_timers/ledger_settle", newcomer.token), 401)
    assert refusal(call(deployment, "POST", "/_timers/ledger_settle", deployment.backend_token), 403) == "scope_missing"
