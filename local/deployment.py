"""Credence as deployed, on one machine: the gateway process over a stack, and the tokens to call it with."""

import hashlib
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from local.admob import AD_UNITS, LocalAdMob
from local.cloud_tasks.emulator import LOCATION
from local.events import Target
from local.gateway import CERTIFICATES_PATH, READY_PATH
from local.manifest import TASK_PATH, read_manifest, read_queues
from local.node import REPOSITORY
from local.oidc import AUDIENCE, BACKEND, CALLERS, EVENTARC, OPERATOR, SCHEDULER, TASKS, LocalIssuer
from local.paypal.account import MERCHANT_ID
from local.process import HOST, Service, free_port, start_child
from local.stack import Stack
from shared.base.settings import Settings
from shared.proof.signer import LocalSigner

GATEWAY_DEADLINE_S = 60.0
"""It is ready in about two seconds; the rest is for a machine that is busy."""
LOG_ORIGIN = "credence.local/log"
STRIPE_PATH = "/v1/webhooks/stripe"
CONNECT_PATH = "/v1/webhooks/stripe-connect"
PAYPAL_PATH = "/v1/webhooks/paypal"
PAYPAL_SANDBOX = "https://api-m.sandbox.paypal.com"
RAZORPAY_PATH = "/v1/webhooks/razorpay"
RAZORPAY_KEY_SECRET = "razorpay_key_local"  # noqa: S105 - of a stand-in
WEBHOOK_SECRET = "whsec_local"  # noqa: S105 - of a stand-in
"""What the stand-ins for Stripe and Razorpay sign with. They listen on this machine only."""
CONNECT_SECRET = "whsec_local_connect"  # noqa: S105 - the same
PASSED_ON = tuple(
    name.upper()
    for name in Settings.__struct_fields__
    if name.endswith(("_api_key", "_base_url"))
    or name.startswith("crypto_")
    or name in ("cloudflare_account_id", "custom_providers", "stripe_webhook_secret", "stripe_connect_webhook_secret")
    or name in ("paypal_client_id", "paypal_client_secret", "paypal_merchant_id", "paypal_webhook_id")
    or name in ("razorpay_key_id", "razorpay_key_secret", "razorpay_webhook_secret")
)
"""What the developer's environment (or `.env`) may add: a real provider's key takes the place of the stand-in."""

MODEL_KEYS = tuple(
    name for name in PASSED_ON if name.endswith("_API_KEY") and name not in ("STRIPE_API_KEY", "TAVILY_API_KEY")
)


