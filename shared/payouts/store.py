"""Where payouts are kept: `payouts/{payout}`, each written over only as it was read."""

from typing import Any

import msgspec
from google.api_core import exceptions as google_errors
from google.cloud import firestore
from msgspec import to_builtins

from shared.base.ids import UserId
from shared.payments.errors import PaymentsUnavailable
from shared.payouts.errors import PayoutBusy
from shared.payouts.models import Payout, PayoutId

TIMEOUT_S = 5.0


class FirestorePayouts:
    """Raises PaymentsUnavailable; then a write may or may not have been made."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def create(self, payout: Payout) -> Payout:
        """The payout of that id: this one, or the one that was there."""
        try:
            await self._ref(payout.payout_id).create(payout_document(payout), retry=None, timeout=TIMEOUT_S)
        except google_errors.AlreadyExists:
            return await self.find(payout.payout_id) or payout
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error
        return payout

    async def find(self, payout_id: PayoutId) -> Payout | None:
        """The payout as it stands now."""
        found = await self._read(payout_id)
        return payout_from(payout_id, found.to_dict() or {}) if found.exists else None

    async def replace(self, before: Payout, after: Payout) -> None:
        """Write over exactly what was read. Raise PayoutBusy."""
        found = await self._read(before.payout_id)
        if not found.exists or payout_from(before.payout_id, found.to_dict() or {}) != before:
            raise PayoutBusy
        option = self._client.write_option(last_update_time=found.update_time)
        try:
            await self._ref(before.payout_id).update(
                payout_document(after), option=option, retry=None, timeout=TIMEOUT_S
            )
        except google_errors.FailedPrecondition:
            raise PayoutBusy from None
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error

    async def was_paid(self, owner: UserId) -> bool:
        """Whether a payout of this owner was ever paid."""
        query = self._client.collection("payouts").where(filter=firestore.FieldFilter("owner", "==", owner))
        query = query.where(filter=firestore.FieldFilter("state", "==", "paid")).limit(1)
        try:
            return bool(await query.get(retry=None, timeout=TIMEOUT_S))
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error

    async def _read(self, payout_id: PayoutId) -> firestore.DocumentSnapshot[Any]:
        try:
            return await self._ref(payout_id).get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error

    def _ref(self, payout_id: PayoutId) -> firestore.AsyncDocumentReference:
        return self._client.collection("payouts").document(payout_id)


def payout_document(payout: Payout) -> dict[str, Any]:
    """The payout's fields; its id is the document's."""
    fields: dict[str, Any] = to_builtins(payout)
    del fields["payout_id"]
    return fields


def payout_from(payout_id: PayoutId, fields: dict[str, Any]) -> Payout:
    """The payout of a document."""
    return msgspec.convert({**fields, "payout_id": payout_id}, Payout)
