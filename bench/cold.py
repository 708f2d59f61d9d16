"""Cold start: from process start to the first answered request, for each function and for a bare hello-world.

Both run under functions-framework as in the cloud (gunicorn with one uvicorn worker). A function's first request is a
real one, authenticated and answered with 200, so it includes the first contact with Auth and Firestore; hello-world
imports google-cloud-firestore and answers without it. Timers are started before any other function has posted, so that
they find a quiet minute: how long their work takes is no matter of their start. A ratio is the median over the pairs of
a function and the hello-world started right after it.
"""

import itertools
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import requests

from bench.report import BenchFailed, at_most, median, run_bench, say, spread
from local.buyer import Buyer, apply_task
from local.cloudevent import a_large_entry, created_event
from local.coin_buyer import CoinBuyer
from local.contributor import PROVIDER, Contributor
from local.deployment import CONNECT_SECRET, WEBHOOK_SECRET, Deployment
from local.earner import PAYOUT_MICROS, Earner, connect_task, payout_of
from local.manifest import TASK_PATH, FunctionRow, read_manifest, read_queues
from local.node import REPOSITORY
from local.paypal.authority import approval_of
from local.people import People, Person
from local.process import HOST, free_port
from local.razorpay.wire import sign as sign_event
from local.razorpay.wire import sign_payment
from local.stack import Stack
from local.stripe.wire import sign
from local.treasury import Treasury

MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct"
EMBEDDING_MODEL = "BAAI/bge-en-icl"
HELLO = "hello"
PAIRS, PAIRS_QUICK = 9, 1
QUICK = frozenset({"chat_completions", "credit_balance", "ledger_checkpoint"})
"""What is started when the benchmark is only tried out: one that calls providers, one that does not, and a timer. That
each function answers its first request, `tests/functions/test_alone.py` sees."""
POLL_INTERVAL_S = 0.002
"""Short against a start of half a second, and next to no load."""
START_DEADLINE_S = 60.0
SET_UP_TIMEOUT_S = 30.0
IMAGE_MODEL = "black-forest-labs/flux-schnell"
SPEECH_MODEL = "openai/whisper-1"
CALL_PROVIDERS = frozenset(
    {
        "chat_completions",
        "embedding_create",
        "image_generate",
        "image_run",
        "key_validate",
        "job_step",
        "conversation_quote",
        "conversation_regenerate",
        "conversation_reply",
        "conversation_title",
        "response_create",
        "speech_transcribe",
    }
)
CHAIN_CALLERS = frozenset({"credit_topup", "crypto_claim"})
PAYMENT_CALLERS = CHAIN_CALLERS | {
    "checkout_create",
    "order_check",
    "order_refund",
    "order_release",
    "payment_apply",
    "payment_refund",
    "payout_apply",
    "payout_onboard",
    "payout_request",
    "payout_send",
    "reconcile_daily",
    "settlement_daily",
}
CALLERS = CALL_PROVIDERS | PAYMENT_CALLERS
CALLER_RATIO_MAX = 1.4
"""Of those that call providers, which need an HTTP client as well."""
OTHER_RATIO_MAX = 1.25


