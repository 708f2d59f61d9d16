"""Where complaints are kept, each in the commit that counts it against its key.

`complaints/{id}` is a complaint with its decision, `complainants/{user}` how often somebody complained on a day, and
`resources/{key}/complainants/{user}` who ever complained of a key. No client reads any of them.
"""

from typing import Any, Protocol

import msgspec
from google.api_core import exceptions as google_errors
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from msgspec import Struct, to_builtins

from shared.base.ids import UserId
from shared.resources.errors import ContributionsUnavailable
from shared.resources.models import Complaint, ComplaintId, ContributedKey, HealthEvent, KeyId
from shared.resources.store import TIMEOUT_S, FirestoreKeys, KeptKey, Version

PAGE_COMPLAINTS_MAX = 100


class Past(Struct, frozen=True):
    """What somebody has complained of so far, as it was read."""

    day_ms: int
    """When the day that is counted began."""
    complaints: int
    """On this day."""
    of_key: bool
    """Whether they ever complained of the key."""
    version: Version | None
    """Of the count; None when there is none yet."""


class KeptComplaint(Struct, frozen=True):
    """A complaint as it was read."""

    complaint: Complaint
    version: Version


class ComplaintStore(Protocol):
    """What complaints ask of a store. All raise ContributionsUnavailable; then a write may have been made."""

    async def find(self, complaint_id: ComplaintId) -> KeptComplaint | None:
        """The complaint as it stands now."""

    async def past(self, key_id: KeyId, by: UserId, day_ms: int) -> Past:
        """What somebody has complained of on the day that began then, and whether of this key at any time."""

    async def open(self, *, after: ComplaintId | None) -> list[Complaint]:
        """At most PAGE_COMPLAINTS_MAX that nobody has decided of, in the order of their ids, beginning behind."""

    async def create(
        self, kept: KeptKey, after: ContributedKey, complaint: Complaint, past: Past, event: HealthEvent
    ) -> None:
        """Keep a complaint, once, with what it does to its key and to the count of who complains. Durable once
        returned. Raise KeyChanged when any of them is not as it was read.
        """

    async def judge(
        self, found: KeptComplaint, judged: Complaint, kept: KeptKey, after: ContributedKey, event: HealthEvent
    ) -> None:
        """Keep a decision with what it does to the key. Durable once returned. Raise KeyChanged when the complaint or
        the key is not as it was read.
        """


class FirestoreComplaints:
    """The same in Firestore, over the store of keys."""

    def __init__(self, client: firestore.AsyncClient, keys: FirestoreKeys) -> None:
        self._client = client
        self._keys = keys
        self._complaints = client.collection("complaints")

    async def find(self, complaint_id: ComplaintId) -> KeptComplaint | None:
        found = await self._get(self._complaints.document(complaint_id))
        return KeptComplaint(_complaint_from(found), Version(found.update_time)) if found.exists else None

    async def past(self, key_id: KeyId, by: UserId, day_ms: int) -> Past:
        counted = await self._get(self._count(by))
        of_key = (await self._get(self._mark(key_id, by))).exists
        fields = counted.to_dict() or {}
        complaints = fields["complaints"] if fields.get("day_ms") == day_ms else 0
        return Past(day_ms, complaints, of_key, Version(counted.update_time) if counted.exists else None)

    async def open(self, *, after: ComplaintId | None) -> list[Complaint]:
        query = self._complaints.where(filter=FieldFilter("open", "==", True)).order_by("__name__")
        if after is not None:
            query = query.start_after({"__name__": self._complaints.document(after)})
        try:
            found = query.limit(PAGE_COMPLAINTS_MAX).stream(retry=None, timeout=TIMEOUT_S)
            return [_complaint_from(one) async for one in found]
        except google_errors.GoogleAPICallError as error:
            raise ContributionsUnavailable from error

    async def create(
        self, kept: KeptKey, after: ContributedKey, complaint: Complaint, past: Past, event: HealthEvent
    ) -> None:
        batch = self._client.batch()
        batch.create(self._complaints.document(complaint.id), _document(complaint))
        self._keys.write(batch, kept, after)
        self._keys.tell(batch, after, event)
        count, counted = self._count(complaint.by), {"day_ms": past.day_ms, "complaints": past.complaints + 1}
        if past.version is None:
            batch.create(count, counted)
        else:
            batch.update(count, counted, option=self._client.write_option(last_update_time=past.version))
        if not past.of_key:
            batch.create(self._mark(complaint.key_id, complaint.by), {"at_ms": complaint.at_ms})
        await self._keys.commit(batch)

    async def judge(
        self, found: KeptComplaint, judged: Complaint, kept: KeptKey, after: ContributedKey, event: HealthEvent
    ) -> None:
        batch = self._client.batch()
        # The key's version alone would not do: a write that changes nothing leaves it as it was.
        unchanged = self._client.write_option(last_update_time=found.version)
        batch.update(self._complaints.document(judged.id), _document(judged), option=unchanged)
        self._keys.write(batch, kept, after)
        self._keys.tell(batch, after, event)
        await self._keys.commit(batch)

    async def _get(self, reference: firestore.AsyncDocumentReference) -> Any:
        try:
            return await reference.get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise ContributionsUnavailable from error

    def _count(self, by: UserId) -> firestore.AsyncDocumentReference:
        return self._client.collection("complainants").document(by)

    def _mark(self, key_id: KeyId, by: UserId) -> firestore.AsyncDocumentReference:
        return self._client.collection(f"resources/{key_id}/complainants").document(by)


def _document(complaint: Complaint) -> dict[str, Any]:
    fields: dict[str, Any] = to_builtins(complaint)
    del fields["id"]
    return {**fields, "open": complaint.judgement is None}


def _complaint_from(found: Any) -> Complaint:
    return msgspec.convert({**found.to_dict(), "id": found.id}, Complaint, strict=True)
