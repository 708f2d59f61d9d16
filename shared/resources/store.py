"""Where contributed keys are kept.

`resources/{key}` is what we go by, with the sealed secret, and no client reads it; `contributions/{key}` is what its
owner sees, and in `health` below it what became of it. `key_fingerprints/{fingerprint}` says which key a secret is,
`depositors/{user}` how many somebody brought on a day.
"""

from collections.abc import Mapping
from typing import Any, NewType, Protocol

import msgspec
from google.api_core import exceptions as google_errors
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from msgspec import Struct, to_builtins

from shared.base.ids import UserId
from shared.resources.errors import ContributionsUnavailable
from shared.resources.models import FINAL_STATUSES, ContributedKey, HealthEvent, KeyId, KeyStatus, Override

TIMEOUT_S = 5.0
PAGE_KEYS_MAX = 100
Version = NewType("Version", object)
"""Opaque: names one state of one record."""

_HIDDEN = frozenset(
    {"id", "host", "sealed", "fingerprint", "request_hash", "leased_micros", "returned_micros", "check_at_ms"}
)
"""What of a record its owner is not shown: what is ours to know, or changes with every lease."""
_NOT_OURS = ("leased_micros", "returned_micros")
"""Written by choice alone; a record is written around it."""


class KeyExists(Exception):
    """There is a key of this id already."""


class FingerprintTaken(Exception):
    """The same secret is there already, under this id."""

    def __init__(self, key_id: KeyId) -> None:
        super().__init__(key_id)
        self.key_id = key_id


class KeyChanged(Exception):
    """The record is no longer what was read."""


class KeptKey(Struct, frozen=True):
    """A record as it was read, with the version that a later write must still find."""

    key: ContributedKey
    version: Version


class Depositor(Struct, frozen=True):
    """How often somebody deposited a key on a day, as it was read."""

    day_ms: int
    """When the day began."""
    deposits: int
    version: Version | None
    """None when they never did."""


class KeyStore(Protocol):
    """What contributions ask of a store. All raise ContributionsUnavailable; then a write may have been made."""

    async def create(
        self,
        key: ContributedKey,
        event: HealthEvent,
        *,
        instead_of: KeyId | None,
        depositor: Depositor | None = None,
    ) -> None:
        """Durable once returned, with its fingerprint, which may be that of the key `instead_of` and of no other, and
        counted for its depositor.

        Raise FingerprintTaken; KeyExists too when their count is not as it was read any more.
        """

    async def depositor(self, owner: UserId, day_ms: int) -> Depositor:
        """How often they deposited a key on the day that began then."""

    async def open_of(self, owner: UserId, count_max: int) -> int:
        """How many keys of the owner's are not over, at most so many."""

    async def replace(self, kept: KeptKey, key: ContributedKey, event: HealthEvent | None) -> None:
        """Write over exactly what was read, what choice has leased apart. Durable once returned. Raise KeyChanged."""

    async def find(self, key_id: KeyId) -> KeptKey | None:
        """The key as it stands now."""

    async def owned_by(self, owner: UserId, *, after: KeyId | None) -> list[ContributedKey]:
        """At most PAGE_KEYS_MAX of the owner's keys in the order of their ids, beginning behind `after`."""

    async def of_provider(self, provider: str, *, after: KeyId | None) -> list[ContributedKey]:
        """The same of one provider's keys, anybody's."""

    async def all(self, *, after: KeyId | None) -> list[ContributedKey]:
        """The same of all keys."""

    async def due(self, at_ms: int) -> list[ContributedKey]:
        """At most PAGE_KEYS_MAX keys that the timer is to look at by then, those that waited longest first."""


