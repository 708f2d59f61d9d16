"""Contributed keys as choice reads them, and the leases of their quotas: `resources/{key}/key_leases/{lease}`.

A lease is written in one commit with the key's `leased_micros`, under the version of the key that was read. So no two
processes are ever given the same part of a quota, whatever they had read. It is closed once, in one commit with what
comes back of it: closing asks that the lease is still what it was when it was open.
"""

from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
from google.api_core import exceptions as google_errors
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from google.cloud.firestore_v1.field_path import FieldPath
from msgspec.structs import replace

from shared.base.economy import DAY_MS
from shared.base.errors import CredenceError, Kind
from shared.base.ids import UserId
from shared.resources.models import KeyId, KeyStatus
from shared.resources.store import key_from
from shared.shelf.models import LEASE_FACT, DueLease, Lease, LeaseId, Shelved, Version

TIMEOUT_S = 2.0
"""A call waits for a lease, so not for long: the platform's own key stands in."""
SWEEP_TIMEOUT_S = 10.0
KEYS_MAX = 2_000
"""Active keys that a process looks at. More than that would be chosen among by chance of their names."""
CALLS_MAX = 20_000
"""Captures of one lease that are counted. A lease covers few calls; more would be small ones that used less."""
KEPT_MS = 7 * DAY_MS
"""A closed lease is deleted so long after, with Firestore's own delay."""


class ShelfUnavailable(CredenceError):
    """The store did not answer in time; what was asked may have been done."""

    code = "shelf_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("Contributed keys cannot be looked at at the moment. Try again shortly.")


class Outrun(Exception):
    """The document is no longer what was read: another process was quicker."""


class ShelfStore(Protocol):
    """What choice asks of the store. All raise ShelfUnavailable."""

    async def active(self) -> list[Shelved]:
        """All active keys. What is no key is left out."""

    async def find(self, key_id: KeyId) -> Shelved | None:
        """One key as it stands now."""

    async def lease(self, shelved: Shelved, lease: Lease) -> tuple[Shelved, Version]:
        """Give out a part of a quota: durable once returned, with the key and the lease as written. Raise Outrun."""

    async def close(self, lease: Lease, version: Version, *, used_micros: int) -> None:
        """Say what a lease used, and give the rest back to its key. Raise Outrun when it is not open any more."""

    async def cool(self, key_id: KeyId, until_ms: int) -> None:
        """Tell all processes to leave a key alone until then."""

    async def due(self, expired_by_ms: int, limit: int) -> list[DueLease]:
        """Open leases that expired by then, the longest expired first."""

    async def served_micros(self, lease_id: LeaseId) -> int:
        """What calls were charged under a lease: in the ledger, owed to it, or decided as a step of a job that goes on
        some other day. No other comes once the lease has expired.
        """


