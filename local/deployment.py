"""Credence as deployed, on one machine: the gateway process over a stack, and the tokens to call it with."""

import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from local.events import Target
from local.gateway import CERTIFICATES_PATH, READY_PATH
from local.manifest import read_manifest
from local.node import REPOSITORY
from local.oidc import AUDIENCE, BACKEND, CALLERS, EVENTARC, SCHEDULER, LocalIssuer
from local.process import HOST, Service, free_port, start_child
from local.stack import Stack

GATEWAY_DEADLINE_S = 60.0
"""It is ready in about two seconds; the rest is for a machine that is busy."""
PASSED_ON = ("HUGGINGFACE_API_KEY", "HUGGINGFACE_BASE_URL", "OPENROUTER_API_KEY", "OPENROUTER_BASE_URL")
"""What the developer's environment (or `.env`) may add: a real provider's key takes the place of the stand-in."""


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
    ) -> None:
        """`environment` overrides single variables, for tests of odd set-ups. Without `events` none is delivered, for
        benchmarks: in the cloud no function shares a processor with those that take the events it causes.
        """
        self._stack = stack
        self._port = port or free_port()
        self._extra = dict(environment or {})
        self._events = events
        self._exit = ExitStack()
        self._service: Service | None = None
        self.project_id = project_id
        self.issuer = LocalIssuer.new()
        self.url = f"http://{HOST}:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that every function of this deployment runs with."""
        return {
            **self._stack.environment(self.project_id),
            "OIDC_CERTS_URL": self.url + CERTIFICATES_PATH,
            "SERVICE_AUDIENCE": AUDIENCE,
            "SERVICE_CALLERS": CALLERS,
            **{name: os.environ[name] for name in PASSED_ON if os.environ.get(name)},
            **self._extra,
        }

    @property
    def backend_token(self) -> str:
        """A token that may debit."""
        return self.issuer.token(BACKEND)

    @property
    def scheduler_token(self) -> str:
        """A token that may run timers."""
        return self.issuer.token(SCHEDULER)

    @property
    def event_token(self) -> str:
        """A token that may deliver events."""
        return self.issuer.token(EVENTARC)

    @property
    def log(self) -> str:
        """What the gateway has written so far."""
        if self._service is None or self._service.child is None:
            return ""
        return self._service.child.log.read_text(errors="replace")

    def __enter__(self) -> Self:
        """Raise ProcessFailed, with the gateway's last words, when it cannot start."""
        with ExitStack() as until_ready:
            folder = Path(until_ready.enter_context(tempfile.TemporaryDirectory(prefix="credence-")))
            certificates = folder / "certificates.json"
            certificates.write_text(self.issuer.certificates(), encoding="utf-8")
            command = [sys.executable, "-m", "local.gateway", str(self._port), certificates]
            inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
            environment = {**inherited, "PYTHONPATH": str(REPOSITORY), **self.environment}
            child = start_child("Gateway", command, folder=folder, environment=environment)
            service = Service("Gateway", f"{HOST}:{self._port}", child, READY_PATH, GATEWAY_DEADLINE_S)
            until_ready.callback(service.stop)
            service.wait_until_ready()
            self._service = service
            if self._events:
                self._subscribe(until_ready)
            self._exit = until_ready.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def _subscribe(self, until_done: ExitStack) -> None:
        """Have Firestore's events delivered to the functions that take them."""
        for row in read_manifest():
            if row.trigger.event is None:
                continue
            events, target = self._stack.events, Target(self.url + row.path, lambda: self.event_token)
            events.subscribe(self._stack.firestore_address, self.project_id, row.name, row.trigger.event, target)
            until_done.callback(events.unsubscribe, self.project_id, row.name, target)
