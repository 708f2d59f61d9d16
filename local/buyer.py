"""Somebody who buys on a local deployment: orders, pays at the stand-in for Stripe, waits for the credits."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from local.deployment import Deployment
from local.process import ProcessFailed
from local.stripe.standin import StripeStandin

TIMEOUT_S = 30.0
DEADLINE_S = 30.0
"""The credits are there in half a second; the rest is for a machine that is busy."""
POLL_INTERVAL_S = 0.05
Order = dict[str, Any]


def apply_task(event: Mapping[str, Any]) -> dict[str, Any]:
    """What the task of `payment_apply` about one of Stripe's events says."""
    about = event["data"]["object"]
    told = {
        "rail": "stripe",
        "event_id": event["id"],
        "kind": event["type"],
        "subject": {"kind": about["object"], "object_id": about["id"]},
        "body_sha256": "0" * 64,
    }
    return {"event": told, "received_at_ms": event["created"] * 1000}


@dataclass(frozen=True)
class Buyer:
    """One person, by their token."""

    deployment: Deployment
    stripe: StripeStandin
    token: str

    def order(self, pack: str = "starter", rail: str = "stripe") -> Order:
        """An order that waits to be paid."""
        body = {"rail": rail, "pack": pack, "currency": "USD", "idempotency_key": secrets.token_hex(8)}
        return self._ask("POST", "/v1/checkout", body)

    def order_by_razorpay(self, pack: str = "starter") -> Order:
        """The same, to be paid in rupees."""
        body = {"rail": "razorpay", "pack": pack, "currency": "INR", "idempotency_key": secrets.token_hex(8)}
        return self._ask("POST", "/v1/checkout", body)

    def pay(self, order: Order) -> str:
        """Pay as the page does; the payment intent's id."""
        session_id = order["url"].rpartition("/")[2]
        return str(self.stripe.act(self.deployment.stripe_key, "pay", session_id)["id"])

    def buy(self, pack: str = "starter") -> Order:
        """An order that is paid, its credits granted."""
        order = self.order(pack)
        self.pay(order)
        return self.wait_until(order, "granted")

    def wait_until(self, order: Order, state: str) -> Order:
        """The order once it stands so. Raise ProcessFailed when it does not come to it."""
        gives_up_at_s = time.monotonic() + DEADLINE_S
        # Granted is told just before the invoice is.
        while (seen := self.get(order))["state"] != state or (state == "granted" and seen["invoice"] is None):
            if time.monotonic() > gives_up_at_s:
                raise ProcessFailed(f"the order is {seen['state']}, not {state}\n{self.deployment.log[-2000:]}")
            time.sleep(POLL_INTERVAL_S)
        return seen

    def get(self, order: Order) -> Order:
        """The order as it stands."""
        return self._ask("GET", f"/v1/orders/{order['order_id']}", None)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Order:
        headers = {"authorization": f"Bearer {self.token}"}
        response = requests.request(method, self.deployment.url + path, json=body, headers=headers, timeout=TIMEOUT_S)
        response.raise_for_status()
        order: Order = response.json()["order"]
        return order
