"""Each function as it is deployed: alone under functions-framework, answering, and loading nothing it does not use."""

import json
import re
import time
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from local.buyer import Buyer, apply_task
from local.cloudevent import a_large_entry, created_event
from local.coin_buyer import CoinBuyer
from local.contributor import Contributor
from local.deployment import CONNECT_SECRET, WEBHOOK_SECRET, Deployment
from local.earner import PAYOUT_MICROS, Earner, connect_task, payout_of
from local.manifest import FunctionRow, read_manifest
from local.paypal.authority import Signatory, approval_of
from local.process import ProcessFailed
from local.razorpay.wire import sign as sign_event
from local.razorpay.wire import sign_payment
from local.stack import Stack
from local.stripe.wire import sign
from local.treasury import Treasury
from tests.clients import TIMEOUT_S, add_member, answer, call, wait_for_job
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
OPERATED = {
    "complaint_list",
    "complaint_resolve",
    "demand_set",
    "finance_report",
    "model_update",
    "order_release",
    "payment_refund",
    "provider_allow",
    "payout_review",
    "review_list",
    "review_resolve",
    "ticket_list",
    "ticket_resolve",
}
"""What operators call."""
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
CONTRIBUTIONS = {"contribution_get", "key_deposit", "key_pause", "key_resume", "key_validate", "key_withdraw"}
PAYOUTS = {row for row in ROWS if row.startswith("payout_") and row != "payout_schedule"} | {"stripe_connect_webhook"}
PAYMENTS = {*PAYMENT_CALLERS, "order_get", "paypal_webhook", "stripe_webhook"} - {"reconcile_daily", "settlement_daily"}
PAYMENTS -= PAYOUTS
RAZORPAY = {"payment_confirm", "razorpay_webhook"}
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


@pytest.fixture(scope="module", params=ROWS)
def answered(request: pytest.FixtureRequest, stack: Stack, deployment: Deployment) -> Answered:
    """The function of one row: started, asked once for what it is there for, stopped."""
    row = ROWS[request.param]
    person = add_member(stack, deployment)
    path, sent = _request(row, stack, deployment, f"user:{person.uid}", person.token)
    service = _service_token(row, deployment)
    tokens = {"user": person.token, "spender": person.token, "card": service, "service": service, "none": None}
    authorization = {"authorization": f"Bearer {tokens[row.auth]}"} if tokens[row.auth] else {}
    headers = {**authorization, **sent.pop("headers", {})}
    with start_alone(row.name, {**deployment.environment, **TELL_IMPORTS}) as alone:
        response = requests.request(row.method, alone.url + path, headers=headers, timeout=TIMEOUT_S, **sent)
        return Answered(row.name, response, alone.modules, alone.log)


def _service_token(row: FunctionRow, deployment: Deployment) -> str:
    if row.trigger.event:
        return deployment.event_token
    if row.name in OPERATED:
        return deployment.operator_token
    if row.trigger.task:
        return deployment.task_token
    return deployment.scheduler_token if row.trigger.schedule else deployment.backend_token


