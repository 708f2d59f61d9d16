"""Each function as it is deployed: alone under functions-framework, answering, and loading nothing it does not use."""

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests

from bench.first_requests import FirstRequests
from local.deployment import Deployment
from local.manifest import read_manifest, read_queues
from local.process import ProcessFailed
from local.stack import Stack
from tests.clients import TIMEOUT_S
from tests.functions.framework import TELL_IMPORTS, start_alone

ROWS = {row.name: row for row in read_manifest()}
FOREIGN = {
    "firebase_admin",
    "openai",
    "pydantic",
    "langchain",
    "langchain_core",
    "langgraph",
    "stripe",
    "razorpay",
    "local",
    "tests",
}
"""What no function of today needs but one, and what of ours is not deployed."""
GRAPHS = {"langgraph", "langchain_core", "pydantic"}
RUNS_GRAPHS = {"job_step"}
"""LangGraph takes a second to load, with LangChain's core and pydantic. Who only starts or shows jobs has none."""
CALL_PROVIDERS = {
    "chat_completions",
    "conversation_quote",
    "conversation_regenerate",
    "conversation_reply",
    "conversation_title",
    "embedding_create",
    "image_generate",
    "image_run",
    "job_step",
    "response_create",
    "session_request",
    "speech_transcribe",
}
CHAIN_CALLERS = {"credit_topup", "crypto_claim"}
PAYMENT_CALLERS = {
    *CHAIN_CALLERS,
    "checkout_create",
    "order_check",
    "order_refund",
    "order_release",
    "payment_apply",
    "payment_confirm",
    "payment_refund",
    "payout_apply",
    "payout_onboard",
    "payout_request",
    "payout_send",
    "reconcile_daily",
    "settlement_daily",
}
NIGHTLY = {"reconcile_daily", "settlement_daily"}
"""What asks providers for their books only where a day is left to be read."""
CATALOG_READERS = {
    *CALL_PROVIDERS,
    "demand_set",
    "job_start",
    "key_deposit",
    "key_validate",
    "conversation_start",
    "conversation_update",
    "model_get",
    "model_list",
    "model_update",
    "price_get",
}
JOBS = {"job_approve", "job_cancel", "job_get", "job_list", "job_resume", "job_start", "job_step", "job_sweep"}
STORE = {"google.cloud.firestore", "grpc", "shared.ledger.store"}


@dataclass(frozen=True)
class Answered:
    """What one function did in a process of its own."""

    name: str
    response: requests.Response
    modules: frozenset[str]
    """Everything it had imported once it had answered."""
    log: str


@pytest.fixture(scope="module")
def quiet(stack: Stack) -> Iterator[Deployment]:
    """A deployment whose tasks and events wait, so that a function finds what was prepared for it."""
    with Deployment(stack, f"demo-{secrets.token_hex(8)}", events=False) as started:
        stack.cloud_tasks.detach(started.project_id, read_queues())
        yield started


@pytest.fixture(scope="module")
def first_requests(stack: Stack, quiet: Deployment) -> FirstRequests:
    """What the benchmark of cold starts asks of each function, on accounts of its own."""
    return FirstRequests(stack, quiet)


@pytest.fixture(scope="module", params=ROWS)
def answered(request: pytest.FixtureRequest, quiet: Deployment, first_requests: FirstRequests) -> Answered:
    """The function of one row: started, asked once for what it is there for, stopped."""
    row = ROWS[request.param]
    asked = first_requests.of(row)
    authorization = {"authorization": f"Bearer {asked.token}"} if asked.token else {}
    headers = {**asked.headers, **authorization}
    with start_alone(row.name, {**quiet.environment, **TELL_IMPORTS}) as alone:
        url = alone.url + asked.path
        response = requests.request(asked.method, url, headers=headers, data=asked.posted, timeout=TIMEOUT_S)
        return Answered(row.name, response, alone.modules, alone.log)


def test_it_answers(answered: Answered) -> None:
    """It starts from its name and main.py alone, and does its job."""
    assert answered.response.status_code == 200, answered.response.text + answered.log
    assert answered.response.headers["x-request-id"].startswith("req_")


