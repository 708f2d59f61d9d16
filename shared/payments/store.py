"""Where purchases are kept.

`orders/{order}` is read live by its owner. `payments/{payment's name}`, slashes escaped, binds a payment of the real
world to one order for good. `payment_events/{rail}:{event}` and `payment_reviews/{...}` are created once.
`invoices/{order}` is numbered by `invoice_series/{year}` in the same commit.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NewType, Protocol
from urllib.parse import quote

import msgspec
from google.api_core import exceptions as google_errors
from google.cloud import firestore
from msgspec import Struct, to_builtins
from msgspec.structs import replace

from shared.payments.errors import OrderBusy, PaymentsUnavailable
from shared.payments.models import Event, Order, OrderId, PaymentId, RailName, Review
from shared.payments.rules import payment_name

TIMEOUT_S = 5.0
EVENT_LOOK_MS = 6 * 60 * 60_000
"""After so long an event whose object was not looked at is posted again: longer than the longest pause between two
tries of a task, which is an hour."""

Version = NewType("Version", object)
"""Opaque: names one state of one order."""


class OrderExists(Exception):
    """There is an order of this id already."""


class OrderChanged(Exception):
    """The order, or the series of invoices, is no longer what was read."""


class PaymentBound(Exception):
    """The payment belongs to another order."""


class KeptOrder(Struct, frozen=True):
    """An order as it was read or written, with the version that a later write must still find."""

    order: Order
    version: Version


class PaymentStore(Protocol):
    """What payments ask of a store. All raise PaymentsUnavailable; then a write may or may not have been made."""

    async def create(self, order: Order) -> KeptOrder:
        """Durable once returned. Raise OrderExists."""

    async def find(self, order_id: OrderId) -> KeptOrder | None:
        """The order as it stands now."""

    async def replace(self, kept: KeptOrder, order: Order) -> KeptOrder:
        """Write over exactly what was read. An order that gets its payment is bound to it in the same commit.

        Durable once returned. Raise OrderChanged or PaymentBound.
        """

    async def order_of(self, rail: RailName, payment_id: PaymentId) -> OrderId | None:
        """The order that the payment is bound to."""

    async def bind_refund(self, refund_key: str, order_id: OrderId) -> OrderId:
        """The order whose money an operator's key gives back: this one, unless it was another before. Durable once
        returned.
        """

    async def keep_event(self, event: Event, *, at_ms: int) -> bool:
        """Keep an event for good. False when it was there. Durable once returned."""

    async def event_applied(self, event: Event) -> None:
        """Remember that a kept event's object was looked at. A repeat changes nothing."""

    async def keep_review(self, review: Review, *, at_ms: int) -> None:
        """Put it before a person; the same one only once. Durable once returned."""

    async def issue_invoice(self, kept: KeptOrder, *, at_ms: int) -> KeptOrder:
        """Give the order the next number of its year, and write its invoice, in one commit. Raise OrderChanged."""


async def write_over(store: PaymentStore, kept: KeptOrder, order: Order) -> KeptOrder:
    """Write over what was read, for whoever answers a request. Raise OrderBusy when somebody else has just written."""
    try:
        return await store.replace(kept, order)
    except OrderChanged:
        raise OrderBusy from None