class FirestoreShelf:
    """The same in Firestore."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client
        self._keys = client.collection("resources")

    async def active(self) -> list[Shelved]:
        query = self._keys.where(filter=FieldFilter("status", "==", KeyStatus.ACTIVE.value)).limit(KEYS_MAX)
        try:
            # Converted as they come, so that calls go on in between.
            found = [_shelved(snapshot) async for snapshot in query.stream(retry=None, timeout=SWEEP_TIMEOUT_S)]
        except google_errors.GoogleAPICallError as error:
            raise ShelfUnavailable from error
        return [shelved for shelved in found if shelved is not None]

    async def find(self, key_id: KeyId) -> Shelved | None:
        try:
            return _shelved(await self._keys.document(key_id).get(retry=None, timeout=TIMEOUT_S))
        except google_errors.GoogleAPICallError as error:
            raise ShelfUnavailable from error

    async def lease(self, shelved: Shelved, lease: Lease) -> tuple[Shelved, Version]:
        key = replace(shelved.key, leased_micros=shelved.key.leased_micros + lease.amount_micros)
        batch = self._client.batch()
        unchanged = self._client.write_option(last_update_time=shelved.version)
        batch.update(self._keys.document(lease.key_id), {"leased_micros": key.leased_micros}, option=unchanged)
        # The owner stands in it for the sweep, which knows then whom to look for in the ledger.
        batch.create(self._lease(lease), {**_lease_fields(lease), "owner": key.owner, "due_ms": lease.expires_at_ms})
        try:
            results = await batch.commit(retry=None, timeout=TIMEOUT_S)
        except (google_errors.FailedPrecondition, google_errors.NotFound, google_errors.Aborted) as error:
            raise Outrun from error
        except google_errors.GoogleAPICallError as error:
            # It may have been written. Then nobody spends it, and the sweep gives it back.
            raise ShelfUnavailable from error
        return Shelved(key, Version(results[0].update_time)), Version(results[1].update_time)

    async def close(self, lease: Lease, version: Version, *, used_micros: int) -> None:
        batch = self._client.batch()
        closed = {
            "used_micros": used_micros,
            "due_ms": firestore.DELETE_FIELD,
            "delete_at": datetime.fromtimestamp((lease.expires_at_ms + KEPT_MS) / 1000, UTC),
        }
        option = self._client.write_option(last_update_time=version)
        batch.update(self._lease(lease), closed, option=option)
        if unused_micros := lease.amount_micros - used_micros:
            returned = {"returned_micros": firestore.Increment(unused_micros)}
            batch.update(self._keys.document(lease.key_id), returned)
        try:
            await batch.commit(retry=None, timeout=TIMEOUT_S)
        except (google_errors.FailedPrecondition, google_errors.NotFound) as error:
            raise Outrun from error
        except google_errors.GoogleAPICallError as error:
            raise ShelfUnavailable from error

    async def cool(self, key_id: KeyId, until_ms: int) -> None:
        try:
            await self._keys.document(key_id).update({"cool_until_ms": until_ms}, retry=None, timeout=TIMEOUT_S)
        except google_errors.NotFound:
            return
        except google_errors.GoogleAPICallError as error:
            raise ShelfUnavailable from error

    async def due(self, expired_by_ms: int, limit: int) -> list[DueLease]:
        query = self._client.collection_group("key_leases").where(filter=FieldFilter("due_ms", "<=", expired_by_ms))
        try:
            found = query.order_by("due_ms").limit(limit).stream(retry=None, timeout=SWEEP_TIMEOUT_S)
            return [_due(snapshot) async for snapshot in found]
        except google_errors.GoogleAPICallError as error:
            raise ShelfUnavailable from error

    async def served_micros(self, lease_id: LeaseId) -> int:
        named = FieldFilter(FieldPath("facts", LEASE_FACT).to_api_repr(), "==", lease_id)
        # What is charged last is read first: one that is made in between is then seen twice, under one hold, and not
        # missed.
        decided = self._client.collection_group("steps").where(filter=named).limit(CALLS_MAX)
        owed = self._client.collection("owed_charges").where(filter=named).limit(CALLS_MAX)
        charged = self._client.collection_group("entries").where(filter=named).limit(CALLS_MAX)
        used: dict[str, int] = {}
        try:
            async for step in decided.stream(retry=None, timeout=SWEEP_TIMEOUT_S):
                used[str(step.get("hold_id"))] = int(step.get("charged_micros"))
            async for charge in owed.stream(retry=None, timeout=SWEEP_TIMEOUT_S):
                used[charge.id] = int(charge.get("amount_micros"))
            async for entry in charged.stream(retry=None, timeout=SWEEP_TIMEOUT_S):
                used[str(entry.get("hold_id"))] = -int(entry.get("delta_micros"))
        except google_errors.GoogleAPICallError as error:
            raise ShelfUnavailable from error
        return sum(used.values())

    def _lease(self, lease: Lease) -> firestore.AsyncDocumentReference:
        reference: firestore.AsyncDocumentReference = (
            self._keys.document(lease.key_id).collection("key_leases").document(lease.id)
        )
        return reference


def _shelved(snapshot: Any) -> Shelved | None:
    fields = snapshot.to_dict()
    if fields is None:
        return None
    try:
        return Shelved(key_from(KeyId(snapshot.id), fields), Version(snapshot.update_time))
    except msgspec.ValidationError:
        # It serves nobody; whoever wrote it finds out where it is shown.
        return None


def _lease_fields(lease: Lease) -> dict[str, Any]:
    return {name: value for name, value in msgspec.to_builtins(lease).items() if name != "id"}


def _due(snapshot: Any) -> DueLease:
    fields = snapshot.to_dict() or {}
    lease = msgspec.convert({**fields, "id": snapshot.id}, Lease)
    return DueLease(lease, UserId(fields["owner"]), Version(snapshot.update_time))
