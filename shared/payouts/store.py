"""Where payouts are kept, each written over only as it was read.

`payouts/{payout}` is read live by its owner; its `due_ms` says when the timer is to look. `payout_recipients/{uid}`
is where somebody is paid.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from google.api_core import exceptions as google_errors
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from msgspec import to_builtins

from shared.base.ids import UserId
from shared.payments.errors import PaymentsUnavailable
from shared.payments.models import Order, OrderId
from shared.payments.store import order_from
from shared.payouts import rules
from shared.payouts.errors import PayoutBusy
from shared.payouts.models import Payout, PayoutId, Recipient
from shared.payouts.ports import DUE_MAX, PAGE_PAYOUTS_MAX

TIMEOUT_S = 5.0
ORDERS_MAX = 1_000
"""Of one earner, looked through before money leaves. Limits on orders keep everybody far below it."""
DUE_NOW = 0
"""Before all that waits: whatever was just changed."""


class FirestorePayouts:
    """Raises PaymentsUnavailable; then a write may or may not have been made."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def create(self, payout: Payout) -> Payout:
        document = {**payout_document(payout), "due_ms": DUE_NOW}
        try:
            await self._ref(payout.payout_id).create(document, retry=None, timeout=TIMEOUT_S)
        except google_errors.AlreadyExists:
            return await self.find(payout.payout_id) or payout
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error
        return payout

    async def find(self, payout_id: PayoutId) -> Payout | None:
        found = await self._read(payout_id)
        return payout_from(payout_id, found.to_dict() or {}) if found.exists else None

    async def replace(self, before: Payout, after: Payout) -> None:
        found = await self._read(before.payout_id)
        if not found.exists or payout_from(before.payout_id, found.to_dict() or {}) != before:
            raise PayoutBusy
        option = self._client.write_option(last_update_time=found.update_time)
        document = {**payout_document(after), "due_ms": DUE_NOW}
        try:
            await self._ref(before.payout_id).update(document, option=option, retry=None, timeout=TIMEOUT_S)
        except google_errors.FailedPrecondition:
            raise PayoutBusy from None
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error

    async def was_paid(self, owner: UserId) -> bool:
        query = self._client.collection("payouts").where(filter=FieldFilter("owner", "==", owner))
        query = query.where(filter=FieldFilter("state", "==", "paid")).limit(1)
        return bool(await _all(query))

    async def owned_by(self, owner: UserId, *, after: PayoutId | None) -> Sequence[Payout]:
        query = self._client.collection("payouts").where(filter=FieldFilter("owner", "==", owner))
        return await self._page(query, after)

    async def _page(self, query: Any, after: PayoutId | None) -> Sequence[Payout]:
        query = query.order_by("__name__")
        if after is not None:
            query = query.start_after({"__name__": self._ref(after)})
        found = await _all(query.limit(PAGE_PAYOUTS_MAX))
        return [payout_from(PayoutId(one.id), one.to_dict() or {}) for one in found]

    async def waiting(self, *, after: PayoutId | None) -> Sequence[Payout]:
        payouts = self._client.collection("payouts")
        return await self._page(payouts.where(filter=FieldFilter("waits_for", "in", rules.FOR_A_PERSON)), after)

    async def due(self, *, at_ms: int) -> Sequence[PayoutId]:
        query = self._client.collection("payouts").where(filter=FieldFilter("due_ms", "<=", at_ms)).order_by("due_ms")
        return [PayoutId(one.id) for one in await _all(query.limit(DUE_MAX))]

    async def looked(self, payout_id: PayoutId, *, due_ms: int | None) -> None:
        try:
            await self._ref(payout_id).update({"due_ms": due_ms}, retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error

    async def _read(self, payout_id: PayoutId) -> firestore.DocumentSnapshot[Any]:
        try:
            return await self._ref(payout_id).get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error

    def _ref(self, payout_id: PayoutId) -> firestore.AsyncDocumentReference:
        return self._client.collection("payouts").document(payout_id)


class FirestoreRecipients:
    """Recipients in Firestore."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def create(self, recipient: Recipient) -> Recipient:
        try:
            await self._ref(recipient.owner).create(to_builtins(recipient), retry=None, timeout=TIMEOUT_S)
        except google_errors.AlreadyExists:
            return await self.find(recipient.owner) or recipient
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error
        return recipient

    async def find(self, owner: UserId) -> Recipient | None:
        found = await self._read(owner)
        return msgspec.convert(found.to_dict(), Recipient) if found.exists else None

    async def find_by(self, destination: str) -> Recipient | None:
        recipients = self._client.collection("payout_recipients")
        found = await _all(recipients.where(filter=FieldFilter("destination", "==", destination)).limit(1))
        return msgspec.convert(found[0].to_dict(), Recipient) if found else None

    async def replace(self, before: Recipient, after: Recipient) -> None:
        found = await self._read(before.owner)
        if not found.exists or msgspec.convert(found.to_dict(), Recipient) != before:
            raise PayoutBusy
        option = self._client.write_option(last_update_time=found.update_time)
        try:
            await self._ref(before.owner).update(to_builtins(after), option=option, retry=None, timeout=TIMEOUT_S)
        except google_errors.FailedPrecondition:
            raise PayoutBusy from None
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error

    async def _read(self, owner: UserId) -> firestore.DocumentSnapshot[Any]:
        try:
            return await self._ref(owner).get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error

    def _ref(self, owner: UserId) -> firestore.AsyncDocumentReference:
        return self._client.collection("payout_recipients").document(owner)


class FirestorePurchases:
    """Orders of an owner, from where payments keep them."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def of(self, owner: UserId) -> Sequence[Order] | None:
        """All of them; None for more than ORDERS_MAX. Raise PaymentsUnavailable."""
        query = self._client.collection("orders").where(filter=FieldFilter("owner", "==", owner))
        found = await _all(query.limit(ORDERS_MAX + 1))
        if len(found) > ORDERS_MAX:
            return None
        return [order_from(OrderId(one.id), one.to_dict() or {}) for one in found]


async def _all(query: Any) -> list[Any]:
    try:
        return [found async for found in query.stream(retry=None, timeout=TIMEOUT_S)]
    except google_errors.GoogleAPICallError as error:
        raise PaymentsUnavailable from error


def payout_document(payout: Payout) -> dict[str, Any]:
    """The payout's fields; its id is the document's."""
    fields: dict[str, Any] = to_builtins(payout)
    del fields["payout_id"]
    return fields


def payout_from(payout_id: PayoutId, fields: dict[str, Any]) -> Payout:
    """The payout of a document."""
    return msgspec.convert({**fields, "payout_id": payout_id}, Payout)
