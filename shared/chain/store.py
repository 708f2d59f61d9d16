"""Which order an authorization pays for: `chain_authorizations/{SHA-256 of its name}`, created once, never changed."""

import hashlib
from typing import Protocol

from google.api_core import exceptions as google_errors
from google.cloud import firestore

from shared.chain.errors import ReservationsUnavailable
from shared.chain.models import Reservation

COLLECTION = "chain_authorizations"
TIMEOUT_S = 5.0


class Reservations(Protocol):
    """Reservations that outlive the process: once `reserve` has returned, everybody finds what it returned."""

    async def find(self, key: str) -> Reservation | None:
        """The reservation of an authorization. Raise ReservationsUnavailable."""

    async def reserve(self, key: str, reservation: Reservation) -> Reservation:
        """The first reservation that was made of an authorization: this one or an earlier. Raise
        ReservationsUnavailable."""


class FirestoreReservations:
    """Reservations in Firestore. Clients can neither read nor write them."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def find(self, key: str) -> Reservation | None:
        """One read."""
        try:
            found = await self._document(key).get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise ReservationsUnavailable from error
        return Reservation(str(found.get("order")), int(found.get("from_block"))) if found.exists else None

    async def reserve(self, key: str, reservation: Reservation) -> Reservation:
        """One write; a read more when somebody was there before, or the answer to an earlier try was lost."""
        fields = {
            "authorization": key,
            "order": reservation.order_id,
            "from_block": reservation.from_block,
            "at": firestore.SERVER_TIMESTAMP,
        }
        try:
            await self._document(key).create(fields, retry=None, timeout=TIMEOUT_S)
        except google_errors.Conflict:
            existing = await self.find(key)
            if existing is None:
                raise ReservationsUnavailable from None
            return existing
        except google_errors.GoogleAPICallError as error:
            raise ReservationsUnavailable from error
        return reservation

    def _document(self, key: str) -> firestore.AsyncDocumentReference:
        return self._client.collection(COLLECTION).document(hashlib.sha256(key.encode()).hexdigest())