@dataclass(frozen=True, slots=True)
class FirstRequest:
    """What is asked of a function that has just started."""

    method: str = "GET"
    path: str = "/"
    token: str = ""
    body: Mapping[str, Any] | bytes = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})

    @property
    def posted(self) -> bytes:
        """The body on the wire: nothing where nothing is posted."""
        posted = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        return posted if self.method == "POST" else b""

    def to_bytes(self) -> bytes:
        """The request on the wire; the server closes the connection after its answer."""
        body = self.posted
        lines = [
            f"{self.method} {self.path} HTTP/1.1",
            f"host: {HOST}",
            "connection: close",
            f"content-length: {len(body)}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
            *([f"authorization: Bearer {self.token}"] if self.token else []),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body


class FirstRequests:
    """Requests that succeed, one for every function of the manifest, on accounts prepared beforehand.

    The deployment's tasks must wait: detach its queues before.
    """

    def __init__(self, stack: Stack, deployment: Deployment) -> None:
        self._deployment = deployment
        self._people = People(stack.auth_address)
        self._person = self._started_person()
        chat = self._ask("/v1/chat/completions", self._person.token, self._chat_body())
        # Until there is a checkpoint, the log has nothing to read and a receipt no proof.
        self._ask("/_timers/ledger_checkpoint", self._deployment.scheduler_token, {})
        self._receipt_id = chat.headers["x-credence-receipt"]
        self._recipient = self._started_person()
        self._card_id = self._created_card()["card"]["card_id"]
        self._pool_id = self._new_pool_id()
        put_in = {"amount_micros": 1_000, "idempotency_key": "bench"}
        self._ask(f"/v1/pools/{self._pool_id}/contributions", self._person.token, put_in)
        self._session_id = self._new_session_id(50_000_000)
        treasury = Treasury(deployment.environment)
        treasury.grant_paid(self._person.uid, 1_000)
        treasury.record_prices(MODEL)
        self._settlement_id = treasury.settle_nothing(self._person.uid)
        self._model_version = 0
        self._buyer = Buyer(deployment, stack.stripe, self._person.token)
        self._chain = stack.chain
        self._paypal = stack.paypal.signatory
        self._razorpay = stack.razorpay
        self._bought()

    def of(self, row: FunctionRow) -> FirstRequest:
        """Raise BenchFailed for a function that this benchmark does not know yet."""
        user, service = self._person.token, self._deployment.backend_token
        token = {"user": user, "spender": user, "card": service, "service": service, "none": ""}[row.auth]
        path, body = row.path, {}
        match row.name:
            case "account_freeze":
                path = path.replace("{account_id}", f"user:{self._started_person().uid}")
                token = self._deployment.operator_token
                body = {"frozen": True, "reason": "bench", "idempotency_key": secrets.token_hex(8)}
            case "account_start":
                # A person nobody has seen: the whole work, not the answer to a repeat.
                token = self._people.add(self._deployment.project_id).token
            case "ad_start":
                # Another person each time: one begins an ad every half a minute.
                token, body = self._started_person().token, {"tier": "text"}
            case "ad_reward":
                started = self._ask("/v1/ads", self._started_person().token, {"tier": "text"})
                path = f"{row.path}?{self._deployment.admob.callback('text', started.json()['nonce'])}"
            case "card_create":
                body = {"name": "bench", "amount_micros": 1, "idempotency_key": secrets.token_hex(8)}
            case "card_charge":
                path = self._card_path(row)
                body = {"amount_micros": 1, "reason": "bench", "idempotency_key": secrets.token_hex(8)}
            case "card_fund":
                path, body = self._card_path(row), {"amount_micros": 1, "idempotency_key": secrets.token_hex(8)}
            case "card_close":
                path = self._card_path(row, self._created_card()["card"]["card_id"])
            case "card_get" | "card_rotate" | "card_update":
                path = self._card_path(row)
            case "card_validate":
                body = {"key": self._created_card()["key"]}
            case "pool_create":
                body = {"name": "bench", "idempotency_key": secrets.token_hex(8)}
            case "pool_leave":
                path, token = row.path.replace("{pool_id}", self._pool_id), self._joined_person().token
            case "pool_join":
                path, token = row.path.replace("{pool_id}", self._pool_id), self._started_person().token
            case "pool_contribute" | "pool_withdraw":
                path = row.path.replace("{pool_id}", self._pool_id)
                body = {"amount_micros": 1, "idempotency_key": secrets.token_hex(8)}
            case "pool_member_update":
                path = row.path.replace("{pool_id}", self._pool_id)
                body = {"user_id": self._person.uid, "limit": None}
            case "pool_close":
                path = row.path.replace("{pool_id}", self._new_pool_id())
            case "invitation_revoke":
                path = row.path.replace("{pool_id}", self._pool_id)
                invited = self._ask(path.removesuffix("/revoke"), token, {}).json()
                body = {"invitation_id": invited["invitation_id"]}
            case "pool_get" | "pool_update" | "pool_invite" | "invitation_list":
                path = row.path.replace("{pool_id}", self._pool_id)
            case "session_create":
                body = {"budget_micros": 1, "idempotency_key": secrets.token_hex(8)}
            case "session_get":
                path = row.path.replace("{session_id}", self._session_id)
            case "session_end":
                path = row.path.replace("{session_id}", self._new_session_id(1))
            case "session_request":
                path = row.path.replace("{session_id}", self._session_id)
                body = {"call": "chat.completions", "body": self._chat_body()}
            case "chat_completions":
                body = self._chat_body()
            case "conversation_start":
                body = {"model": MODEL, "idempotency_key": secrets.token_hex(8)}
            case (
                "conversation_delete"
                | "conversation_get"
                | "conversation_quote"
                | "conversation_regenerate"
                | "conversation_reply"
                | "conversation_stop"
                | "conversation_title"
                | "conversation_update"
            ):
                path, body = self._talk(row)
            case "memory_erase":
                body = {"all": True}
            case "response_create":
                body = {"model": MODEL, "input": "Hello", "max_output_tokens": 16}
            case "embedding_create":
                body = {"model": EMBEDDING_MODEL, "input": "Hello"}
            case "image_generate":
                body = {"model": IMAGE_MODEL, "prompt": "A cat"}
            case "checkout_create":
                token = self._started_person().token
                body = {"rail": "stripe", "pack": "starter", "currency": "USD", "idempotency_key": secrets.token_hex(8)}
            case "order_get" | "order_refund":
                path = path.replace("{order_id}", self._bought()["order_id"])
                token = self._buyer.token
            case "order_release":
                path = path.replace("{order_id}", self._bought()["order_id"])
                token, body = self._deployment.operator_token, {"reason": "bench"}
            case "order_check":
                token, body = self._deployment.task_token, {"order_id": self._bought()["order_id"]}
            case "payment_apply":
                self._bought()
                token, body = self._deployment.task_token, apply_task(self._stripe_event())
            case "payment_refund":
                token = self._deployment.operator_token
                body = {"reason": "bench", "idempotency_key": secrets.token_hex(8)}
                body["order_id"] = self._bought()["order_id"]
            case "finance_report":
                token, path = self._deployment.operator_token, f"{path}?month=2026-01"
            case "complaint_create":
                token, body = self._complaint()
            case "complaint_resolve":
                made = self._ask("/v1/complaints", *self._complaint()).json()["complaint_id"]
                path = path.replace("{complaint_id}", made)
                token, body = self._deployment.operator_token, {"upheld": False, "reason": "bench"}
            case "complaint_list" | "payout_review_list" | "review_list" | "ticket_list":
                token = self._deployment.operator_token
            case "review_resolve":
                path = path.replace("{review_id}", Treasury(self._deployment.environment).put_up_for_review())
                token, body = self._deployment.operator_token, {"verdict": "dismissed", "reason": "bench"}
            case "ticket_resolve":
                path = path.replace("{ticket_id}", Treasury(self._deployment.environment).open_a_ticket())
                token, body = self._deployment.operator_token, {"reason": "bench"}
            case "payment_confirm":
                return self._confirmation(row)
            case "razorpay_webhook":
                self._paid_by_razorpay()
                raw = json.dumps(self._razorpay.newest_event(self._deployment.razorpay_credentials)).encode()
                return FirstRequest("POST", path, "", raw, {"x-razorpay-signature": sign_event(raw, WEBHOOK_SECRET)})
            case "credit_topup":
                # Paid before, so that no chain has to grow while it is timed.
                buyer = self._new_coin_buyer()
                token, body = buyer.token, buyer.top_up()
            case "crypto_claim":
                buyer = self._new_coin_buyer()
                order = buyer.order()
                token, path = buyer.token, path.replace("{order_id}", order["order_id"])
                body = buyer.send(order)
            case "stripe_webhook":
                raw = json.dumps(self._payment_event()).encode()
                signature = sign(raw, WEBHOOK_SECRET, int(time.time()))
                return FirstRequest("POST", path, "", raw, {"stripe-signature": signature})
            case "payout_onboard":
                token, body = self._new_earner().token, {"country": "us"}
            case "payout_request":
                token, body = self._new_earner().token, payout_of(secrets.token_hex(8))
            case "payout_get" | "payout_cancel":
                earner = self._new_earner()
                token, path = earner.token, path.replace("{payout_id}", earner.ask(PAYOUT_MICROS)["payout_id"])
            case "payout_review":
                path = path.replace("{payout_id}", self._new_earner().ask(PAYOUT_MICROS)["payout_id"])
                token, body = self._deployment.operator_token, {"verdict": "approve", "reason": "bench"}
            case "payout_send":
                body = {"payout_id": self._new_earner().ask(PAYOUT_MICROS)["payout_id"]}
                token = self._deployment.task_token
            case "payout_apply":
                self._new_earner()
                token, body = self._deployment.task_token, connect_task(self._stripe_event())
            case "stripe_connect_webhook":
                self._new_earner()
                raw = json.dumps(self._stripe_event()).encode()
                signature = sign(raw, CONNECT_SECRET, int(time.time()))
                return FirstRequest("POST", path, "", raw, {"stripe-signature": signature})
            case "paypal_webhook":
                raw = approval_of(self._buyer.order(rail="paypal")["url"].rpartition("/")[2])
                webhook_id = self._deployment.paypal_webhook_id
                return FirstRequest("POST", path, "", raw, self._paypal.sign(raw, webhook_id, int(time.time())))
            case "image_job_get":
                path = path.replace("{job_id}", self._image_job_id())
            case "image_run":
                token, body = self._deployment.task_token, {"job_id": self._image_job_id()}
            case "artifact_get":
                job = self._job()
                path = (
                    f"{path.replace('{artifact_id}', job['result']['artifacts'][0]['artifact_id'])}?job_id={job['id']}"
                )
            case "job_start":
                body = self._job_body()
            case "job_get":
                path = path.replace("{job_id}", self._job()["id"])
            case "job_approve":
                job = self._job(approve_plan=True)
                path = path.replace("{job_id}", job["id"])
                body = {"interrupt_id": job["approval"]["interrupt_id"], "answer": "yes"}
            case "job_resume":
                path = path.replace("{job_id}", self._job(approve_plan=True)["id"])
                body = {"ceiling_micros": 9_000_000}
            case "job_cancel":
                path = path.replace("{job_id}", self._job(approve_plan=True)["id"])
            case "job_step":
                # One that is cancelled: what is timed is the start of the function, and not the work of a job.
                job_id = self._ask("/v1/jobs", self._person.token, self._job_body()).json()["id"]
                self._ask(f"/v1/jobs/{job_id}/cancel", self._person.token, {})
                token, body = self._deployment.task_token, {"job_id": job_id, "leg": 0}
            case "credit_debit":
                body = {
                    "account_id": f"user:{self._person.uid}",
                    "amount_micros": 1,
                    "reason": "bench",
                    "idempotency_key": secrets.token_hex(8),
                }
            case "credit_transfer":
                body = {
                    "recipient": self._recipient.uid,
                    "amount_micros": 1,
                    "idempotency_key": secrets.token_hex(8),
                    "confirm_repeat": True,
                }
            case "settlement_get":
                path = f"/v1/settlements/{self._settlement_id}"
            case "entry_created":
                event = created_event(self._deployment.project_id, a_large_entry(f"user:{self._person.uid}"))
                return FirstRequest("POST", path, self._deployment.event_token, event.body, event.headers)
            case (
                "card_sweep"
                | "charge_collect"
                | "credit_expire"
                | "job_sweep"
                | "key_check"
                | "ledger_audit"
                | "ledger_checkpoint"
                | "ledger_settle"
                | "lease_sweep"
                | "payment_sweep"
                | "payout_schedule"
                | "price_refresh"
                | "reconcile_daily"
                | "session_sweep"
                | "settlement_daily"
            ):
                token = self._deployment.scheduler_token
            case "log_read":
                path = "/log/checkpoint"
            case "model_get":
                path = f"/v1/models/{MODEL}"
            case "demand_set":
                token = self._deployment.operator_token
                body = {"model": MODEL, "demand_ppm": 1_000_000, "reason": "bench"}
                body["idempotency_key"] = secrets.token_hex(8)
            case "model_update":
                token, body = self._deployment.operator_token, self._model_change()
            case "price_get" | "price_predict" | "price_trends":
                path = path.replace("{model_id}", MODEL)
            case "receipt_get":
                path = f"/v1/receipts/{self._receipt_id}"
            case "speech_transcribe":
                posted, media_type = _recording()
                return FirstRequest("POST", path, token, posted, {"content-type": media_type})
            case "provider_allow":
                token, path = self._deployment.operator_token, path.replace("{provider}", PROVIDER)
                body = {"allowed": True, "reason": "bench"}
            case "key_deposit":
                token = self._started_person().token
                body = self._contributor(token).deposit_of("sk-bench")
            case "key_validate":
                token, body = self._deployment.task_token, {"key_id": self._contributed(user)}
            case "contribution_get" | "key_withdraw":
                token = self._started_person().token
                path = path.replace("{key_id}", self._contributed(token))
            case "key_pause" | "key_resume":
                token = self._started_person().token
                path = path.replace("{key_id}", self._tried(token))
            case (
                "card_list"
                | "contribution_list"
                | "credit_balance"
                | "earning_get"
                | "job_list"
                | "key_get"
                | "model_list"
                | "pack_list"
                | "payout_list"
                | "pool_list"
                | "session_list"
                | "conversation_list"
                | "memory_list"
            ):
                pass
            case _:
                raise BenchFailed(f"bench/cold.py does not know how to call {row.name}")
        return FirstRequest(row.method, path, token, body)

    def _talk(self, row: FunctionRow) -> tuple[str, dict[str, Any]]:
        """A path in a conversation that has begun, and the body to post there."""
        path, key = "/v1/conversations", {"idempotency_key": secrets.token_hex(8)}
        begun = self._ask(path, self._person.token, {"model": MODEL, **key}).json()["conversation_id"]
        said = {"text": "Hello", "stream": False, **key}
        if row.name in ("conversation_regenerate", "conversation_title"):
            self._ask(f"{path}/{begun}/replies", self._person.token, said)
        bodies = {
            "conversation_quote": {"text": "Hello"},
            "conversation_regenerate": {"stream": False, **key},
            "conversation_reply": said,
            "conversation_title": key,
        }
        return row.path.replace("{conversation_id}", begun), bodies.get(row.name, {})

    def _bought(self) -> dict[str, Any]:
        """A granted order of somebody new, for nobody buys as often as this asks.

        Its look is asked for, since what is posted waits here.
        """
        self._buyer = replace(self._buyer, token=self._started_person().token)
        order = self._buyer.order()
        self._buyer.pay(order)
        self._ask(f"{TASK_PATH}/order_check", self._deployment.task_token, {"order_id": order["order_id"]})
        return self._buyer.wait_until(order, "granted")

    def _new_earner(self) -> Earner:
        """Somebody with earnings whom the provider knows."""
        person = self._started_person()
        earner = Earner(self._deployment, self._buyer.stripe, person.token)
        earner.onboard()
        Treasury(self._deployment.environment).grant_earnings(person.uid, PAYOUT_MICROS)
        return earner

    def _new_coin_buyer(self) -> CoinBuyer:
        return CoinBuyer(self._deployment, self._chain, self._started_person().token)

    def _paid_by_razorpay(self) -> tuple[str, str, str]:
        """An order that is paid and not yet granted: its id, Razorpay's id of it, and the payment's."""
        order = self._buyer.order_by_razorpay()
        reference = order["parameters"]["order_id"]
        payment = self._razorpay.act(self._deployment.razorpay_credentials, "pay", reference)
        return order["order_id"], reference, payment["id"]

    def _confirmation(self, row: FunctionRow) -> FirstRequest:
        order_id, reference, payment_id = self._paid_by_razorpay()
        signature = sign_payment(reference, payment_id, self._deployment.razorpay_credentials[1])
        path = row.path.replace("{order_id}", order_id)
        return FirstRequest("POST", path, self._buyer.token, {"payment_id": payment_id, "signature": signature})

    def _stripe_event(self) -> dict[str, Any]:
        return self._buyer.stripe.newest_event(self._deployment.stripe_key)

    def _payment_event(self) -> dict[str, Any]:
        """One that carries its object, as events about payments do; those about recipients only name theirs."""
        told = self._buyer.stripe.events(self._deployment.stripe_key)
        return next(event for event in told if event.get("data", {}).get("object"))

    def _card_path(self, row: FunctionRow, card_id: str | None = None) -> str:
        return row.path.replace("{card_id}", card_id or self._card_id)

    def _created_card(self) -> dict[str, Any]:
        body = {"name": "bench", "amount_micros": 1_000, "idempotency_key": secrets.token_hex(8)}
        card: dict[str, Any] = self._ask("/v1/cards", self._person.token, body).json()
        return card

    def _new_pool_id(self) -> str:
        """A pool that anybody may join."""
        limit = {"amount_micros": 0, "period": "day"}
        body = {"name": "bench", "public": True, "member_limit": limit, "idempotency_key": secrets.token_hex(8)}
        return str(self._ask("/v1/pools", self._person.token, body).json()["pool"]["pool_id"])

    def _joined_person(self) -> Person:
        person = self._started_person()
        self._ask(f"/v1/pools/{self._pool_id}/join", person.token, {})
        return person

    def _new_session_id(self, budget_micros: int) -> str:
        body = {"budget_micros": budget_micros, "idempotency_key": secrets.token_hex(8)}
        return str(self._ask("/v1/sessions", self._person.token, body).json()["session"]["session_id"])

    def _contributor(self, token: str) -> Contributor:
        return Contributor(self._deployment, token)

    def _contributed(self, token: str) -> str:
        """A key that nobody has tried, because its queue is paused."""
        contributor = self._contributor(self._started_person().token if token == self._person.token else token)
        return str(contributor.deposit(contributor.deposit_of("sk-bench"))["key_id"])

    def _tried(self, token: str) -> str:
        """A key that is active."""
        key_id = self._contributed(token)
        self._ask(f"{TASK_PATH}/key_validate", self._deployment.task_token, {"key_id": key_id})
        return key_id

    def _image_job_id(self) -> str:
        """A job whose task waits, because its queue is paused."""
        body = {"model": IMAGE_MODEL, "prompt": "A cat", "background": True}
        accepted = self._ask("/v1/images/generations", self._person.token, body, status=requests.codes.accepted)
        return str(accepted.json()["id"])

    def _job(self, *, approve_plan: bool = False) -> dict[str, Any]:
        """A job of one question that was worked at, by tasks delivered here because its queue is paused."""
        job_id = self._ask("/v1/jobs", self._person.token, self._job_body(approve_plan=approve_plan)).json()["id"]
        self._ask(f"{TASK_PATH}/job_step", self._deployment.task_token, {"job_id": job_id, "leg": 0})
        headers = {"authorization": f"Bearer {self._person.token}"}
        answered = requests.get(f"{self._deployment.url}/v1/jobs/{job_id}", headers=headers, timeout=SET_UP_TIMEOUT_S)
        job: dict[str, Any] = answered.json()["job"]
        return job

    def _job_body(self, *, approve_plan: bool = False) -> dict[str, Any]:
        return {
            "kind": "research",
            "params": {"topic": "How are credits held?", "approve_plan": approve_plan},
            "model": MODEL,
            "ceiling_micros": 9_000_000,
            "idempotency_key": secrets.token_hex(8),
        }

    def _started_person(self) -> Person:
        person = self._people.add(self._deployment.project_id)
        self._ask("/v1/account", person.token, {})
        return person

    def _ask(
        self, path: str, token: str, body: Mapping[str, Any], *, status: int = requests.codes.ok
    ) -> requests.Response:
        headers = {"authorization": f"Bearer {token}"}
        response = requests.post(self._deployment.url + path, json=body, headers=headers, timeout=SET_UP_TIMEOUT_S)
        if response.status_code != status:
            raise BenchFailed(f"{path} answered {response.status_code}: {response.text}")
        return response

    def _model_change(self) -> dict[str, Any]:
        """The next version of a model that nothing else here calls."""
        change = {
            "model": "google/veo-3.1-generate-001",
            "expected_version": self._model_version,
            "enabled": True,
            "reason": "bench",
        }
        self._model_version += 1
        return change

    def _complaint(self) -> tuple[str, dict[str, Any]]:
        # Another person each time: one complains only so often in a day.
        person = self._started_person()
        receipt_id = Treasury(self._deployment.environment).serve_by_key(person.uid)
        return person.token, {"receipt_id": receipt_id, "defect": "nonsense"}

    def _chat_body(self) -> dict[str, Any]:
        return {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 16}


def measure(quick: bool) -> dict[str, Any]:
    """All functions, round after round; first the timers, then those that leave them work."""
    rows = [row for row in read_manifest() if row.name in QUICK or not quick]
    groups = [row for row in rows if row.trigger.schedule], [row for row in rows if not row.trigger.schedule]
    pairs = PAIRS_QUICK if quick else PAIRS
    times: dict[str, list[float]] = {row.name: [] for row in rows}
    hellos: dict[str, list[float]] = {row.name: [] for row in rows}
    with (
        tempfile.TemporaryDirectory(prefix="credence-") as folder,
        Stack(say) as stack,
        Deployment(stack, f"demo-bench-{secrets.token_hex(6)}", events=False) as deployment,
    ):
        # What is posted waits for the function that is timed.
        stack.cloud_tasks.detach(deployment.project_id, read_queues())
        first_requests = FirstRequests(stack, deployment)
        starter = _Starter(Path(folder), deployment.environment)
        # The first round compiles, and fills the disk cache; it does not count.
        for group, number in itertools.product(groups, range(pairs if quick else pairs + 1)):
            say(f"Round {number} of {pairs}" if number else "Warming up")
            for row in group:
                function_ms = starter.time_start_ms(row.name, REPOSITORY / "main.py", first_requests.of(row))
                hello_ms = starter.time_start_ms(HELLO, REPOSITORY / "bench" / "hello.py", FirstRequest())
                if number or quick:
                    times[row.name].append(function_ms)
                    hellos[row.name].append(hello_ms)
    return _figures(times, hellos)


def _recording() -> tuple[bytes, str]:
    """A form with a short recording, and its media type."""
    form = requests.Request(
        "POST", "http://localhost", data={"model": SPEECH_MODEL}, files={"file": ("a.mp3", b"ID3" * 100, "audio/mpeg")}
    ).prepare()
    assert isinstance(form.body, bytes)
    return form.body, form.headers["content-type"]


def _figures(times: Mapping[str, list[float]], hellos: Mapping[str, list[float]]) -> dict[str, Any]:
    ratios = {name: median([f / h for f, h in zip(times[name], hellos[name], strict=True)]) for name in times}
    all_hellos = [hello_ms for sample in hellos.values() for hello_ms in sample]
    chat = "chat_completions"
    callers = max(ratio for name, ratio in ratios.items() if name in CALLERS)
    others = max(ratio for name, ratio in ratios.items() if name not in CALLERS)
    return {
        "worst_ratio": max(ratios.values()),
        "ratios": ratios,
        "hello_ms": median(all_hellos),
        "function_ms": {name: median(sample) for name, sample in times.items()},
        "targets": {"callers": at_most(CALLER_RATIO_MAX, callers), "others": at_most(OTHER_RATIO_MAX, others)},
        "noise": {"pairs": len(times[chat]), "hello_ms": spread(all_hellos)},
    }


class _Starter:
    """Starts a function, asks it once, and kills it."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._log = folder / "function.log"
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self._environment = {**inherited, **environment}
        self._program = Path(sys.executable).with_name("functions-framework")

    def time_start_ms(self, name: str, source: Path, first_request: FirstRequest) -> float:
        """From just before the process exists to the last byte of its first answer."""
        port = free_port()
        request = first_request.to_bytes()
        command = [self._program, "--target", name, "--source", source, "--host", HOST, "--port", str(port)]
        with self._log.open("wb") as log:
            started_at_s = time.perf_counter()
            process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                connection = self._connect(name, process, port, gives_up_at_s=started_at_s + START_DEADLINE_S)
                with connection:
                    answer = _exchange(connection, request)
                took_s = time.perf_counter() - started_at_s
            finally:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise BenchFailed(f"{name} answered {answer[:500]!r}\n{self._log.read_text(errors='replace')}")
        return took_s * 1000

    def _connect(
        self, name: str, process: subprocess.Popen[bytes], port: int, *, gives_up_at_s: float
    ) -> socket.socket:
        """A connection as soon as one is taken. The server listens before its worker is up; the request waits there."""
        while time.perf_counter() < gives_up_at_s and process.poll() is None:
            try:
                connection = socket.create_connection((HOST, port), timeout=START_DEADLINE_S)
            except ConnectionRefusedError:
                time.sleep(POLL_INTERVAL_S)
                continue
            # A local connect to a port nobody listens on can, rarely, meet itself.
            if connection.getsockname() != connection.getpeername():
                return connection
            connection.close()
        raise BenchFailed(f"{name} did not start\n{self._log.read_text(errors='replace')}")


def _exchange(connection: socket.socket, request: bytes) -> bytes:
    """Send, and read until the server closes the connection."""
    connection.sendall(request)
    answer = bytearray()
    while piece := connection.recv(65536):
        answer += piece
    return bytes(answer)


if __name__ == "__main__":
    sys.exit(run_bench("bench.cold", measure))
