"""Where cards are kept, in two documents that are written in one commit.

`card_records/{card}` is what we go by, and no client reads it; `cards/{card}`, or `sessions/{card}` for one that is a
session, is what its owner sees, without hashes.
"""

from collections.abc import Mapping
from typing import Any, NewType, Protocol

from google.api_core import exceptions as google_errors
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from msgspec import Struct, to_builtins

from shared.base.ids import UserId
from shared.base.periods import Period
from shared.cards.errors import CardsUnavailable
from shared.cards.models import Card, CardId, CardRecord, CardStatus, Refill, Session, Terms
from shared.ledger.models import SpendLimit

CARD_VIEWS, SESSION_VIEWS = "cards", "sessions"
TIMEOUT_S = 5.0
PAGE_CARDS_MAX = 100

Version = NewType("Version", object)
"""Opaque: names one state of one record."""


class CardExists(Exception):
    """There is a card of this id already."""


class CardChanged(Exception):
    """The record is no longer what was read."""


class Kept(Struct, frozen=True):
    """A record as it was read or written, with the version that a later write must still find."""

    record: CardRecord
    version: Version


class CardStore(Protocol):
    """What cards ask of a store. All raise CardsUnavailable; then a write may or may not have been made."""

    async def create(self, record: CardRecord) -> Kept:
        """Durable once returned. Raise CardExists."""

    async def replace(self, kept: Kept, record: CardRecord) -> Kept:
        """Write over exactly what was read. Durable once returned. Raise CardChanged."""

    async def find(self, card_id: CardId) -> Kept | None:
        """The card as it stands now."""

    async def owned_by(self, owner: UserId, *, after: CardId | None) -> list[Card]:
        """At most PAGE_CARDS_MAX of the owner's cards in the order of their ids, beginning behind `after`."""

    async def closing(self, *, after: CardId | None) -> list[Card]:
        """At most PAGE_CARDS_MAX cards, anybody's, whose closing is not finished; ordered and begun as above."""


class FirestoreCards:
    """The same in Firestore. Sessions have views of their own, so that neither is listed among the other."""

    def __init__(self, client: firestore.AsyncClient, *, views: str = CARD_VIEWS) -> None:
        self._client = client
        self._views = views

    async def create(self, record: CardRecord) -> Kept:
        batch = self._client.batch()
        batch.create(self._record(record.card.card_id), _record_document(record))
        batch.set(self._view(record.card.card_id), _view_document(record.card))
        try:
            return Kept(record, await self._commit(batch))
        except google_errors.Conflict:
            raise CardExists from None

    async def replace(self, kept: Kept, record: CardRecord) -> Kept:
        batch = self._client.batch()
        unchanged = self._client.write_option(last_update_time=kept.version)
        batch.update(self._record(record.card.card_id), _record_document(record), option=unchanged)
        batch.set(self._view(record.card.card_id), _view_document(record.card))
        try:
            return Kept(record, await self._commit(batch))
        except google_errors.FailedPrecondition:
            raise CardChanged from None

    async def find(self, card_id: CardId) -> Kept | None:
        try:
            found = await self._record(card_id).get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise CardsUnavailable from error
        if not found.exists:
            return None
        fields = found.to_dict() or {}
        record = CardRecord(_card_from(card_id, fields), str(fields["key_hash"]), str(fields["request_hash"]))
        return Kept(record, Version(found.update_time))

    async def owned_by(self, owner: UserId, *, after: CardId | None) -> list[Card]:
        return await self._page("owner", owner, after)

    async def closing(self, *, after: CardId | None) -> list[Card]:
        return await self._page("status", CardStatus.CLOSING.value, after)

    async def _page(self, field: str, value: str, after: CardId | None) -> list[Card]:
        return await self.page_behind(self.viewed().where(filter=FieldFilter(field, "==", value)), after)

    def viewed(self) -> firestore.AsyncCollectionReference:
        """The collection of what owners see."""
        return self._client.collection(self._views)

    async def page_behind(self, query: firestore.AsyncQuery, after: CardId | None) -> list[Card]:
        """A page of a query over `viewed` in the order of the ids, beginning behind `after`. Raise CardsUnavailable."""
        ordered = query.order_by("__name__")
        return await self.page(ordered if after is None else ordered.start_after({"__name__": self._view(after)}))

    async def page(self, query: firestore.AsyncQuery) -> list[Card]:
        """The first PAGE_CARDS_MAX cards of a query over `viewed`. Raise CardsUnavailable."""
        try:
            return [
                _card_from(CardId(one.id), one.to_dict() or {})
                async for one in query.limit(PAGE_CARDS_MAX).stream(retry=None, timeout=TIMEOUT_S)
            ]
        except google_errors.GoogleAPICallError as error:
            raise CardsUnavailable from error

    async def _commit(self, batch: firestore.AsyncWriteBatch) -> Version:
        try:
            results = await batch.commit(retry=None, timeout=TIMEOUT_S)
        except (google_errors.Conflict, google_errors.FailedPrecondition) as error:
            if isinstance(error, google_errors.Aborted):
                # Another writer was in the way; nothing was written.
                raise CardsUnavailable from error
            raise
        except google_errors.GoogleAPICallError as error:
            raise CardsUnavailable from error
        return Version(results[0].update_time)

    def _record(self, card_id: CardId) -> firestore.AsyncDocumentReference:
        return self._client.collection("card_records").document(card_id)

    def _view(self, card_id: CardId) -> firestore.AsyncDocumentReference:
        return self.viewed().document(card_id)


def _record_document(record: CardRecord) -> dict[str, Any]:
    return {**_view_document(record.card), "key_hash": record.key_hash, "request_hash": record.request_hash}


def _view_document(card: Card) -> dict[str, Any]:
    terms = card.terms
    return {
        "owner": card.owner,
        "status": card.status.value,
        "name": terms.name,
        "limit": to_builtins(terms.limit),
        "refill": to_builtins(terms.refill),
        "models": None if terms.models is None else sorted(terms.models),
        "expires_at_ms": terms.expires_at_ms,
        "created_at_ms": card.created_at_ms,
        **(_session_document(card.session) if card.session else {}),
    }


def _card_from(card_id: CardId, fields: Mapping[str, Any]) -> Card:
    limit, refill, models = fields["limit"], fields["refill"], fields["models"]
    terms = Terms(
        name=fields["name"],
        limit=SpendLimit(limit["amount_micros"], Period(limit["period"])) if limit else None,
        refill=Refill(refill["to_micros"], Period(refill["period"])) if refill else None,
        models=None if models is None else frozenset(models),
        expires_at_ms=fields["expires_at_ms"],
    )
    session = _session_from(fields) if "budget_micros" in fields else None
    status = CardStatus(fields["status"])
    return Card(card_id, UserId(fields["owner"]), status, terms, fields["created_at_ms"], session)


def _session_document(session: Session) -> dict[str, Any]:
    return {"pool": session.pool, "budget_micros": session.budget_micros, "lenders": list(session.lenders)}


def _session_from(fields: Mapping[str, Any]) -> Session:
    lenders = tuple(UserId(lender) for lender in fields.get("lenders", ()))
    return Session(fields["pool"], fields["budget_micros"], lenders)
