"""Somebody who buys on a local deployment with a token: by a transfer that they claim, and by x402."""

import secrets
from dataclasses import dataclass
from typing import Any

import requests

from local.chain.standin import MINE_PATH, PAY_PATH, SIGN_PATH, LocalChain
from local.deployment import Deployment
from local.process import ProcessFailed

TIMEOUT_S = 60.0
"""The first one who asks waits until the chain has started and its libraries are loaded."""
TOPUP_PATH = "/v1/credits/topup"


@dataclass(frozen=True)
class CoinBuyer:
    """One person, by their token, with the wallet of the local chain."""

    deployment: Deployment
    chain: LocalChain
    token: str

    def order(self, pack: str = "starter") -> dict[str, Any]:
        """An order that waits for a transfer."""
        body = {"rail": "crypto", "pack": pack, "currency": "USD", "idempotency_key": secrets.token_hex(8)}
        order: dict[str, Any] = self._ask("/v1/checkout", body).json()["order"]
        return order

    def send(self, order: dict[str, Any], *, final: bool = True) -> dict[str, Any]:
        """Send what the order asks; what its claim says."""
        asked = order["transfer"]
        wanted = {"receiver": asked["receiver"], "amount": asked["amount"], "text": asked["text"], "final": final}
        return self._wallet(PAY_PATH, wanted)

    def claim(self, order: dict[str, Any], claim: dict[str, Any]) -> requests.Response:
        """Say that the transfer pays the order; what is answered, whatever it is."""
        return self._post(f"/v1/orders/{order['order_id']}/claim", claim)

    def top_up(self, pack: str = "starter") -> dict[str, Any]:
        """Buy by x402 as its clients do, until it is granted; the request's body, which a repeat sends again."""
        body = {"pack": pack, "idempotency_key": secrets.token_hex(8)}
        asked = self._ask(TOPUP_PATH, body, status=402)
        payment = self._wallet(SIGN_PATH, {"required": asked.headers["payment-required"]})["payment"]
        self._ask(TOPUP_PATH, body, {"payment-signature": payment}, status=202)
        self.finalize()
        self._ask(TOPUP_PATH, body, {"payment-signature": payment})
        return body

    def finalize(self) -> None:
        """Let the chain grow until what stands on it is final."""
        self._wallet(MINE_PATH, {})

    def _wallet(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        response = requests.post(self.chain.url + path, json=body, timeout=TIMEOUT_S)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer

    def _ask(
        self, path: str, body: dict[str, Any], headers: dict[str, str] | None = None, *, status: int = 200
    ) -> requests.Response:
        response = self._post(path, body, headers)
        if response.status_code != status:
            raise ProcessFailed(f"{path} answered {response.status_code}, not {status}: {response.text}")
        return response

    def _post(self, path: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> requests.Response:
        sent = {"authorization": f"Bearer {self.token}", **(headers or {})}
        return requests.post(self.deployment.url + path, json=body, headers=sent, timeout=TIMEOUT_S)