class FirestorePayments:
    """The same in Firestore."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def create(self, order: Order) -> KeptOrder:
        batch = self._client.batch()
        batch.create(self._order(order.order_id), order_document(order))
        try:
            return KeptOrder(order, await self._commit(batch))
        except google_errors.Conflict:
            raise OrderExists from None

    async def find(self, order_id: OrderId) -> KeptOrder | None:
        found = await self._read(self._order(order_id))
        if not found.exists:
            return None
        return KeptOrder(order_from(order_id, found.to_dict() or {}), Version(found.update_time))

    async def replace(self, kept: KeptOrder, order: Order) -> KeptOrder:
        batch = self._client.batch()
        batch.update(self._order(order.order_id), order_document(order), option=self._unchanged(kept.version))
        if order.payment_id is not None and kept.order.payment_id is None:
            batch.create(self._payment(order.rail, order.payment_id), {"order": order.order_id, "owner": order.owner})
        try:
            return KeptOrder(order, await self._commit(batch))
        except google_errors.AlreadyExists:
            if await self.order_of(order.rail, PaymentId(str(order.payment_id))) == order.order_id:
                raise OrderChanged from None
            raise PaymentBound from None
        except google_errors.FailedPrecondition:
            raise OrderChanged from None

    async def order_of(self, rail: RailName, payment_id: PaymentId) -> OrderId | None:
        found = await self._read(self._payment(rail, payment_id))
        return OrderId(found.get("order")) if found.exists else None

    async def bind_refund(self, refund_key: str, order_id: OrderId) -> OrderId:
        ref = self._client.collection("refund_keys").document(refund_key)
        if await self._create(ref, {"order": order_id}):
            return order_id
        return OrderId((await self._read(ref)).get("order"))

    async def keep_event(self, event: Event, *, at_ms: int) -> bool:
        document = {
            "rail": event.rail.value,
            "kind": event.kind,
            "subject": to_builtins(event.subject),
            "body_sha256": event.body_sha256,
            "received_at_ms": at_ms,
            "look_due_ms": at_ms + EVENT_LOOK_MS,
        }
        return await self._create(self._event(event.rail, event.event_id), document)

    async def event_applied(self, event: Event) -> None:
        ref = self._event(event.rail, event.event_id)
        try:
            await ref.update({"look_due_ms": None}, retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error

    async def keep_review(self, review: Review, *, at_ms: int) -> None:
        document = {**to_builtins(review), "state": "open", "found_at_ms": at_ms}
        await self._create(self._client.collection("payment_reviews").document(review_id(review)), document)

    async def issue_invoice(self, kept: KeptOrder, *, at_ms: int) -> KeptOrder:
        year = datetime.fromtimestamp(at_ms / 1000, UTC).year
        series = self._client.collection("invoice_series").document(str(year))
        counted = await self._read(series)
        number = int(counted.get("last")) + 1 if counted.exists else 1
        order = replace(kept.order, invoice=f"{year}-{number:06d}")
        batch = self._client.batch()
        batch.update(self._order(order.order_id), order_document(order), option=self._unchanged(kept.version))
        # The number is taken and used in one commit, so none is ever missing. Whoever is second reads again.
        if counted.exists:
            batch.update(series, {"last": number}, option=self._unchanged(Version(counted.update_time)))
        else:
            batch.create(series, {"last": number})
        batch.create(self._client.collection("invoices").document(order.order_id), invoice_document(order, at_ms))
        try:
            return KeptOrder(order, await self._commit(batch))
        except (google_errors.Conflict, google_errors.FailedPrecondition):
            raise OrderChanged from None

    async def _read(self, ref: firestore.AsyncDocumentReference) -> firestore.DocumentSnapshot[Any]:
        try:
            return await ref.get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error

    async def _create(self, ref: firestore.AsyncDocumentReference, document: Mapping[str, Any]) -> bool:
        try:
            await ref.create(dict(document), retry=None, timeout=TIMEOUT_S)
        except google_errors.AlreadyExists:
            return False
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error
        return True

    async def _commit(self, batch: firestore.AsyncWriteBatch) -> Version:
        try:
            results = await batch.commit(retry=None, timeout=TIMEOUT_S)
        except (google_errors.Conflict, google_errors.FailedPrecondition) as error:
            if isinstance(error, google_errors.Aborted):
                # Another writer was in the way; nothing was written.
                raise PaymentsUnavailable from error
            raise
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error
        return Version(results[0].update_time)

    def _unchanged(self, version: Version) -> Any:
        return self._client.write_option(last_update_time=version)

    def _order(self, order_id: OrderId) -> firestore.AsyncDocumentReference:
        return self._client.collection("orders").document(order_id)

    def _payment(self, rail: RailName, payment_id: PaymentId) -> firestore.AsyncDocumentReference:
        # Names of payments on a chain have slashes.
        return self._client.collection("payments").document(quote(payment_name(rail, payment_id), safe=":"))

    def _event(self, rail: RailName, event_id: str) -> firestore.AsyncDocumentReference:
        return self._client.collection("payment_events").document(f"{rail.value}:{event_id}")


def order_document(order: Order) -> dict[str, Any]:
    """The order's fields; its id is the document's."""
    fields: dict[str, Any] = to_builtins(order)
    del fields["order_id"]
    return fields


def order_from(order_id: OrderId, fields: Mapping[str, Any]) -> Order:
    """The order of a document."""
    return msgspec.convert({**fields, "order_id": order_id}, Order)


def invoice_document(order: Order, at_ms: int) -> dict[str, Any]:
    """What was sold, to whom, for how much. Written once; a refund is told by the order."""
    return {
        "number": order.invoice,
        "owner": order.owner,
        "order": order.order_id,
        "rail": order.rail.value,
        "payment": order.payment_id,
        "pack": order.pack_id,
        "credits_micros": order.credits_micros,
        "bonus_micros": order.bonus_micros,
        "amount_minor": order.money.amount_minor,
        "currency": order.money.currency,
        "issued_at_ms": at_ms,
    }


def review_id(review: Review) -> str:
    """One for each subject and reason; a hash, for what a provider calls its objects need not fit into a path."""
    subject = f"{review.rail.value}\n{review.reason}\n{review.subject}\n{review.found}"
    return hashlib.sha256(subject.encode()).hexdigest()