class Deployment:
    """A context manager around one gateway process. `url` is what clients are pointed at."""

    def __init__(
        self,
        stack: Stack,
        project_id: str,
        *,
        port: int | None = None,
        environment: Mapping[str, str] | None = None,
        events: bool = True,
        beside: "Deployment | None" = None,
    ) -> None:
        """`environment` overrides single variables, for tests of odd set-ups. Without `events` none is delivered, for
        benchmarks: in the cloud no function shares a processor with those that take the events it causes. One that
        stands `beside` another of its project signs like it, and leaves to it what the stack delivers.
        """
        self._stack = stack
        self._port = port or free_port()
        self._extra = dict(environment or {})
        self._events = events
        self._exit = ExitStack()
        self._service: Service | None = None
        self._command: list[str] = []
        self.project_id = project_id
        self.issuer = beside.issuer if beside else LocalIssuer.new()
        self._is_first = beside is None
        self.admob = LocalAdMob.new()
        self._log_key = Ed25519PrivateKey.generate()
        self._log_files: dict[str, str] = {}
        self._ad_keys: dict[str, str] = {}
        self.url = f"http://{HOST}:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that every function of this deployment runs with."""
        return {
            **self._stack.environment(self.project_id),
            "OIDC_CERTS_URL": self.url + CERTIFICATES_PATH,
            "SERVICE_AUDIENCE": AUDIENCE,
            "SERVICE_CALLERS": CALLERS,
            "TASKS_LOCATION": LOCATION,
            "TASK_URL": f"{self.url}{TASK_PATH}/{{function}}",
            "TASK_SERVICE_ACCOUNT": TASKS,
            **self._log_files,
            "STRIPE_API_KEY": self.stripe_key,
            "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "STRIPE_CONNECT_WEBHOOK_SECRET": CONNECT_SECRET,
            "PAYOUT_RETURN_URL": f"{self.url}/_local/onboarded",
            "CHECKOUT_RETURN_URL": f"{self.url}/_local/paid",
            **({} if os.environ.get("CRYPTO_RPC_URL") else self._stack.chain.environment),
            # A real key speaks with the real Stripe.
            **({} if os.environ.get("STRIPE_API_KEY") else {"STRIPE_BASE_URL": self._stack.stripe.url}),
            **self._paypal,
            "RAZORPAY_KEY_ID": self.razorpay_credentials[0],
            "RAZORPAY_KEY_SECRET": self.razorpay_credentials[1],
            "RAZORPAY_WEBHOOK_SECRET": WEBHOOK_SECRET,
            # A real key speaks with the real Razorpay.
            **({} if os.environ.get("RAZORPAY_KEY_ID") else {"RAZORPAY_BASE_URL": self._stack.razorpay.url}),
            **self._ad_keys,
            "AD_UNITS": AD_UNITS,
            **{name: os.environ[name] for name in PASSED_ON if os.environ.get(name)},
            **self._extra,
        }

    @property
    def stripe_key(self) -> str:
        """The key, and so the account, of this deployment at the stand-in for Stripe."""
        return f"sk_test_{self.project_id}"

    @property
    def paypal_client_id(self) -> str:
        """The client id, and so the account, of this deployment at the stand-in for PayPal."""
        return f"client-{self.project_id}"

    @property
    def paypal_webhook_id(self) -> str:
        """What the stand-in for PayPal signs this deployment's events for."""
        return hashlib.sha256(self.project_id.encode()).hexdigest()[:17].upper()

    @property
    def _paypal(self) -> dict[str, str]:
        settings = {
            "PAYPAL_CLIENT_ID": self.paypal_client_id,
            "PAYPAL_CLIENT_SECRET": "local",
            "PAYPAL_MERCHANT_ID": MERCHANT_ID,
            "PAYPAL_WEBHOOK_ID": self.paypal_webhook_id,
        }
        if os.environ.get("PAYPAL_CLIENT_ID"):
            # A real key speaks with the real PayPal, in its sandbox unless something else is said.
            return {**settings, "PAYPAL_BASE_URL": PAYPAL_SANDBOX}
        standin = self._stack.paypal
        return {
            **settings,
            "PAYPAL_BASE_URL": standin.url,
            "PAYPAL_CERTIFICATES_FILE": str(standin.certificates_file),
        }

    @property
    def razorpay_credentials(self) -> tuple[str, str]:
        """Key id and secret, and so the account, of this deployment at the stand-in for Razorpay."""
        return f"rzp_test_{self.project_id.replace('-', '_')}", RAZORPAY_KEY_SECRET

    @property
    def backend_token(self) -> str:
        """A token that may debit."""
        return self.issuer.token(BACKEND)

    @property
    def scheduler_token(self) -> str:
        """A token that may run timers."""
        return self.issuer.token(SCHEDULER)

    @property
    def operator_token(self) -> str:
        """A token that may do what operators do: models, refunds, reviews, reports."""
        return self.issuer.token(OPERATOR)

    @property
    def event_token(self) -> str:
        """A token that may deliver events."""
        return self.issuer.token(EVENTARC)

    @property
    def task_token(self) -> str:
        """A token that may deliver tasks."""
        return self.issuer.token(TASKS)

    @property
    def verifier_key(self) -> str:
        """What verifies this deployment's checkpoints and receipts."""
        return str(LocalSigner(LOG_ORIGIN, self._log_key).verifier_key)

    @property
    def log(self) -> str:
        """What the gateway has written so far."""
        if self._service is None or self._service.child is None:
            return ""
        return self._service.child.log.read_text(errors="replace")

    @property
    def process_id(self) -> int:
        """The gateway's process."""
        if self._service is None or self._service.child is None:
            raise RuntimeError("the gateway is not running")
        return self._service.child.popen.pid

    def __enter__(self) -> Self:
        """Raise ProcessFailed, with the gateway's last words, when it cannot start."""
        with ExitStack() as until_ready:
            folder = Path(until_ready.enter_context(tempfile.TemporaryDirectory(prefix="credence-")))
            certificates = folder / "certificates.json"
            certificates.write_text(self.issuer.certificates(), encoding="utf-8")
            self._log_files = self._write_log_files(folder)
            ad_keys = folder / "ad_keys.json"
            ad_keys.write_text(self.admob.verifier_keys(), encoding="utf-8")
            self._ad_keys = {"AD_KEYS_FILE": str(ad_keys)}
            self._command = [sys.executable, "-m", "local.gateway", str(self._port), str(certificates)]
            self._start(folder, until_ready)
            if self._is_first:
                self._have_delivered(until_ready)
            self._exit = until_ready.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def crash(self) -> None:
        """End the gateway as a machine that fails would, with all that it was doing, and start another in its place."""
        if self._service is None or self._service.child is None:
            raise RuntimeError("the gateway is not running")
        child = self._service.child
        os.killpg(child.popen.pid, signal.SIGKILL)
        child.popen.wait()
        self._start(child.log.parent, self._exit)

    def _start(self, folder: Path, until_done: ExitStack) -> None:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        environment = {**inherited, "PYTHONPATH": str(REPOSITORY), **self.environment}
        child = start_child("Gateway", self._command, folder=folder, environment=environment)
        service = Service("Gateway", f"{HOST}:{self._port}", child, READY_PATH, GATEWAY_DEADLINE_S)
        until_done.callback(service.stop)
        service.wait_until_ready()
        self._service = service

    def _have_delivered(self, until_done: ExitStack) -> None:
        """Tasks, the payment provider's events, and Firestore's."""
        self._stack.cloud_tasks.attach(self.project_id, self.issuer, read_queues())
        until_done.callback(self._stack.cloud_tasks.detach, self.project_id, read_queues())
        self._stack.stripe.hook(self.stripe_key, self.url + STRIPE_PATH, WEBHOOK_SECRET)
        self._stack.stripe.hook_connect(self.stripe_key, self.url + CONNECT_PATH, CONNECT_SECRET)
        self._stack.paypal.hook(self.paypal_client_id, self.url + PAYPAL_PATH, self.paypal_webhook_id)
        self._stack.razorpay.hook(self.razorpay_credentials, self.url + RAZORPAY_PATH, WEBHOOK_SECRET)
        if self._events:
            self._subscribe(until_done)

    def _subscribe(self, until_done: ExitStack) -> None:
        """Have Firestore's events delivered to the functions that take them."""
        for row in read_manifest():
            if row.trigger.event is None:
                continue
            events, target = self._stack.events, Target(self.url + row.path, lambda: self.event_token)
            events.subscribe(self._stack.firestore_address, self.project_id, row.name, row.trigger.event, target)
            until_done.callback(events.unsubscribe, self.project_id, row.name, target)

    def _write_log_files(self, folder: Path) -> dict[str, str]:
        """The key that stands for the one in Cloud KMS, and the folder that stands for the locked bucket."""
        key_file, vault = folder / "checkpoint_key.pem", folder / "checkpoints"
        key_file.touch(mode=0o600)
        key_file.write_bytes(self._log_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return {
            "CHECKPOINT_ORIGIN": LOG_ORIGIN,
            "CHECKPOINT_KEY_FILE": str(key_file),
            "CHECKPOINT_FOLDER": str(vault),
            "VAULT_KEY_FILE": str(folder / "vault_keys.json"),
        }
