"""What must be there before functions can be asked: people with credits, cards, pools, sessions, orders and jobs."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import requests

from bench.report import BenchFailed
from local.buyer import Buyer
from local.coin_buyer import CoinBuyer
from local.contributor import Contributor
from local.deployment import Deployment
from local.earner import PAYOUT_MICROS, Earner
from local.manifest import TASK_PATH, FunctionRow
from local.people import People, Person
from local.stack import Stack
from local.treasury import Treasury

MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct"
EMBEDDING_MODEL = "BAAI/bge-en-icl"
IMAGE_MODEL = "black-forest-labs/flux-schnell"
SPEECH_MODEL = "openai/whisper-1"
SET_UP_TIMEOUT_S = 30.0


class Prepared:
    """Accounts, and what they have bought, begun and put in, before any function is asked.

    The deployment's tasks must wait: detach its queues before.
    """

    def __init__(self, stack: Stack, deployment: Deployment) -> None:
        self.deployment = deployment
        self.people = People(stack.auth_address)
        self.person = self.started_person()
        chat = self.ask("/v1/chat/completions", self.person.token, self.chat_body())
        # Until there is a checkpoint, the log has nothing to read and a receipt no proof.
        self.ask("/_timers/ledger_checkpoint", self.deployment.scheduler_token, {})
        self.receipt_id = chat.headers["x-credence-receipt"]
        self.recipient = self.started_person()
        self._card_id = self.created_card()["card"]["card_id"]
        self.pool_id = self.new_pool_id()
        put_in = {"amount_micros": 1_000, "idempotency_key": "bench"}
        self.ask(f"/v1/pools/{self.pool_id}/contributions", self.person.token, put_in)
        self.session_id = self.new_session_id(50_000_000)
        treasury = Treasury(deployment.environment)
        treasury.grant_paid(self.person.uid, 1_000)
        treasury.record_prices(MODEL)
        self.settlement_id = treasury.settle_nothing(self.person.uid)
        self._model_version = 0
        self.buyer = Buyer(deployment, stack.stripe, self.person.token)
        self._chain = stack.chain
        self.paypal = stack.paypal.signatory
        self.razorpay = stack.razorpay
        self.bought()

    def talk(self, row: FunctionRow) -> tuple[str, dict[str, Any]]:
        """A path in a conversation that has begun, and the body to post there."""
        path, key = "/v1/conversations", {"idempotency_key": secrets.token_hex(8)}
        begun = self.ask(path, self.person.token, {"model": MODEL, **key}).json()["conversation_id"]
        said = {"text": "Hello", "stream": False, **key}
        if row.name in ("conversation_regenerate", "conversation_title"):
            self.ask(f"{path}/{begun}/replies", self.person.token, said)
        bodies = {
            "conversation_quote": {"text": "Hello"},
            "conversation_regenerate": {"stream": False, **key},
            "conversation_reply": said,
            "conversation_title": key,
        }
        return row.path.replace("{conversation_id}", begun), bodies.get(row.name, {})

    def bought(self) -> dict[str, Any]:
        """A granted order of somebody new, for nobody buys as often as this asks.

        Its look is asked for, since what is posted waits here.
        """
        self.buyer = replace(self.buyer, token=self.started_person().token)
        order = self.buyer.order()
        self.buyer.pay(order)
        self.ask(f"{TASK_PATH}/order_check", self.deployment.task_token, {"order_id": order["order_id"]})
        return self.buyer.wait_until(order, "granted")

    def new_earner(self) -> Earner:
        """Somebody with earnings whom the provider knows."""
        person = self.started_person()
        earner = Earner(self.deployment, self.buyer.stripe, person.token)
        earner.onboard()
        Treasury(self.deployment.environment).grant_earnings(person.uid, PAYOUT_MICROS)
        return earner

    def new_coin_buyer(self) -> CoinBuyer:
        return CoinBuyer(self.deployment, self._chain, self.started_person().token)

    def paid_by_razorpay(self) -> tuple[str, str, str]:
        """An order that is paid and not yet granted: its id, Razorpay's id of it, and the payment's."""
        order = self.buyer.order_by_razorpay()
        reference = order["parameters"]["order_id"]
        payment = self.razorpay.act(self.deployment.razorpay_credentials, "pay", reference)
        return order["order_id"], reference, payment["id"]

    def stripe_event(self) -> dict[str, Any]:
        return self.buyer.stripe.newest_event(self.deployment.stripe_key)

    def payment_event(self) -> dict[str, Any]:
        """One that carries its object, as events about payments do; those about recipients only name theirs."""
        told = self.buyer.stripe.events(self.deployment.stripe_key)
        return next(event for event in told if event.get("data", {}).get("object"))

    def card_path(self, row: FunctionRow, card_id: str | None = None) -> str:
        return row.path.replace("{card_id}", card_id or self._card_id)

    def created_card(self) -> dict[str, Any]:
        body = {"name": "bench", "amount_micros": 1_000, "idempotency_key": secrets.token_hex(8)}
        card: dict[str, Any] = self.ask("/v1/cards", self.person.token, body).json()
        return card

    def new_pool_id(self) -> str:
        """A pool that anybody may join."""
        limit = {"amount_micros": 0, "period": "day"}
        body = {"name": "bench", "public": True, "member_limit": limit, "idempotency_key": secrets.token_hex(8)}
        return str(self.ask("/v1/pools", self.person.token, body).json()["pool"]["pool_id"])

    def joined_person(self) -> Person:
        person = self.started_person()
        self.ask(f"/v1/pools/{self.pool_id}/join", person.token, {})
        return person

    def new_session_id(self, budget_micros: int) -> str:
        body = {"budget_micros": budget_micros, "idempotency_key": secrets.token_hex(8)}
        return str(self.ask("/v1/sessions", self.person.token, body).json()["session"]["session_id"])

    def contributor(self, token: str) -> Contributor:
        return Contributor(self.deployment, token)

    def contributed(self, token: str) -> str:
        """A key that nobody has tried, because its queue is paused."""
        contributor = self.contributor(self.started_person().token if token == self.person.token else token)
        return str(contributor.deposit(contributor.deposit_of("sk-bench"))["key_id"])

    def tried(self, token: str) -> str:
        """A key that is active."""
        key_id = self.contributed(token)
        self.ask(f"{TASK_PATH}/key_validate", self.deployment.task_token, {"key_id": key_id})
        return key_id

    def image_job_id(self) -> str:
        """A job whose task waits, because its queue is paused."""
        body = {"model": IMAGE_MODEL, "prompt": "A cat", "background": True}
        accepted = self.ask("/v1/images/generations", self.person.token, body, status=requests.codes.accepted)
        return str(accepted.json()["id"])

    def job(self, *, approve_plan: bool = False) -> dict[str, Any]:
        """A job of one question that was worked at, by tasks delivered here because its queue is paused."""
        job_id = self.ask("/v1/jobs", self.person.token, self.job_body(approve_plan=approve_plan)).json()["id"]
        self.ask(f"{TASK_PATH}/job_step", self.deployment.task_token, {"job_id": job_id, "leg": 0})
        headers = {"authorization": f"Bearer {self.person.token}"}
        answered = requests.get(f"{self.deployment.url}/v1/jobs/{job_id}", headers=headers, timeout=SET_UP_TIMEOUT_S)
        job: dict[str, Any] = answered.json()["job"]
        return job

    def job_body(self, *, approve_plan: bool = False) -> dict[str, Any]:
        return {
            "kind": "research",
            "params": {"topic": "How are credits held?", "approve_plan": approve_plan},
            "model": MODEL,
            "ceiling_micros": 9_000_000,
            "idempotency_key": secrets.token_hex(8),
        }

    def started_person(self) -> Person:
        person = self.people.add(self.deployment.project_id)
        self.ask("/v1/account", person.token, {})
        return person

    def ask(
        self, path: str, token: str, body: Mapping[str, Any], *, status: int = requests.codes.ok
    ) -> requests.Response:
        """What the deployment answered. Raise BenchFailed where that is anything but `status`."""
        headers = {"authorization": f"Bearer {token}"}
        response = requests.post(self.deployment.url + path, json=body, headers=headers, timeout=SET_UP_TIMEOUT_S)
        if response.status_code != status:
            raise BenchFailed(f"{path} answered {response.status_code}: {response.text}")
        return response

    def model_change(self) -> dict[str, Any]:
        """The next version of a model that nothing else here calls."""
        change = {
            "model": "google/veo-3.1-generate-001",
            "expected_version": self._model_version,
            "enabled": True,
            "reason": "bench",
        }
        self._model_version += 1
        return change

    def complaint(self) -> tuple[str, dict[str, Any]]:
        # Another person each time: one complains only so often in a day.
        person = self.started_person()
        receipt_id = Treasury(self.deployment.environment).serve_by_key(person.uid)
        return person.token, {"receipt_id": receipt_id, "defect": "nonsense"}

    def chat_body(self) -> dict[str, Any]:
        return {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 16}


def recording() -> tuple[bytes, str]:
    """A form with a short recording, and its media type."""
    form = requests.Request(
        "POST", "http://localhost", data={"model": SPEECH_MODEL}, files={"file": ("a.mp3", b"ID3" * 100, "audio/mpeg")}
    ).prepare()
    assert isinstance(form.body, bytes)
    return form.body, form.headers["content-type"]