def _request(
    row: FunctionRow, stack: Stack, deployment: Deployment, account_id: str, token: str
) -> tuple[str, dict[str, Any]]:
    """A path, and what `requests` is to send there, that the function answers with 200."""
    debit = {"account_id": account_id, "amount_micros": 7, "reason": "a report", "idempotency_key": row.name}
    chat = {"model": "google/gemma-2-2b-it", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 20}
    treasury, uid = Treasury(deployment.environment), account_id.partition(":")[2]
    if row.name == "credit_transfer":
        treasury.grant_paid(uid, 5)
        recipient = add_member(stack, deployment)
        return row.path, {"json": {"recipient": recipient.uid, "amount_micros": 5, "idempotency_key": row.name}}
    if row.name == "settlement_get":
        return row.path.replace("{settlement_id}", treasury.settle_nothing(uid)), {}
    if row.name == "ad_reward":
        nonce = answer(call(deployment, "POST", "/v1/ads", token, json={"tier": "text"}))["nonce"]
        return f"{row.path}?{deployment.admob.callback('text', nonce)}", {}
    if row.name == "receipt_get":
        receipt_id = answer(call(deployment, "POST", "/v1/debits", deployment.backend_token, json=debit))["entry_id"]
        return row.path.replace("{receipt_id}", receipt_id), {}
    if row.name == "entry_created":
        event = created_event(deployment.project_id, a_large_entry(account_id))
        return row.path, {"data": event.body, "headers": dict(event.headers)}
    if row.name in RAZORPAY:
        return _razorpay_request(row, stack, deployment, token)
    if row.name in CHAIN_CALLERS:
        return _chain_request(row, CoinBuyer(deployment, stack.chain, token))
    if row.name in PAYOUTS:
        treasury.grant_earnings(uid, PAYOUT_MICROS)
        return _payout_request(row, Earner(deployment, stack.stripe, token))
    if row.name in PAYMENTS:
        return _payment_request(row, Buyer(deployment, stack.stripe, token), stack.paypal.signatory)
    if row.name in ("image_job_get", "image_run"):
        asked = {"model": "black-forest-labs/flux-schnell", "prompt": "A cat", "background": True}
        job_id = call(deployment, "POST", "/v1/images/generations", token, json=asked).json()["id"]
        return row.path.replace("{job_id}", job_id), {"json": {"job_id": job_id} if row.trigger.task else None}
    if row.name == "provider_allow":
        decided = {"allowed": True, "reason": "a test"}
        return row.path.replace("{provider}", "standin"), {"json": decided}
    if row.name.startswith("complaint_"):
        complaint = {"receipt_id": treasury.serve_by_key(uid), "defect": "nonsense"}
        if row.name != "complaint_resolve":
            return row.path, {"json": complaint} if row.method == "POST" else {}
        made = answer(call(deployment, "POST", "/v1/complaints", token, json=complaint))["complaint_id"]
        return row.path.replace("{complaint_id}", made), {"json": {"upheld": False, "reason": "a test"}}
    if row.name in CONTRIBUTIONS:
        contributor = Contributor(deployment, token)
        if row.name == "key_deposit":
            return row.path, {"json": contributor.deposit_of("sk-alone")}
        key_id = contributor.contribute()["key_id"]
        return row.path.replace("{key_id}", key_id), {"json": {"key_id": key_id} if row.trigger.task else None}
    if row.name == "artifact_get" or row.name in JOBS:
        return _job_request(row, deployment, token)
    if row.name == "memory_erase":
        return row.path, {"json": {"all": True}}
    if row.name.startswith("conversation_"):
        return _conversation_request(row, deployment, token)
    if row.name == "finance_report":
        return f"{row.path}?month=2026-01", {}
    if row.name == "review_resolve":
        decision = {"verdict": "dismissed", "reason": "a test"}
        return row.path.replace("{review_id}", treasury.put_up_for_review()), {"json": decision}
    if row.name == "ticket_resolve":
        return row.path.replace("{ticket_id}", treasury.open_a_ticket()), {"json": {"reason": "a test"}}
    if row.name == "model_get":
        return row.path.replace("{model}", "google/gemma-2-2b-it"), {}
    if row.name == "demand_set":
        order = {"model": chat["model"], "demand_ppm": 1_000_000, "reason": "a test", "idempotency_key": row.name}
        return row.path, {"json": order}
    if row.name == "model_update":
        change = {"model": "google/veo-3.1-generate-001", "expected_version": 0, "enabled": True, "reason": "a test"}
        return row.path, {"json": change}
    if "{model_id}" in row.path:
        treasury.record_prices(chat["model"])
        return row.path.replace("{model_id}", chat["model"]), {}
    if row.name == "log_read":
        answer(call(deployment, "POST", "/_timers/ledger_checkpoint", deployment.scheduler_token, json={}))
        return row.path.replace("{path}", "checkpoint"), {}
    card = {"name": "a card", "amount_micros": 50, "idempotency_key": row.name}
    if row.name == "card_validate" or "{card_id}" in row.path:
        created = answer(call(deployment, "POST", "/v1/cards", token, json=card))
        posted = {
            "card_charge": {"amount_micros": 7, "reason": "a report", "idempotency_key": row.name},
            "card_fund": {"amount_micros": 7, "idempotency_key": row.name},
            "card_validate": {"key": created["key"]},
        }.get(row.name)
        return row.path.replace("{card_id}", created["card"]["card_id"]), {"json": posted}
    if row.path.startswith(("/v1/pools", "/v1/sessions")):
        return _pool_request(row, stack, deployment, token)
    if row.name == "speech_transcribe":
        return row.path, {
            "data": {"model": "openai/whisper-1"},
            "files": {"file": ("a.mp3", b"ID3" * 100, "audio/mpeg")},
        }
    embedding = {"model": "BAAI/bge-en-icl", "input": "Hello"}
    bodies = {
        "ad_start": {"tier": "text"},
        "card_create": card,
        "chat_completions": chat,
        "credit_debit": debit,
        "embedding_create": embedding,
        "response_create": {"model": chat["model"], "input": "Hi", "max_output_tokens": 20},
        "image_generate": {"model": "black-forest-labs/flux-schnell", "prompt": "A cat"},
    }
    return row.path, {"json": bodies.get(row.name)}


