"""What operators see and decide of payments, and that nobody else does."""

import csv
import io
import re

import pytest

from local.deployment import Deployment
from local.manifest import read_manifest
from local.people import Person
from local.treasury import Treasury
from tests.clients import answer, call, refusal

READS = ("/v1/reviews", "/v1/tickets", "/v1/finance-report?month=2026-01", "/v1/payout-reviews")


@pytest.mark.parametrize("path", READS)
def test_only_operators_see_it(deployment: Deployment, newcomer: Person, path: str) -> None:
    assert call(deployment, "GET", path, deployment.operator_token).status_code == 200
    assert refusal(call(deployment, "GET", path, newcomer.token), 401)
    assert refusal(call(deployment, "GET", path, deployment.backend_token), 403) == "scope_missing"


def test_no_user_reaches_what_services_alone_may_call(deployment: Deployment, newcomer: Person) -> None:
    """Every function of operators, timers, queues and events, without a sign-in and with one."""
    closed = [row for row in read_manifest() if row.auth == "service"]
    assert len(closed) > 30
    for row in closed:
        path = re.sub(r"{\w+}", "0" * 24, row.path)
        for token in (None, newcomer.token):
            assert call(deployment, row.method, path, token).status_code == 401, row.name


def test_a_review_is_listed_until_somebody_decides(deployment: Deployment) -> None:
    review_id = Treasury(deployment.environment).put_up_for_review()
    listed = answer(call(deployment, "GET", "/v1/reviews", deployment.operator_token))["reviews"]
    assert review_id in {review["review_id"] for review in listed}
    path, decision = f"/v1/reviews/{review_id}", {"verdict": "done", "reason": "paid back by hand"}

    first = answer(call(deployment, "POST", path, deployment.operator_token, json=decision))
    again = answer(call(deployment, "POST", path, deployment.operator_token, json=decision))

    assert first == again
    assert first["review"]["decision"]["reason"] == "paid back by hand"
    assert first["review"]["decision"]["by"]
    other = {**decision, "verdict": "dismissed"}
    assert refusal(call(deployment, "POST", path, deployment.operator_token, json=other), 409) == "review_resolved"
    listed = answer(call(deployment, "GET", "/v1/reviews", deployment.operator_token))["reviews"]
    assert review_id not in {review["review_id"] for review in listed}
    absent = call(deployment, "POST", f"/v1/reviews/{'0' * 64}", deployment.operator_token, json=decision)
    assert refusal(absent, 404) == "review_not_found"


def test_a_report_is_json_or_csv(deployment: Deployment) -> None:
    path = "/v1/finance-report?first_day=2026-01-01&last_day=2026-01-03"

    report = answer(call(deployment, "GET", path, deployment.operator_token))
    told = call(deployment, "GET", path + "&format=csv", deployment.operator_token)

    assert report["ledger_days_missing"] == ["2026-01-01", "2026-01-02", "2026-01-03"]
    assert report["drift_micros"] == 0
    assert told.headers["content-type"].startswith("text/csv")
    accepted = call(deployment, "GET", path, deployment.operator_token, headers={"accept": "text/csv"})
    assert accepted.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(told.text)))
    assert {"section": "ledger", "rail": "", "currency": "", "column": "drift_micros", "amount": "0"} in rows


def test_a_range_that_is_none_is_refused(deployment: Deployment) -> None:
    for query in ("", "?first_day=2026-01-02&last_day=2026-01-01", "?month=2026-13"):
        refused = call(deployment, "GET", "/v1/finance-report" + query, deployment.operator_token)
        assert refusal(refused, 400) == "range_wrong"


def test_a_day_that_is_not_over_is_not_settled(deployment: Deployment) -> None:
    refused = call(
        deployment, "POST", "/_timers/settlement_daily", deployment.scheduler_token, json={"day": "2099-01-01"}
    )

    assert refusal(refused, 400) == "range_wrong"


def test_the_sweep_is_the_timers(deployment: Deployment, newcomer: Person) -> None:
    done = answer(call(deployment, "POST", "/_timers/payment_sweep", deployment.scheduler_token, json={}))

    assert done == {"posted": 0, "given_up": 0, "finished": True}
    assert refusal(call(deployment, "POST", "/_timers/payment_sweep", newcomer.token), 401)


def test_a_ticket_is_listed_until_somebody_says_that_it_stays(deployment: Deployment) -> None:
    ticket_id = Treasury(deployment.environment).open_a_ticket()
    listed = answer(call(deployment, "GET", "/v1/tickets", deployment.operator_token))["tickets"]
    assert ticket_id in {ticket["ticket_id"] for ticket in listed}
    path, decision = f"/v1/tickets/{ticket_id}", {"reason": "a rounding of the year before"}

    first = answer(call(deployment, "POST", path, deployment.operator_token, json=decision))
    again = answer(call(deployment, "POST", path, deployment.operator_token, json=decision))

    assert first == again
    assert first["ticket"]["state"] == "accepted"
    [kept] = first["ticket"]["decisions"]
    assert (kept["reason"], kept["ours"], kept["theirs"]) == ("a rounding of the year before", "1", "2")
    assert kept["by"]
    other = call(deployment, "POST", path, deployment.operator_token, json={"reason": "another"})
    assert refusal(other, 409) == "ticket_closed"
    listed = answer(call(deployment, "GET", "/v1/tickets", deployment.operator_token))["tickets"]
    assert ticket_id not in {ticket["ticket_id"] for ticket in listed}
    absent = call(deployment, "POST", f"/v1/tickets/{'0' * 64}", deployment.operator_token, json=decision)
    assert refusal(absent, 404) == "ticket_absent"
    assert refusal(call(deployment, "POST", path, deployment.backend_token, json=decision), 403) == "scope_missing"
