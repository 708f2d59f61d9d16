"""Stripe Connect as the way out: one transfer per payout, then one bank payout of the recipient's for each attempt.

Keys are forgotten after a day: a transfer is found again by its group, a bank payout by its metadata. Accounts are of
the second API, as recipients, and pay out by hand: money that was sent to one does not follow a change of its bank
details by itself. https://docs.stripe.com/connect/separate-charges-and-transfers and
https://docs.stripe.com/connect/manual-payouts.
"""

import re
from typing import Any

from shared.base.ids import UserId
from shared.base.log import write_line
from shared.base.payment_mode import PaymentMode
from shared.payments.errors import RailUnavailable
from shared.payments.stripe.gateway import StripeApi
from shared.payouts.events import TRANSFER
from shared.payouts.models import (
    ArrivalSeen,
    ArrivalState,
    ConnectEvent,
    Payout,
    PayoutId,
    RecipientSeen,
    TransferSeen,
)

LISTED_MAX = 100
PAYOUT_KEY, ATTEMPT_KEY, OWNER_KEY = "credence_payout", "credence_attempt", "credence_owner"
"""Metadata by which what we made at Stripe is found again, and told from what is nobody's of ours."""
PAYOUT_ID = re.compile(r"[0-9a-f]{24}")
RECIPIENT = "configuration.recipient"
_ARRIVALS = {"paid": ArrivalState.ARRIVED, "failed": ArrivalState.CAME_BACK, "canceled": ArrivalState.CAME_BACK}
"""Whatever else Stripe says of a bank payout, the money is under way."""


class StripeSender:
    """Separate transfers to recipients' accounts, and on to their banks.

    One that Stripe shows of the other mode than `mode` says nothing of a payout: RailUnavailable.
    """

    def __init__(self, api: StripeApi, mode: PaymentMode) -> None:
        self._api = api
        self._mode = mode

    async def find(self, payout: Payout) -> TransferSeen | None:
        made = await self._api.get("/v1/transfers", {"transfer_group": _name(payout), "limit": 1})
        return self._transfer(made["data"][0]) if made["data"] else None

    async def send(self, payout: Payout) -> TransferSeen:
        name = _name(payout)
        params = {
            "amount": payout.amount_minor,
            "currency": payout.currency.lower(),
            "destination": payout.destination,
            "transfer_group": name,
            "metadata": {PAYOUT_KEY: payout.payout_id},
        }
        # One key for all tries: a late one of an earlier attempt must not pay besides a later one.
        return self._transfer(await self._api.post("/v1/transfers", params, key=name))

    async def reverse(self, payout: Payout, transfer: TransferSeen) -> None:
        left_minor = transfer.amount_minor - transfer.reversed_minor
        path = f"/v1/transfers/{transfer.transfer_id}/reversals"
        # With the amount in its key: should a part have come back in between, this is another request.
        await self._api.post(path, {"amount": left_minor}, key=f"{_name(payout)}-back-{left_minor}")

    async def find_arrival(self, payout: Payout) -> ArrivalSeen | None:
        made = await self._api.get(
            "/v1/payouts",
            {"limit": LISTED_MAX, "created": {"gte": payout.asked_at_ms // 1000}},
            account=payout.destination,
        )
        for one in made["data"]:
            told = one.get("metadata") or {}
            if (told.get(PAYOUT_KEY), told.get(ATTEMPT_KEY)) == (payout.payout_id, str(payout.attempt)):
                return self._arrival(one)
        if made["has_more"]:
            # It may be on a page that nobody read. Sending again would be worse than not sending.
            raise RailUnavailable("Stripe")
        return None

    async def deliver(self, payout: Payout) -> ArrivalSeen:
        params = {
            "amount": payout.amount_minor,
            "currency": payout.currency.lower(),
            "metadata": {PAYOUT_KEY: payout.payout_id, ATTEMPT_KEY: str(payout.attempt)},
        }
        key = f"{_name(payout)}-bank-{payout.attempt}"
        return self._arrival(await self._api.post("/v1/payouts", params, key=key, account=payout.destination))

    async def payout_of(self, event: ConnectEvent) -> PayoutId | None:
        """Which payout a transfer or a bank payout says it was made for."""
        path = "/v1/transfers" if event.object_kind == TRANSFER else "/v1/payouts"
        account = None if event.object_kind == TRANSFER else event.account
        found = await self._api.get(f"{path}/{event.object_id}", {}, account=account)
        payout_id = (found.get("metadata") or {}).get(PAYOUT_KEY)
        return PayoutId(payout_id) if isinstance(payout_id, str) and PAYOUT_ID.fullmatch(payout_id) else None

    def _transfer(self, found: dict[str, Any]) -> TransferSeen:
        self._require_mode(found)
        return TransferSeen(str(found["id"]), int(found["amount"]), int(found["amount_reversed"]))

    def _arrival(self, found: dict[str, Any]) -> ArrivalSeen:
        self._require_mode(found)
        status = str(found["status"])
        reason = str(found.get("failure_code") or status)
        return ArrivalSeen(str(found["id"]), _ARRIVALS.get(status, ArrivalState.UNDER_WAY), reason)

    def _require_mode(self, found: dict[str, Any]) -> None:
        if found.get("livemode") is not self._mode.is_live:
            write_line("WARNING", "payout_of_other_mode", object=str(found["id"]))
            raise RailUnavailable("Stripe")


class StripeAccounts:
    """Recipients' accounts of the second API: https://docs.stripe.com/connect/accounts-v2."""

    def __init__(self, api: StripeApi, return_url: str, mode: PaymentMode) -> None:
        """`return_url` is where recipients come back to from Stripe's pages. An account of the other mode than `mode`
        cannot be paid.
        """
        self._mode = mode
        self._api = api
        self._return_url = return_url

    async def open(self, owner: UserId, country: str) -> str:
        transfers = {"stripe_transfers": {"requested": True}}
        params = {
            "dashboard": "express",
            "identity": {"country": country},
            "configuration": {"recipient": {"capabilities": {"stripe_balance": transfers}}},
            "metadata": {OWNER_KEY: owner},
            "include": [RECIPIENT],
        }
        made = await self._api.post("/v2/core/accounts", params, key=f"recipient-{country}-{owner}")
        destination = str(made["id"])
        by_hand = {"payments": {"payouts": {"schedule": {"interval": "manual"}}}}
        await self._api.post("/v1/balance_settings", by_hand, key=f"by-hand-{destination}", account=destination)
        return destination

    async def link(self, destination: str, *, key: str) -> str:
        pages = {"refresh_url": self._return_url, "return_url": self._return_url, "configurations": ["recipient"]}
        use = {"type": "account_onboarding", "account_onboarding": pages}
        params = {"account": destination, "use_case": use}
        return str((await self._api.post("/v2/core/account_links", params, key=key))["url"])

    async def look(self, destination: str) -> RecipientSeen:
        shown = await self._api.get(f"/v2/core/accounts/{destination}", {"include": [RECIPIENT]})
        recipient = (shown.get("configuration") or {}).get("recipient") or {}
        balance = (recipient.get("capabilities") or {}).get("stripe_balance") or {}
        statuses = [(balance.get(name) or {}).get("status") for name in ("stripe_transfers", "payouts")]
        is_active = statuses == ["active", "active"] and shown.get("livemode") is self._mode.is_live
        bank = (recipient.get("default_outbound_destination") or {}).get("id")
        return RecipientSeen(is_active, bank if isinstance(bank, str) else None)


def _name(payout: Payout) -> str:
    return f"payout-{payout.payout_id}"
