"""Whatever the OpenAPI document allows or forbids, every function answers as it says, and never with a 5xx."""

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from local.deployment import Deployment
from local.manifest import FunctionRow, read_manifest
from local.people import Person
from local.stack import Stack
from tests.clients import add_member, answer, call, debit

ROWS = [row for row in read_manifest() if row.trigger.http]
EXAMPLES_MAX = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "40"))
"""Of each function; more of them are for a long night."""
OPERATED = {
    "account_freeze",
    "complaint_list",
    "complaint_resolve",
    "demand_set",
    "finance_report",
    "model_update",
    "order_release",
    "payment_refund",
    "payout_review_list",
    "review_list",
    "review_resolve",
    "ticket_list",
    "ticket_resolve",
}
"""What operators call."""
SPARE_MODEL = "google/veo-3.1-fast-generate-001"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@dataclass(frozen=True)
class Ground:
    """What there really is, so that some of the requests find it."""

    member: Person
    receipt_id: str
    card_id: str
    schema: schemathesis.BaseSchema


@pytest.fixture(scope="module")
def deployment(stack: Stack) -> Iterator[Deployment]:
    """One of their own: what thousands of odd requests leave would slow down every walk over the shared one."""
    with Deployment(stack, f"demo-{secrets.token_hex(8)}") as started:
        yield started


@pytest.fixture(scope="module")
def ground(stack: Stack, deployment: Deployment) -> Ground:
    """A member with one receipt and one card, and the document as it is served."""
    member = add_member(stack, deployment)
    receipt_id = answer(debit(deployment, member, 1, key="ground"))["entry_id"]
    card = answer(call(deployment, "POST", "/v1/cards", member.token, json={"name": "x", "idempotency_key": "ground"}))
    answer(call(deployment, "POST", "/_timers/ledger_checkpoint", deployment.scheduler_token, json={}))
    card_id = card["card"]["card_id"]
    return Ground(member, receipt_id, card_id, schemathesis.openapi.from_url(f"{deployment.url}/openapi.json"))


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_every_answer_is_one_of_those_the_document_lists(
    row: FunctionRow, deployment: Deployment, ground: Ground
) -> None:
    """Half of the requests follow the schema and half of them break it; some are aimed at what exists."""
    user, service = ground.member.token, deployment.backend_token
    service = deployment.operator_token if row.name in OPERATED else service
    tokens = {"user": user, "spender": user, "holder": user, "card": service, "service": service, "none": ""}
    headers = {"authorization": f"Bearer {tokens[row.auth]}"}
    operation = ground.schema[row.path][row.method]
    cases = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]

    # The same requests every time: a check must not fail by chance. Another seed is a matter of SCHEMATHESIS_EXAMPLES.
    @settings(
        max_examples=EXAMPLES_MAX, deadline=None, database=None, derandomize=True, suppress_health_check=HealthCheck
    )
    @given(case=st.one_of(cases), aimed=st.booleans())
    def ask(case: schemathesis.Case, aimed: bool) -> None:
        if aimed:
            _aim(case, ground)
        case.call_and_validate(headers=headers, checks=CHECKS)

    ask()


def _aim(case: schemathesis.Case, ground: Ground) -> None:
    """Let the request name a model, an account, a receipt that there is."""
    # A change of a model must not reach one that other tests call.
    model = SPARE_MODEL if case.operation.path == "/v1/catalog/changes" else "google/gemma-2-2b-it"
    existing: dict[str, Any] = {"model": model, "account_id": f"user:{ground.member.uid}"}
    if isinstance(case.body, dict):
        case.body.update({name: value for name, value in existing.items() if name in case.body})
    if "receipt_id" in case.path_parameters:
        case.path_parameters["receipt_id"] = ground.receipt_id
    if "card_id" in case.path_parameters:
        case.path_parameters["card_id"] = ground.card_id
    if "model" in case.path_parameters:
        case.path_parameters["model"] = "google/gemma-2-2b-it"
    if "model_id" in case.path_parameters:
        case.path_parameters["model_id"] = existing["model"]
    if "path" in case.path_parameters:
        case.path_parameters["path"] = "checkpoint"