def _pool_request(row: FunctionRow, stack: Stack, deployment: Deployment, token: str) -> tuple[str, dict[str, Any]]:
    key = {"idempotency_key": row.name}
    if row.name == "pool_leave":
        # Whoever owns a pool cannot leave it; the caller leaves somebody else's.
        other = add_member(stack, deployment).token
        public = {"name": "a pool", "public": True, "member_limit": {"amount_micros": 0, "period": "day"}, **key}
        pool_id = answer(call(deployment, "POST", "/v1/pools", other, json=public))["pool"]["pool_id"]
        answer(call(deployment, "POST", f"/v1/pools/{pool_id}/join", token, json={}))
        return row.path.replace("{pool_id}", pool_id), {"json": {}}
    pool_id = answer(call(deployment, "POST", "/v1/pools", token, json={"name": "a pool", **key}))["pool"]["pool_id"]
    put_in = {"amount_micros": 60_000_000, "idempotency_key": "first"}
    answer(call(deployment, "POST", f"/v1/pools/{pool_id}/contributions", token, json=put_in))
    opening = {"pool_id": pool_id, "budget_micros": 50_000_000, "idempotency_key": "first"}
    session_id = answer(call(deployment, "POST", "/v1/sessions", token, json=opening))["session"]["session_id"]
    uid = answer(call(deployment, "GET", f"/v1/pools/{pool_id}", token))["me"]["user_id"]
    chat = {"model": "google/gemma-2-2b-it", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 20}
    invited = answer(call(deployment, "POST", f"/v1/pools/{pool_id}/invitations", token, json={}))
    bodies = {
        "invitation_revoke": {"invitation_id": invited["invitation_id"]},
        "pool_create": {"name": "another", "idempotency_key": "another"},
        "pool_update": {"name": "other"},
        "pool_contribute": {"amount_micros": 5, **key},
        "pool_withdraw": {"amount_micros": 5, **key},
        "pool_member_update": {"user_id": uid, "limit": {"amount_micros": 5, "period": "day"}},
        "session_create": {**opening, "budget_micros": 5, **key},
        "session_request": {"call": "chat.completions", "body": chat},
    }
    path = row.path.replace("{pool_id}", pool_id).replace("{session_id}", session_id)
    return path, {"json": bodies.get(row.name, {})} if row.method == "POST" else {}


def _job_request(row: FunctionRow, deployment: Deployment, token: str) -> tuple[str, dict[str, Any]]:
    job = {
        "kind": "research",
        "params": {"topic": "How are credits held?", "approve_plan": row.name in ("job_approve", "job_resume")},
        "model": "google/gemma-2-2b-it",
        "ceiling_micros": 9_000_000,
        "idempotency_key": row.name,
    }
    if row.name in ("job_start", "job_list", "job_sweep"):
        return row.path, {"json": job if row.name == "job_start" else None}
    job_id = answer(call(deployment, "POST", "/v1/jobs", token, json=job))["id"]
    if row.name == "artifact_get":
        made = wait_for_job(deployment, token, job_id, "succeeded")["result"]["artifacts"][0]["artifact_id"]
        return row.path.replace("{artifact_id}", made) + f"?job_id={job_id}", {}
    bodies: dict[str, Any] = {
        "job_resume": {"ceiling_micros": 9_000_000},
        "job_cancel": {},
        "job_step": {"job_id": job_id, "leg": 0},
    }
    if row.name == "job_approve":
        waiting = wait_for_job(deployment, token, job_id, "waiting")
        bodies[row.name] = {"interrupt_id": waiting["approval"]["interrupt_id"], "answer": "yes"}
    if row.name == "job_resume":
        wait_for_job(deployment, token, job_id, "waiting")
    if row.name == "job_step":
        # Nobody else is at it when the task comes once more.
        wait_for_job(deployment, token, job_id, "succeeded")
    return row.path.replace("{job_id}", job_id), {"json": bodies.get(row.name)}