def test_it_writes_one_line_for_the_request(answered: Answered) -> None:
    """Whoever reads the logs finds the request by the id that the caller was told."""
    lines = [json.loads(line) for line in answered.log.splitlines() if line.startswith("{")]
    requests_told = [line for line in lines if line["message"] == "request"]
    assert [line["request_id"] for line in requests_told] == [answered.response.headers["x-request-id"]]
    assert requests_told[0]["function"] == answered.name


def test_it_loads_no_other_function(answered: Answered) -> None:
    """A deployed function is one file."""
    assert {module for module in answered.modules if module.startswith("functions.")} == {f"functions.{answered.name}"}


def test_it_loads_nothing_foreign(answered: Answered) -> None:
    """No SDK that it does not call, nothing of the local stack, nothing of the tests."""
    loaded = {module.partition(".")[0] for module in answered.modules} & FOREIGN
    assert loaded <= (GRAPHS if answered.name in RUNS_GRAPHS else set())
    assert ("langgraph" in loaded) == (answered.name in RUNS_GRAPHS)


def test_only_what_calls_providers_loads_an_http_client(answered: Answered) -> None:
    """aiohttp costs a tenth of a second; only the functions that call providers pay."""
    if answered.name in NIGHTLY:
        return
    callers = CALL_PROVIDERS | PAYMENT_CALLERS | {"key_validate"}
    assert ("aiohttp" in answered.modules) == (answered.name in callers)


def test_only_what_needs_the_ledger_loads_firestore(answered: Answered) -> None:
    """gRPC and Firestore are the dearest imports of all, and all need them; what tells of models needs no ledger.

    Who tells of entries is given them, and reads none.
    """
    without_ledger = {"demand_set", "entry_created", "image_job_get", "model_get", "model_list", "model_update"}
    without_ledger |= {"artifact_get", *JOBS} - {"job_step", "job_sweep"}
    without_ledger |= {"order_get", "price_get", "price_predict", "price_trends"}
    without_ledger |= {"payment_sweep", "review_list", "review_resolve", "settlement_daily"}
    without_ledger |= {"ticket_list", "ticket_resolve"}
    without_ledger |= {"payout_cancel", "payout_get", "payout_list", "payout_onboard", "payout_review"}
    without_ledger |= {"payout_review_list", "payout_schedule"}
    without_ledger |= {"invitation_list", "invitation_revoke", "pool_invite"}
    without_ledger |= {"lease_sweep", "memory_erase", "memory_list"}
    # Who takes payments' events leaves them to a queue, which speaks gRPC too; who tells of packs reads nothing.
    without_store = {"pack_list": set()} | {
        f"{rail}_webhook": {"grpc"} for rail in ("paypal", "razorpay", "stripe", "stripe_connect")
    }
    if answered.name in without_store:
        assert answered.modules & STORE == without_store[answered.name]
        return
    assert answered.modules & STORE == (STORE - {"shared.ledger.store"} if answered.name in without_ledger else STORE)


def test_only_what_authenticates_loads_identity(answered: Answered) -> None:
    """The models are for everybody, so who tells of them checks nobody's token."""
    loaded = {module for module in answered.modules if module.startswith("shared.identity")}
    assert bool(loaded) == (ROWS[answered.name].auth != "none")


def test_only_what_needs_the_catalog_loads_it(answered: Answered) -> None:
    """Functions of the wallet read no catalog, and who reads it parses no TOML."""
    assert ("shared.catalog.service" in answered.modules) == (answered.name in CATALOG_READERS)
    assert "tomllib" not in answered.modules


@pytest.mark.parametrize("name", ["nothing_of_the_sort", "__init__", "../main", "local"])
def test_an_unknown_target_does_not_start(name: str, quiet: Deployment) -> None:
    """The process ends, and its last words name the target and the file."""
    with pytest.raises(ProcessFailed, match=r"main\.py.*" + re.escape(name)), start_alone(name, quiet.environment):
        pytest.fail("it serves")