class FirestoreKeys:
    """The same in Firestore."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client
        self._records = client.collection("resources")

    async def create(
        self,
        key: ContributedKey,
        event: HealthEvent,
        *,
        instead_of: KeyId | None,
        depositor: Depositor | None = None,
    ) -> None:
        mark = self._client.collection("key_fingerprints").document(key.fingerprint)
        batch = self._client.batch()
        batch.create(self._records.document(key.id), record_document(key))
        batch.set(self._view(key.id), view_document(key))
        self.tell(batch, key, event)
        if depositor is not None:
            self._count(batch, key.owner, depositor)
        holder = await self._holder(mark)
        if holder is None:
            batch.create(mark, {"key_id": key.id})
        elif holder[0] != instead_of:
            raise FingerprintTaken(holder[0])
        else:
            unchanged = self._client.write_option(last_update_time=holder[1])
            batch.update(mark, {"key_id": key.id}, option=unchanged)
        try:
            await batch.commit(retry=None, timeout=TIMEOUT_S)
        except (google_errors.AlreadyExists, google_errors.FailedPrecondition):
            # Which of the two it was, only a look tells.
            holder = await self._holder(mark)
            if holder is not None and holder[0] not in (key.id, instead_of):
                raise FingerprintTaken(holder[0]) from None
            raise KeyExists from None
        except google_errors.GoogleAPICallError as error:
            raise ContributionsUnavailable from error

    async def depositor(self, owner: UserId, day_ms: int) -> Depositor:
        try:
            found = await self._depositor(owner).get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise ContributionsUnavailable from error
        fields = found.to_dict() or {}
        deposits = fields["deposits"] if fields.get("day_ms") == day_ms else 0
        return Depositor(day_ms, deposits, Version(found.update_time) if found.exists else None)

    async def open_of(self, owner: UserId, count_max: int) -> int:
        begun = [status.value for status in KeyStatus if status not in FINAL_STATUSES]
        query = self._records.where(filter=FieldFilter("owner", "==", owner))
        return len(await self._read(query.where(filter=FieldFilter("status", "in", begun)), count_max))

    async def replace(self, kept: KeptKey, key: ContributedKey, event: HealthEvent | None) -> None:
        batch = self._client.batch()
        self.write(batch, kept, key)
        if event is not None:
            self.tell(batch, key, event)
        await self.commit(batch)

    def write(self, batch: firestore.AsyncWriteBatch, kept: KeptKey, key: ContributedKey) -> None:
        """Put the record and its view into a batch that others add to."""
        fields = record_document(key)
        for name in _NOT_OURS:
            del fields[name]
        unchanged = self._client.write_option(last_update_time=kept.version)
        batch.update(self._records.document(key.id), fields, option=unchanged)
        batch.set(self._view(key.id), view_document(key))

    async def commit(self, batch: firestore.AsyncWriteBatch) -> None:
        """Raise KeyChanged or ContributionsUnavailable."""
        try:
            await batch.commit(retry=None, timeout=TIMEOUT_S)
        except (google_errors.FailedPrecondition, google_errors.AlreadyExists, google_errors.NotFound):
            raise KeyChanged from None
        except google_errors.Aborted:
            # Another writer was in the way; nothing was written.
            raise KeyChanged from None
        except google_errors.GoogleAPICallError as error:
            raise ContributionsUnavailable from error

    async def find(self, key_id: KeyId) -> KeptKey | None:
        try:
            found = await self._records.document(key_id).get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise ContributionsUnavailable from error
        fields = found.to_dict()
        return None if fields is None else KeptKey(key_from(key_id, fields), Version(found.update_time))

    async def owned_by(self, owner: UserId, *, after: KeyId | None) -> list[ContributedKey]:
        return await self._page(self._records.where(filter=FieldFilter("owner", "==", owner)), after)

    async def of_provider(self, provider: str, *, after: KeyId | None) -> list[ContributedKey]:
        return await self._page(self._records.where(filter=FieldFilter("provider", "==", provider)), after)

    async def all(self, *, after: KeyId | None) -> list[ContributedKey]:
        return await self._page(self._records, after)

    async def due(self, at_ms: int) -> list[ContributedKey]:
        query = self._records.where(filter=FieldFilter("check_at_ms", "<=", at_ms)).order_by("check_at_ms")
        return await self._read(query)

    async def _page(self, query: Any, after: KeyId | None) -> list[ContributedKey]:
        ordered = query.order_by("__name__")
        if after is not None:
            ordered = ordered.start_after({"__name__": self._records.document(after)})
        return await self._read(ordered)

    async def _read(self, query: Any, count_max: int = PAGE_KEYS_MAX) -> list[ContributedKey]:
        try:
            return [
                key_from(KeyId(one.id), one.to_dict() or {})
                async for one in query.limit(count_max).stream(retry=None, timeout=TIMEOUT_S)
            ]
        except google_errors.GoogleAPICallError as error:
            raise ContributionsUnavailable from error

    async def _holder(self, mark: firestore.AsyncDocumentReference) -> tuple[KeyId, Version] | None:
        try:
            found = await mark.get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise ContributionsUnavailable from error
        return (KeyId(found.get("key_id")), Version(found.update_time)) if found.exists else None

    def tell(self, batch: firestore.AsyncWriteBatch, key: ContributedKey, event: HealthEvent) -> None:
        """Put a line of the key's history into a batch that others add to."""
        line = self._view(key.id).collection("health").document(f"{event.at_ms:015d}-{event.what}")
        batch.set(line, {"owner": key.owner, **to_builtins(event), "status": key.status.value})

    def _count(self, batch: firestore.AsyncWriteBatch, owner: UserId, depositor: Depositor) -> None:
        counted = {"day_ms": depositor.day_ms, "deposits": depositor.deposits + 1}
        if depositor.version is None:
            batch.create(self._depositor(owner), counted)
        else:
            unchanged = self._client.write_option(last_update_time=depositor.version)
            batch.update(self._depositor(owner), counted, option=unchanged)

    def _depositor(self, owner: UserId) -> firestore.AsyncDocumentReference:
        return self._client.collection("depositors").document(owner)

    def _view(self, key_id: KeyId) -> firestore.AsyncDocumentReference:
        return self._client.collection("contributions").document(key_id)


class FirestoreOverrides:
    """What operators decided: `pool_providers/{provider}` holds, and `history` below it keeps every decision."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def of(self, provider: str) -> Override | None:
        try:
            found = await self._of(provider).get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise ContributionsUnavailable from error
        return msgspec.convert(found.to_dict(), Override) if found.exists else None

    async def put(self, override: Override) -> None:
        fields: dict[str, Any] = to_builtins(override)
        batch = self._client.batch()
        batch.set(self._of(override.provider), fields)
        batch.set(self._of(override.provider).collection("history").document(f"{override.at_ms:015d}"), fields)
        try:
            await batch.commit(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise ContributionsUnavailable from error

    def _of(self, provider: str) -> firestore.AsyncDocumentReference:
        return self._client.collection("pool_providers").document(provider)


def record_document(key: ContributedKey) -> dict[str, Any]:
    """All of a record but its id, which is the document's. Pairs become a map: Firestore has no lists in lists."""
    fields: dict[str, Any] = to_builtins(key, builtin_types=(bytes,))
    del fields["id"]
    return {**fields, "limits": dict(key.limits)}


def view_document(key: ContributedKey) -> dict[str, Any]:
    """What the owner sees."""
    return {name: value for name, value in record_document(key).items() if name not in _HIDDEN}


def key_from(key_id: KeyId, fields: Mapping[str, Any]) -> ContributedKey:
    """A record as it was written."""
    limits = sorted(fields.get("limits", {}).items())
    return msgspec.convert(
        {**fields, "id": key_id, "limits": limits}, ContributedKey, strict=True, builtin_types=(bytes,)
    )