def _conversation_request(row: FunctionRow, deployment: Deployment, token: str) -> tuple[str, dict[str, Any]]:
    begun = {"idempotency_key": row.name}
    said = {"text": "Hi", "stream": False, "idempotency_key": row.name}
    path = "/v1/conversations"
    if row.name in ("conversation_start", "conversation_list"):
        return row.path, {"json": begun if row.method == "POST" else None}
    conversation_id = answer(call(deployment, "POST", path, token, json=begun))["conversation_id"]
    if row.name == "conversation_regenerate":
        answer(call(deployment, "POST", f"{path}/{conversation_id}/replies", token, json=said))
    bodies = {
        "conversation_get": None,
        "conversation_quote": {"text": "Hi"},
        "conversation_regenerate": {"stream": False, **begun},
        "conversation_reply": said,
    }
    return row.path.replace("{conversation_id}", conversation_id), {"json": bodies.get(row.name, {})}


def _payment_request(row: FunctionRow, buyer: Buyer, paypal: Signatory) -> tuple[str, dict[str, Any]]:
    if row.name == "checkout_create":
        body = {"rail": "stripe", "pack": "starter", "currency": "USD", "idempotency_key": row.name}
        return row.path, {"json": body}
    if row.name == "paypal_webhook":
        raw = approval_of(buyer.order(rail="paypal")["url"].rpartition("/")[2])
        return row.path, {
            "data": raw,
            "headers": paypal.sign(raw, buyer.deployment.paypal_webhook_id, int(time.time())),
        }
    order = buyer.buy()
    event = buyer.stripe.newest_event(buyer.deployment.stripe_key)
    if row.name == "stripe_webhook":
        raw = json.dumps(event).encode()
        return row.path, {"data": raw, "headers": {"stripe-signature": sign(raw, WEBHOOK_SECRET, int(time.time()))}}
    order_id = order["order_id"]
    bodies = {
        "order_check": {"order_id": order_id},
        "payment_apply": apply_task(event),
        "payment_refund": {"order_id": order_id, "reason": "a test", "idempotency_key": row.name},
        "order_refund": {},
        "order_release": {"reason": "a test"},
    }
    return row.path.replace("{order_id}", order_id), {"json": bodies.get(row.name)}


def _payout_request(row: FunctionRow, earner: Earner) -> tuple[str, dict[str, Any]]:
    if row.name == "payout_onboard":
        return row.path, {"json": {"country": "us"}}
    earner.onboard()
    if row.name in ("payout_request", "payout_list"):
        return row.path, {"json": payout_of(row.name)} if row.name == "payout_request" else {}
    event = earner.stripe.newest_event(earner.deployment.stripe_key)
    if row.name == "stripe_connect_webhook":
        raw = json.dumps(event).encode()
        return row.path, {"data": raw, "headers": {"stripe-signature": sign(raw, CONNECT_SECRET, int(time.time()))}}
    payout_id = earner.ask(PAYOUT_MICROS)["payout_id"]
    bodies: dict[str, Any] = {
        "payout_apply": connect_task(event),
        "payout_cancel": {},
        "payout_review": {"verdict": "approve", "reason": "a test"},
        "payout_send": {"payout_id": payout_id},
    }
    return row.path.replace("{payout_id}", payout_id), {"json": bodies.get(row.name)}


def _razorpay_request(row: FunctionRow, stack: Stack, deployment: Deployment, token: str) -> tuple[str, dict[str, Any]]:
    credentials = deployment.razorpay_credentials
    order = Buyer(deployment, stack.stripe, token).order_by_razorpay()
    reference = order["parameters"]["order_id"]
    payment_id = stack.razorpay.act(credentials, "pay", reference)["id"]
    if row.name == "razorpay_webhook":
        raw = json.dumps(stack.razorpay.newest_event(credentials)).encode()
        return row.path, {"data": raw, "headers": {"x-razorpay-signature": sign_event(raw, WEBHOOK_SECRET)}}
    signature = sign_payment(reference, payment_id, credentials[1])
    path = row.path.replace("{order_id}", order["order_id"])
    return path, {"json": {"payment_id": payment_id, "signature": signature}}


def _chain_request(row: FunctionRow, buyer: CoinBuyer) -> tuple[str, dict[str, Any]]:
    if row.name == "credit_topup":
        return row.path, {"json": buyer.top_up()}
    order = buyer.order()
    return row.path.replace("{order_id}", order["order_id"]), {"json": buyer.send(order)}


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
    without_ledger |= {"payout_schedule"}
    without_ledger |= {"lease_sweep", "memory_erase", "memory_list"}
    without_ledger |= {"invitation_list", "invitation_revoke", "pool_invite"}
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
def test_an_unknown_target_does_not_start(name: str, deployment: Deployment) -> None:
    """The process ends, and its last words name the target and the file."""
    with pytest.raises(ProcessFailed, match=r"main\.py.*" + re.escape(name)), start_alone(name, deployment.environment):
        pytest.fail("it serves")
