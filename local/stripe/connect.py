"""Connect at the stand-in: accounts of recipients in the second API, links to onboard them, transfers and reversals.

https://docs.stripe.com/connect/accounts-v2 and https://docs.stripe.com/connect/separate-charges-and-transfers.
"""

import copy
from collections.abc import Mapping
from typing import Any

from local.stripe.balance import Balance
from local.stripe.objects import LISTED_MAX, Object, Objects
from local.stripe.refusal import StripeRefusal

ACCOUNT = "v2.core.account"
LINK_LIFETIME_S = 300
CAPABILITY_EVENT = "v2.core.account[configuration.recipient].capability_status_updated"
DETAILS_EVENT = "v2.core.account[configuration.recipient].updated"
REQUIREMENTS_EVENT = "v2.core.account[requirements].updated"
RECIPIENT = "configuration.recipient"


class Connect:
    """Connected accounts and what goes to them."""

    def __init__(self, objects: Objects, balance: Balance, page_url: str) -> None:
        """`page_url` is where the pages stand on which recipients are onboarded."""
        self._objects = objects
        self._balance = balance
        self._page_url = page_url

    def make_account(self, params: Mapping[str, Any]) -> Object:
        """A recipient about whom nothing is known yet. Raise StripeRefusal."""
        asked = params.get("configuration", {}).get("recipient", {}).get("capabilities", {})
        wants = asked.get("stripe_balance", {}).get("stripe_transfers", {}).get("requested")
        if wants not in (True, "true") or "country" not in params.get("identity", {}):
            raise StripeRefusal(400, "parameter_missing")
        account = self._objects.add(
            ACCOUNT,
            "acct",
            applied_configurations=["recipient"],
            contact_email=params.get("contact_email"),
            dashboard=params.get("dashboard", "express"),
            identity={"country": params["identity"]["country"]},
            metadata=dict(params.get("metadata", {})),
            configuration={"recipient": {"capabilities": {"stripe_balance": {}}, "default_outbound_destination": None}},
        )
        self._set(account, "restricted", ["requirements_past_due"])
        self._objects.tell_thin("v2.core.account.created", account["id"])
        return self.shown(account["id"], params)

    def shown(self, account_id: str, params: Mapping[str, Any]) -> Object:
        """The account; what is not asked for by `include` is left out. Raise StripeRefusal."""
        account = copy.deepcopy(self._objects.find(ACCOUNT, account_id))
        include = params.get("include", {})
        asked = include.values() if isinstance(include, Mapping) else include
        if RECIPIENT not in asked:
            account["configuration"] = None
        return account

    def make_link(self, params: Mapping[str, Any]) -> Object:
        """A page for one use. Raise StripeRefusal."""
        account = self._objects.find(ACCOUNT, params.get("account"))
        use = params.get("use_case", {})
        asked = use.get("account_onboarding", {}) if use.get("type") == "account_onboarding" else {}
        if not asked.get("refresh_url") or not asked.get("return_url"):
            raise StripeRefusal(400, "parameter_missing")
        now_s = self._objects.clock_s()
        link = self._objects.add("v2.core.account_link", "link", account=account["id"], use_case=use)
        link.update(url=f"{self._page_url}/{link['id']}", expires_at=now_s + LINK_LIFETIME_S)
        return link

    def link(self, link_id: str) -> Object:
        """Where a page leads back to, and whose it is. Raise StripeRefusal."""
        link = self._objects.find("v2.core.account_link", link_id)
        if link["expires_at"] <= self._objects.clock_s():
            raise StripeRefusal(404, "resource_missing")
        return link

    def onboard(self, account_id: str, bank: str = "ba_first") -> Object:
        """The recipient says who they are and which bank account is theirs."""
        account = self._objects.find(ACCOUNT, account_id)
        self._set(account, "active", [])
        self.change_bank(account_id, bank)
        self._objects.tell_thin(CAPABILITY_EVENT, account_id)
        return account

    def change_bank(self, account_id: str, bank: str = "ba_other") -> Object:
        """The recipient wants their money elsewhere."""
        account = self._objects.find(ACCOUNT, account_id)
        account["configuration"]["recipient"]["default_outbound_destination"] = {"id": bank, "type": "us_bank_account"}
        self._objects.tell_thin(DETAILS_EVENT, account_id)
        return account

    def restrict(self, account_id: str, code: str = "requirements_past_due") -> Object:
        """Stripe no longer believes who the recipient is."""
        account = self._objects.find(ACCOUNT, account_id)
        self._set(account, "restricted", [code])
        self._objects.tell_thin(REQUIREMENTS_EVENT, account_id)
        self._objects.tell_thin(CAPABILITY_EVENT, account_id)
        return account

    def make_transfer(self, params: Mapping[str, Any]) -> Object:
        """Money from the platform to a connected account. Raise StripeRefusal."""
        amount, currency = int(params["amount"]), params["currency"]
        account = self._objects.get(params.get("destination"))
        if account is None or account["object"] != ACCOUNT:
            raise StripeRefusal(400, "resource_missing")
        capability = account["configuration"]["recipient"]["capabilities"]["stripe_balance"]["stripe_transfers"]
        if capability["status"] != "active":
            raise StripeRefusal(400, "insufficient_capabilities_for_transfer")
        if amount <= 0:
            raise StripeRefusal(400, "parameter_invalid_integer")
        source = params.get("source_transaction")
        if source is not None and self._objects.find("charge", source)["currency"] != currency:
            raise StripeRefusal(400, "transfer_source_balance_parameters_mismatch")
        # With a source a transfer waits for its funds; everything is available at once here.
        self._balance.require(amount, currency)
        transfer = self._objects.add(
            "transfer",
            "tr",
            amount=amount,
            amount_reversed=0,
            currency=currency,
            destination=account["id"],
            metadata=dict(params.get("metadata", {})),
            reversals=None,
            reversed=False,
            source_transaction=source,
            transfer_group=params.get("transfer_group"),
        )
        transfer["balance_transaction"] = self._balance.book("transfer", transfer, -amount)["id"]
        payment = self._objects.add(
            "charge",
            "py",
            owner=account["id"],
            amount=amount,
            amount_refunded=0,
            currency=currency,
            paid=True,
            refunded=False,
            source_transfer=transfer["id"],
            status="succeeded",
        )
        booked = self._balance.book("payment", payment, amount, owner=account["id"])
        payment["balance_transaction"] = booked["id"]
        transfer["destination_payment"] = payment["id"]
        self._objects.tell("transfer.created", transfer)
        return transfer

    def make_reversal(self, transfer_id: str, params: Mapping[str, Any]) -> Object:
        """Money back from a connected account, while it is still there. Raise StripeRefusal."""
        transfer = self._objects.find("transfer", transfer_id)
        left = transfer["amount"] - transfer["amount_reversed"]
        amount = int(params.get("amount", left))
        if not 0 < amount <= left:
            raise StripeRefusal(400, "transfer_reversal_amount_too_large" if left else "transfer_already_reversed")
        self._balance.require(amount, transfer["currency"], transfer["destination"])
        reversal = self._objects.add(
            "transfer_reversal",
            "trr",
            amount=amount,
            currency=transfer["currency"],
            metadata=dict(params.get("metadata", {})),
            transfer=transfer_id,
        )
        transfer["amount_reversed"] += amount
        transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
        reversal["balance_transaction"] = self._balance.book("transfer_refund", reversal, amount)["id"]
        payment = self._objects[transfer["destination_payment"]]
        payment["amount_refunded"] += amount
        payment["refunded"] = payment["amount_refunded"] == payment["amount"]
        self._balance.book("payment_refund", payment, -amount, owner=transfer["destination"])
        self._objects.tell("transfer.reversed", self.shown_transfer(transfer_id))
        return reversal

    def shown_transfer(self, transfer_id: str) -> Object:
        """A transfer with its reversals. Raise StripeRefusal."""
        transfer = copy.deepcopy(self._objects.find("transfer", transfer_id))
        made = [one for one in self._objects.all("transfer_reversal") if one["transfer"] == transfer_id]
        path = f"/v1/transfers/{transfer_id}/reversals"
        newest_first = copy.deepcopy(made[::-1][:LISTED_MAX])
        transfer["reversals"] = {"object": "list", "url": path, "has_more": False, "data": newest_first}
        return transfer

    def _set(self, account: Object, status: str, codes: list[str]) -> None:
        details = [{"code": code, "resolution": "provide_info"} for code in codes]
        capability = {"status": status, "status_details": details}
        account["configuration"]["recipient"]["capabilities"]["stripe_balance"] = {
            "stripe_transfers": capability,
            "payouts": copy.deepcopy(capability),
        }
