"""Reading orders in bulk: those that were paid on a day, and those that lines are about."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import quote

from google.api_core import exceptions as google_errors
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from msgspec import Struct

from shared.payments.errors import PaymentsUnavailable
from shared.payments.models import Order, OrderId, PaymentId, RailName
from shared.payments.rules import payment_name
from shared.payments.store import order_from

TIMEOUT_S = 10.0
PAGE_ORDERS_MAX = 100


class Place(Struct, frozen=True):
    """Where a page of orders ended."""

    paid_at_ms: int
    order_id: OrderId


class PaidOrders(Protocol):
    """What reconciliation asks of the store of payments. All raise PaymentsUnavailable."""

    async def paid_between(self, rail: RailName, start_ms: int, end_ms: int, after: Place | None) -> Sequence[Order]:
        """A page of a rail's orders by when they were paid; one that is not full is the last."""

    async def named(self, order_ids: Iterable[OrderId]) -> Mapping[OrderId, Order]:
        """Those of the orders that there are."""

    async def bound(self, rail: RailName, payment_ids: Iterable[PaymentId]) -> Mapping[PaymentId, OrderId]:
        """Which order each payment is bound to, for those that are."""


class FirestorePaidOrders:
    """The same in Firestore: the paths of `FirestorePayments`."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def paid_between(self, rail: RailName, start_ms: int, end_ms: int, after: Place | None) -> Sequence[Order]:
        query = (
            self._client.collection("orders")
            .where(filter=FieldFilter("rail", "==", rail.value))
            .where(filter=FieldFilter("paid_at_ms", ">=", start_ms))
            .where(filter=FieldFilter("paid_at_ms", "<", end_ms))
            .order_by("paid_at_ms")
            .order_by("__name__")
        )
        if after is not None:
            query = query.start_after({"paid_at_ms": after.paid_at_ms, "__name__": after.order_id})
        try:
            stream = query.limit(PAGE_ORDERS_MAX).stream(retry=None, timeout=TIMEOUT_S)
            return [order_from(OrderId(found.id), found.to_dict() or {}) async for found in stream]
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error

    async def named(self, order_ids: Iterable[OrderId]) -> Mapping[OrderId, Order]:
        references = [self._client.collection("orders").document(order_id) for order_id in order_ids]
        return {
            OrderId(found.id): order_from(OrderId(found.id), found.to_dict() or {})
            for found in await self._existing(references)
        }

    async def bound(self, rail: RailName, payment_ids: Iterable[PaymentId]) -> Mapping[PaymentId, OrderId]:
        payments = self._client.collection("payments")
        names = {quote(payment_name(rail, payment_id), safe=":"): payment_id for payment_id in payment_ids}
        found = await self._existing([payments.document(name) for name in names])
        return {names[binding.id]: OrderId(binding.get("order")) for binding in found}

    async def _existing(
        self, references: list[firestore.AsyncDocumentReference]
    ) -> "list[firestore.DocumentSnapshot[Any]]":
        if not references:
            return []
        try:
            found = self._client.get_all(references, retry=None, timeout=TIMEOUT_S)
            return [snapshot async for snapshot in found if snapshot.exists]
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error
