"""PayPal's stand-in as a part of the local stack: started, told where events go, made to act."""

import datetime
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from local.node import REPOSITORY
from local.paypal.authority import Signatory
from local.paypal.server import ACT_PATH, EVENTS_PATH, HOOK_PATH, READY_PATH
from local.process import HOST, Service, free_port, start_child

DEADLINE_S = 30.0
"""It needs a second; the rest is for a machine that is busy."""
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class PayPalStandin:
    """A running stand-in. Each client id is an account of its own."""

    service: Service
    certificates_file: Path
    """What `PAYPAL_CERTIFICATES_FILE` is set to."""
    signatory: Signatory
    """Signs like it, for whoever delivers by themselves."""

    @property
    def url(self) -> str:
        """What `PAYPAL_BASE_URL` is set to."""
        return f"http://{self.service.address}"

    def hook(self, client_id: str, url: str, webhook_id: str) -> None:
        """Have the account's events delivered there, signed."""
        self._post(HOOK_PATH, client_id, {"url": url, "webhook_id": webhook_id})

    def act(self, client_id: str, action: str, object_id: str, **more: Any) -> dict[str, Any]:
        """Do what a buyer or PayPal does: see `PayPalAccount`."""
        return self._post(ACT_PATH.format(action=action), client_id, {"id": object_id, **more})

    def events(self, client_id: str) -> list[dict[str, Any]]:
        """The account's events, oldest first."""
        response = requests.get(self.url + EVENTS_PATH, auth=(client_id, "-"), timeout=TIMEOUT_S)
        response.raise_for_status()
        events: list[dict[str, Any]] = response.json()
        return events

    def _post(self, path: str, client_id: str, body: dict[str, Any]) -> dict[str, Any]:
        response = requests.post(self.url + path, json=body, auth=(client_id, "-"), timeout=TIMEOUT_S)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer


def start_paypal(folder: Path) -> PayPalStandin:
    """Start it on a free port, with a root and a certificate of its own."""
    signatory = Signatory.new(datetime.datetime.now(datetime.UTC))
    key_file, certificates_file = folder / "paypal-key.pem", folder / "paypal-certificates.pem"
    key_file.touch(mode=0o600)
    key_file.write_bytes(signatory.key_pem)
    certificates_file.write_bytes(signatory.pem)
    port = free_port()
    command = [sys.executable, "-m", "local.paypal.server", str(port), key_file, certificates_file]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    child = start_child("PayPal stand-in", command, folder=folder, environment=environment)
    service = Service("PayPal stand-in", f"{HOST}:{port}", child, READY_PATH, DEADLINE_S)
    return PayPalStandin(service, certificates_file, signatory)
