"""What waits, in Firestore: reviews for a person, by `state`, and kept events for a look, by `look_due_ms`."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from google.api_core import exceptions as google_errors
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from msgspec import to_builtins

from shared.payments.errors import PaymentsUnavailable, ReviewResolved
from shared.payments.models import Event, RailName, Review, Subject
from shared.payments.reviews import PAGE_REVIEWS_MAX, Decision, KeptReview
from shared.payments.sweep import EVENTS_MAX, WaitingEvent

TIMEOUT_S = 5.0


class FirestoreReviews:
    """Reviews in Firestore."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def open(self, after: str | None) -> Sequence[KeptReview]:
        reviews = self._client.collection("payment_reviews")
        query = reviews.where(filter=FieldFilter("state", "==", "open")).order_by("__name__")
        if after is not None:
            query = query.start_after({"__name__": after})
        try:
            stream = query.limit(PAGE_REVIEWS_MAX).stream(retry=None, timeout=TIMEOUT_S)
            return [review_from(found.id, found.to_dict() or {}) async for found in stream]
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error

    async def find(self, review_id: str) -> KeptReview | None:
        found = await self._read(review_id)
        return review_from(review_id, found.to_dict() or {}) if found.exists else None

    async def decide(self, review_id: str, decision: Decision) -> None:
        found = await self._read(review_id)
        if not found.exists or found.get("state") != "open":
            raise ReviewResolved
        option = self._client.write_option(last_update_time=found.update_time)
        fields = {"state": "resolved", "decision": to_builtins(decision)}
        try:
            await self._review(review_id).update(fields, option=option, retry=None, timeout=TIMEOUT_S)
        except google_errors.FailedPrecondition:
            raise ReviewResolved from None
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error

    async def _read(self, review_id: str) -> Any:
        try:
            return await self._review(review_id).get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error

    def _review(self, review_id: str) -> firestore.AsyncDocumentReference:
        return self._client.collection("payment_reviews").document(review_id)


def review_from(review_id: str, fields: dict[str, Any]) -> KeptReview:
    """The review of a document."""
    return KeptReview(
        review_id=review_id,
        review=msgspec.convert({name: fields.get(name) for name in Review.__struct_fields__}, Review),
        found_at_ms=int(fields["found_at_ms"]),
        decision=msgspec.convert(fields.get("decision"), Decision | None),
    )


class FirestoreWaitingEvents:
    """The same in Firestore: `payment_events/{rail}:{event}` by `look_due_ms`."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def due(self, *, at_ms: int) -> Sequence[WaitingEvent]:
        events = self._client.collection("payment_events")
        query = events.where(filter=FieldFilter("look_due_ms", "<=", at_ms)).order_by("look_due_ms")
        try:
            stream = query.limit(EVENTS_MAX).stream(retry=None, timeout=TIMEOUT_S)
            return [waiting_from(found.id, found.to_dict() or {}) async for found in stream]
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error

    async def swept(self, name: str, *, sweeps: int, due_ms: int | None) -> None:
        fields = {"sweeps": sweeps, "look_due_ms": due_ms}
        try:
            await self._client.collection("payment_events").document(name).update(fields, retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error


def waiting_from(name: str, fields: Mapping[str, Any]) -> WaitingEvent:
    """The event of a document."""
    event = Event(
        rail=RailName(fields["rail"]),
        event_id=name.partition(":")[2],
        kind=str(fields["kind"]),
        subject=msgspec.convert(fields["subject"], Subject | None),
        body_sha256=str(fields["body_sha256"]),
    )
    return WaitingEvent(
        name=name, event=event, received_at_ms=int(fields["received_at_ms"]), sweeps=int(fields.get("sweeps", 0))
    )
