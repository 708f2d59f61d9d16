"""Somebody who is paid out on a local deployment: says who they are, asks, and has the bank at the stand-in take it."""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import requests

from local.deployment import Deployment
from local.process import ProcessFailed
from local.stripe.standin import StripeStandin

TIMEOUT_S = 30.0
DEADLINE_S = 30.0
POLL_INTERVAL_S = 0.05
PAYOUT_MICROS = 2_000_000_000
"""Two thousand credits: above the minimum."""
Payout = dict[str, Any]


def payout_of(key: str) -> dict[str, Any]:
    """What somebody sends who asks for a payout."""
    return {"amount_micros": PAYOUT_MICROS, "idempotency_key": key}


def connect_task(event: Mapping[str, Any]) -> dict[str, Any]:
    """What the task of `payout_apply` about one of Stripe's events on a recipient says."""
    about = event["related_object"]
    return {"event_id": event["id"], "kind": event["type"], "object_kind": about["type"], "object_id": about["id"]}


@dataclass(frozen=True)
class Earner:
    """One person, by their token."""

    deployment: Deployment
    stripe: StripeStandin
    token: str

    def onboard(self) -> None:
        """Say who they are on the provider's page, and which bank account is theirs."""
        url = self._ask("POST", "/v1/payout-onboarding", {"country": "us"})["url"]
        posted = requests.post(url, data={"action": "onboard"}, allow_redirects=False, timeout=TIMEOUT_S)
        if posted.status_code != requests.codes.see_other:
            raise ProcessFailed(f"the page does not lead back: {posted.status_code} {posted.text}")

    def ask(self, amount_micros: int) -> Payout:
        """A payout that waits for a person."""
        body = {**payout_of(secrets.token_hex(8)), "amount_micros": amount_micros}
        payout: Payout = self._ask("POST", "/v1/payouts", body)["payout"]
        return payout

    def approve(self, payout: Payout) -> Payout:
        """What an operator does about a first payout."""
        path = f"/v1/payouts/{payout['payout_id']}/review"
        body = {"verdict": "approve", "reason": "known to us"}
        approved: Payout = self._ask("POST", path, body, self.deployment.operator_token)["payout"]
        return approved

    def arrive(self, payout: Payout) -> None:
        """The bank takes what is on its way to it. Raise ProcessFailed when nothing comes."""
        found = self._until(lambda: self._arrival_of(payout), "nothing is on its way to the bank")
        self.stripe.act(self.deployment.stripe_key, "payout_arrive", found)

    def wait_until(self, payout: Payout, state: str) -> Payout:
        """The payout once it stands so. Raise ProcessFailed when it does not come to it."""

        def seen() -> Payout | None:
            found = self.get(payout)
            return found if found["state"] == state else None

        return self._until(seen, f"the payout is not {state}")

    def get(self, payout: Payout) -> Payout:
        """The payout as it stands."""
        found: Payout = self._ask("GET", f"/v1/payouts/{payout['payout_id']}", None)["payout"]
        return found

    def _arrival_of(self, payout: Payout) -> str | None:
        for event in self.stripe.events(self.deployment.stripe_key):
            about = event.get("data", {}).get("object", {})
            told = about.get("metadata") or {}
            if event["type"] == "payout.created" and told.get("credence_payout") == payout["payout_id"]:
                return str(about["id"])
        return None

    def _until(self, seen: Callable[[], Any], otherwise: str) -> Any:
        gives_up_at_s = time.monotonic() + DEADLINE_S
        while (found := seen()) is None:
            if time.monotonic() > gives_up_at_s:
                raise ProcessFailed(f"{otherwise}\n{self.deployment.log[-2000:]}")
            time.sleep(POLL_INTERVAL_S)
        return found

    def _ask(self, method: str, path: str, body: dict[str, Any] | None, token: str | None = None) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {token or self.token}"}
        response = requests.request(method, self.deployment.url + path, json=body, headers=headers, timeout=TIMEOUT_S)
        if response.status_code != requests.codes.ok:
            raise ProcessFailed(f"{method} {path} answers {response.text}")
        answer: dict[str, Any] = response.json()
        return answer
