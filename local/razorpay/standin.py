"""Razorpay's stand-in as a part of the local stack: started, told where events go, made to act."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from local.node import REPOSITORY
from local.process import HOST, Service, free_port, start_child
from local.razorpay.server import ACT_PATH, EVENTS_PATH, HOOK_PATH, READY_PATH

DEADLINE_S = 30.0
"""It needs a second; the rest is for a machine that is busy."""
TIMEOUT_S = 10.0
Credentials = tuple[str, str]
"""Key id and key secret."""


@dataclass(frozen=True, slots=True)
class RazorpayStandin:
    """A running stand-in. Each key id is an account of its own."""

    service: Service

    @property
    def url(self) -> str:
        """What `RAZORPAY_BASE_URL` is set to; its first page leads to all orders that wait to be paid."""
        return f"http://{self.service.address}"

    def page_of(self, key_id: str, reference: str) -> str:
        """Where a buyer pays an order of the account."""
        return f"{self.url}/pay/{key_id}/{reference}"

    def hook(self, credentials: Credentials, url: str, secret: str) -> None:
        """Have the account's events delivered there, signed."""
        self._post(HOOK_PATH, credentials, {"url": url, "secret": secret})

    def act(self, credentials: Credentials, action: str, object_id: str, **more: Any) -> dict[str, Any]:
        """Do what a buyer or a bank does: see `RazorpayAccount`."""
        return self._post(ACT_PATH.format(action=action), credentials, {"id": object_id, **more})

    def newest_event(self, credentials: Credentials) -> dict[str, Any]:
        """The account's last event."""
        response = requests.get(self.url + EVENTS_PATH, auth=credentials, timeout=TIMEOUT_S)
        response.raise_for_status()
        event: dict[str, Any] = response.json()[-1]
        return event

    def _post(self, path: str, credentials: Credentials, body: dict[str, Any]) -> dict[str, Any]:
        response = requests.post(self.url + path, json=body, auth=credentials, timeout=TIMEOUT_S)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer


def start_razorpay(folder: Path) -> RazorpayStandin:
    """Start it on a free port."""
    port = free_port()
    command = [sys.executable, "-m", "local.razorpay.server", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    child = start_child("Razorpay stand-in", command, folder=folder, environment=environment)
    return RazorpayStandin(Service("Razorpay stand-in", f"{HOST}:{port}", child, READY_PATH, DEADLINE_S))
