"""Charges that are owed for answers already delivered, because the ledger could not be written at that moment.

Path: `owed_charges/{hold}`. No client can read these documents, so none can lock them: a client that reads its own
account in a transaction keeps the ledger from writing it for as long as the transaction is open.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from google.api_core import exceptions as google_errors
from google.cloud import firestore

from shared.base.ids import AccountId, HoldId
from shared.ledger.models import HOUSE_ONLY, Share
from shared.metering.models import OwedCharge

TIMEOUT_S = 5.0


class OwedUnavailable(Exception):
    """The store did not answer in time."""


class OwedCharges(Protocol):
    """Where charges wait. All raise OwedUnavailable; a repeat changes nothing."""

    async def put(self, charge: OwedCharge) -> None:
        """Remember a charge. Returned means durable."""

    async def waiting(self, limit: int) -> list[OwedCharge]:
        """Some that wait, in no promised order."""

    async def remove(self, hold_id: HoldId) -> None:
        """Forget one that was made."""


class FirestoreOwedCharges:
    """The same in Firestore."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._charges = client.collection("owed_charges")

    async def put(self, charge: OwedCharge) -> None:
        fields = {
            "account": charge.account_id,
            "amount_micros": charge.amount_micros,
            "facts": dict(charge.facts),
            "shares": [{"account": share.account_id, "weight": share.weight} for share in charge.shares],
            "owed_at": firestore.SERVER_TIMESTAMP,
        }
        try:
            await self._charges.document(charge.hold_id).set(fields, retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise OwedUnavailable from error

    async def waiting(self, limit: int) -> list[OwedCharge]:
        try:
            found = [one async for one in self._charges.limit(limit).stream(retry=None, timeout=TIMEOUT_S)]
        except google_errors.GoogleAPICallError as error:
            raise OwedUnavailable from error
        return [_owed(HoldId(one.id), one.to_dict() or {}) for one in found]

    async def remove(self, hold_id: HoldId) -> None:
        try:
            await self._charges.document(hold_id).delete(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise OwedUnavailable from error


def _owed(hold_id: HoldId, fields: Mapping[str, Any]) -> OwedCharge:
    # A charge from before others could have a part in one names nobody.
    shares = tuple(Share(AccountId(share["account"]), share["weight"]) for share in fields.get("shares", ()))
    account_id = AccountId(fields["account"])
    return OwedCharge(account_id, hold_id, fields["amount_micros"], fields["facts"], shares or HOUSE_ONLY)
