"""Stripe's stand-in as a part of the local stack: started, told where events go, made to act."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from local.node import REPOSITORY
from local.process import HOST, Service, free_port, start_child
from local.stripe.server import ACT_PATH, HOOK_PATH, READY_PATH

DEADLINE_S = 30.0
"""It needs a second; the rest is for a machine that is busy."""
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class StripeStandin:
    """A running stand-in. Each API key is an account of its own."""

    service: Service

    @property
    def url(self) -> str:
        """What `STRIPE_BASE_URL` is set to."""
        return f"http://{self.service.address}"

    def hook(self, api_key: str, url: str, secret: str) -> None:
        """Have the account's events delivered there, signed."""
        self._post(HOOK_PATH, api_key, {"url": url, "secret": secret})

    def hook_connect(self, api_key: str, url: str, secret: str) -> None:
        """Have what happens to recipients and transfers delivered there, signed."""
        self._post(HOOK_PATH, api_key, {"url": url, "secret": secret, "connect": True})

    def act(self, api_key: str, action: str, object_id: str, **more: Any) -> dict[str, Any]:
        """Do what a buyer, a recipient or a bank does: see `_actions` of the server."""
        return self._post(ACT_PATH.format(action=action), api_key, {"id": object_id, **more})

    def newest_event(self, api_key: str) -> dict[str, Any]:
        """The account's last event."""
        return self.events(api_key)[0]

    def events(self, api_key: str) -> list[dict[str, Any]]:
        """The account's last events, newest first."""
        headers = {"authorization": f"Bearer {api_key}"}
        response = requests.get(f"{self.url}/v1/events", headers=headers, timeout=TIMEOUT_S)
        response.raise_for_status()
        found: list[dict[str, Any]] = response.json()["data"]
        return found

    def _post(self, path: str, api_key: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {api_key}"}
        response = requests.post(self.url + path, json=body, headers=headers, timeout=TIMEOUT_S)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer


def start_stripe(folder: Path) -> StripeStandin:
    """Start it on a free port."""
    port = free_port()
    command = [sys.executable, "-m", "local.stripe.server", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    child = start_child("Stripe stand-in", command, folder=folder, environment=environment)
    return StripeStandin(Service("Stripe stand-in", f"{HOST}:{port}", child, READY_PATH, DEADLINE_S))
