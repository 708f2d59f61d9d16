"""Stripe Connect as the way out: one transfer per payout, found again by its group once keys are forgotten."""

from typing import Any

from shared.payments.stripe.gateway import StripeApi
from shared.payouts.models import Payout, TransferSeen


class StripeSender:
    """Separate transfers to recipients' accounts."""

    def __init__(self, api: StripeApi) -> None:
        self._api = api

    async def find(self, payout: Payout) -> TransferSeen | None:
        made = await self._api.get("/v1/transfers", {"transfer_group": _name(payout), "limit": 1})
        return _seen(made["data"][0]) if made["data"] else None

    async def send(self, payout: Payout) -> TransferSeen:
        name = _name(payout)
        params = {
            "amount": payout.amount_minor,
            "currency": payout.currency.lower(),
            "destination": payout.destination,
            "transfer_group": name,
            "metadata": {"credence_payout": payout.payout_id},
        }
        # One key for all tries: a late one of an earlier attempt must not pay besides a later one.
        return _seen(await self._api.post("/v1/transfers", params, key=name))


def _name(payout: Payout) -> str:
    return f"payout-{payout.payout_id}"


def _seen(transfer: dict[str, Any]) -> TransferSeen:
    return TransferSeen(str(transfer["id"]), bool(transfer["reversed"]))
