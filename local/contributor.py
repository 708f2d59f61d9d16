"""Somebody who contributes keys on the local stack, where an operator has let keys of the stand-in be contributed."""

import secrets
import time
from typing import Any

import requests

from local.deployment import Deployment

MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct"
PROVIDER = "standin"
QUOTA_MICROS = 100_000_000
TIMEOUT_S = 30.0
SETTLED_WITHIN_S = 30.0
POLL_INTERVAL_S = 0.1


class Contributor:
    """Deposits keys with a user's token. What does not work raises RuntimeError with the answer."""

    def __init__(self, deployment: Deployment, token: str) -> None:
        self._deployment = deployment
        self._token = token

    def allow(self) -> None:
        """Have an operator allow keys of the stand-in."""
        decided = {"allowed": True, "reason": "The stand-in is ours, and its keys open nothing."}
        self.ask(f"/v1/providers/{PROVIDER}/pooling", decided, token=self._deployment.operator_token)

    def deposit_of(self, prefix: str, *, quota_micros: int = QUOTA_MICROS) -> dict[str, Any]:
        """A request that deposits a key nobody else has."""
        self.allow()
        return {
            "provider": PROVIDER,
            "models": [MODEL],
            "quota_micros": quota_micros,
            "key": f"{prefix}-{secrets.token_hex(16)}",
            "idempotency_key": secrets.token_hex(8),
        }

    def deposit(self, body: dict[str, Any]) -> dict[str, Any]:
        """The contribution as it was taken in."""
        contribution: dict[str, Any] = self.ask("/v1/contributions", body)["contribution"]
        return contribution

    def contribute(self) -> dict[str, Any]:
        """A key that its provider knows, once it was tried."""
        return self.wait_for(self.deposit(self.deposit_of("sk-live"))["key_id"], "active")

    def get(self, key_id: str) -> dict[str, Any]:
        """The contribution as it stands."""
        contribution: dict[str, Any] = self.ask(f"/v1/contributions/{key_id}")["contribution"]
        return contribution

    def wait_for(self, key_id: str, *statuses: str) -> dict[str, Any]:
        """The contribution in one of these states."""
        ends_at_s = time.monotonic() + SETTLED_WITHIN_S
        while (found := self.get(key_id))["status"] not in statuses:
            if time.monotonic() > ends_at_s:
                raise RuntimeError(f"the contribution is still {found['status']}")
            time.sleep(POLL_INTERVAL_S)
        return found

    def ask(self, path: str, body: dict[str, Any] | None = None, *, token: str | None = None) -> dict[str, Any]:
        """The answer to a POST with a body, or to a GET."""
        headers = {"authorization": f"Bearer {token or self._token}"}
        method = "GET" if body is None else "POST"
        url = self._deployment.url + path
        response = requests.request(method, url, json=body, headers=headers, timeout=TIMEOUT_S)
        if response.status_code != requests.codes.ok:
            raise RuntimeError(f"{path} answered {response.status_code}: {response.text}")
        answer: dict[str, Any] = response.json()
        return answer
