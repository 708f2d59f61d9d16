"""Which request of the API leads to which part, for whoever pays others: recipients, transfers, payouts, balances."""

from collections.abc import Mapping
from typing import Any

from local.stripe.balance import Balance
from local.stripe.bank import Bank
from local.stripe.connect import Connect
from local.stripe.objects import PLATFORM, Object, Objects
from local.stripe.refusal import StripeRefusal

_ACCOUNTS, _LINKS = "/v2/core/accounts", "/v2/core/account_links"
_TRANSFERS, _PAYOUTS = "/v1/transfers", "/v1/payouts"
_BALANCE, _TRANSACTIONS, _SETTINGS = "/v1/balance", "/v1/balance_transactions", "/v1/balance_settings"
_PATHS = (_ACCOUNTS, _LINKS, _TRANSFERS, _PAYOUTS, _BALANCE, _TRANSACTIONS, _SETTINGS)


class PlatformApi:
    """Answers for the platform itself, and for its connected accounts as the header `Stripe-Account` names them."""

    def __init__(self, objects: Objects, balance: Balance, bank: Bank, connect: Connect) -> None:
        self._objects = objects
        self._balance = balance
        self._bank = bank
        self._connect = connect

    def serves(self, path: str, owner: str) -> bool:
        """Whether the request is for this part; a connected account has no other."""
        return owner != PLATFORM or any(path == known or path.startswith(known + "/") for known in _PATHS)

    def read(self, path: str, params: Mapping[str, Any], owner: str) -> Object:
        """Answer a GET. Raise StripeRefusal."""
        self._require_connected(owner)
        folder, _, object_id = path.rpartition("/")
        if path == _BALANCE:
            return self._balance.read(owner)
        if path == _SETTINGS:
            return self._bank.settings({}, owner)
        if path == _TRANSACTIONS:
            return self._balance.listed(params, owner)
        if folder == _TRANSACTIONS:
            return self._balance.read_one(object_id, params, owner)
        if path == _PAYOUTS:
            return self._objects.listed("payout", path, params, owner, ("status",))
        if folder == _PAYOUTS:
            return self._objects.find("payout", object_id, owner)
        if owner != PLATFORM:
            raise StripeRefusal(404, "resource_missing")
        if path == _TRANSFERS:
            return self._objects.listed("transfer", path, params, owner, ("transfer_group", "destination"))
        if folder == _TRANSFERS:
            return self._connect.shown_transfer(object_id)
        if folder == _ACCOUNTS:
            return self._connect.shown(object_id, params)
        raise StripeRefusal(404, "resource_missing")

    def make(self, path: str, params: Mapping[str, Any], owner: str) -> Object:
        """Answer a POST. Raise StripeRefusal."""
        self._require_connected(owner)
        parts = path.split("/")
        if path == _PAYOUTS:
            return self._bank.make(params, owner)
        if path.startswith(_PAYOUTS + "/") and parts[-1] == "cancel":
            return self._bank.cancel(parts[3], owner)
        if path == _SETTINGS:
            return self._bank.settings(params, owner)
        if owner != PLATFORM:
            raise StripeRefusal(404, "resource_missing")
        if path == _ACCOUNTS:
            return self._connect.make_account(params)
        if path == _LINKS:
            return self._connect.make_link(params)
        if path == _TRANSFERS:
            return self._connect.make_transfer(params)
        if path.startswith(_TRANSFERS + "/") and parts[-1] == "reversals":
            return self._connect.make_reversal(parts[3], params)
        raise StripeRefusal(404, "resource_missing")

    def _require_connected(self, owner: str) -> None:
        if owner != PLATFORM:
            try:
                self._objects.find("v2.core.account", owner)
            except StripeRefusal:
                raise StripeRefusal(403, "account_invalid") from None
