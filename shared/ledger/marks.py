"""What the audit remembers between runs: how far each account was walked and each band of lanes read, what is broken.

Paths: `audit_marks/{account}`, `audit_marks/band:{band}`, `alarms/{account}`. No class of account is called `band`.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from google.api_core import exceptions as google_errors
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from msgspec import Struct

from shared.base.ids import AccountId
from shared.ledger.archive import Stamp
from shared.ledger.chain import Walk
from shared.ledger.models import GENESIS_HASH, Lot, Origin, Status
from shared.ledger.store import READ_TIMEOUT_S, StoreUnavailable

Value = TypeVar("Value")


class Mark(Struct, frozen=True):
    """The state of a walk at one entry, from which it can go on."""

    seq: int = 0
    hash: str = GENESIS_HASH
    lots: tuple[Lot, ...] = ()
    spent_micros: int = 0
    status: Status = Status.OPEN


START = Mark()


class Alarm(Struct, frozen=True):
    """An account that does not verify, why, and the last point up to which it did."""

    account_id: AccountId
    reason: str
    seq: int | None
    entry_id: str | None
    good: Mark


class AuditMarks(Protocol):
    """Where the audit keeps its notes. All raise StoreUnavailable; a repeated write changes nothing."""

    async def mark(self, account_id: AccountId) -> Mark:
        """How far the account was walked; START when it never was, or when the note cannot be read."""

    async def marks_of(self, account_ids: Sequence[AccountId]) -> Mapping[AccountId, Mark]:
        """The same for many, in one read."""

    async def put_mark(self, account_id: AccountId, mark: Mark) -> None:
        """Remember how far the account was walked."""

    async def cursors(self, bands: int) -> Mapping[int, Stamp]:
        """Up to where each band was read; a band never read, or whose note cannot be, is left out."""

    async def put_cursor(self, band: int, stamp: Stamp) -> None:
        """Remember up to where the band was read."""

    async def open_alarms(self, limit: int) -> list[Alarm]:
        """Accounts that did not verify when last looked at."""

    async def put_alarm(self, alarm: Alarm) -> None:
        """Create or renew the alarm of an account."""

    async def clear_alarm(self, account_id: AccountId) -> None:
        """The account verifies again. The document stays, for those who ask what happened."""


class FirestoreAuditMarks:
    """The notes in Firestore."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def mark(self, account_id: AccountId) -> Mark:
        fields = await self._read(f"audit_marks/{account_id}")
        return _understood(lambda: mark_from(fields), START)

    async def marks_of(self, account_ids: Sequence[AccountId]) -> Mapping[AccountId, Mark]:
        references = [self._client.document(f"audit_marks/{account_id}") for account_id in account_ids]
        found: dict[AccountId, Mark] = {}
        try:
            async for snapshot in self._client.get_all(references, retry=None, timeout=READ_TIMEOUT_S):
                read = functools.partial(mark_from, snapshot.to_dict() or {})
                found[AccountId(snapshot.id)] = _understood(read, START)
        except google_errors.GoogleAPICallError as error:
            raise StoreUnavailable from error
        return found

    async def put_mark(self, account_id: AccountId, mark: Mark) -> None:
        await self._write(f"audit_marks/{account_id}", {**mark_document(mark), "at": firestore.SERVER_TIMESTAMP})

    async def cursors(self, bands: int) -> Mapping[int, Stamp]:
        band_of = {f"band:{band}": band for band in range(bands)}
        references = [self._client.document(f"audit_marks/{name}") for name in band_of]
        found: dict[int, Stamp] = {}
        try:
            async for snapshot in self._client.get_all(references, retry=None, timeout=READ_TIMEOUT_S):
                if stamp := _understood(functools.partial(stamp_from, snapshot.to_dict() or {}), None):
                    found[band_of[snapshot.id]] = stamp
        except google_errors.GoogleAPICallError as error:
            raise StoreUnavailable from error
        return found

    async def put_cursor(self, band: int, stamp: Stamp) -> None:
        fields = {"posted_at": stamp.posted_at, "account": stamp.account_id}
        await self._write(f"audit_marks/band:{band}", fields)

    async def open_alarms(self, limit: int) -> list[Alarm]:
        query = self._client.collection("alarms").where(filter=FieldFilter("open", "==", True)).limit(limit)
        try:
            found = [snapshot async for snapshot in query.stream(retry=None, timeout=READ_TIMEOUT_S)]
        except google_errors.GoogleAPICallError as error:
            raise StoreUnavailable from error
        return [alarm_from(AccountId(snapshot.id), snapshot.to_dict() or {}) for snapshot in found]

    async def put_alarm(self, alarm: Alarm) -> None:
        fields = {**alarm_document(alarm), "at": firestore.SERVER_TIMESTAMP}
        await self._write(f"alarms/{alarm.account_id}", fields)

    async def clear_alarm(self, account_id: AccountId) -> None:
        fields = {"open": False, "cleared_at": firestore.SERVER_TIMESTAMP}
        await self._write(f"alarms/{account_id}", fields, merge=True)

    async def _read(self, path: str) -> dict[str, Any]:
        try:
            snapshot = await self._client.document(path).get(retry=None, timeout=READ_TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise StoreUnavailable from error
        return snapshot.to_dict() or {}

    async def _write(self, path: str, fields: dict[str, Any], *, merge: bool = False) -> None:
        try:
            await self._client.document(path).set(fields, merge=merge, retry=None, timeout=READ_TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise StoreUnavailable from error


def resume(account_id: AccountId, mark: Mark) -> Walk:
    """A walk that stands where the mark says."""
    walk = Walk(account_id)
    walk.seq, walk.hash, walk.lots = mark.seq, mark.hash, mark.lots
    walk.spent_micros, walk.status = mark.spent_micros, mark.status
    return walk


def mark_of(walk: Walk) -> Mark:
    """Where a walk stands."""
    return Mark(walk.seq, walk.hash, walk.lots, walk.spent_micros, walk.status)


def mark_document(mark: Mark) -> dict[str, Any]:
    """A mark as it is stored."""
    lots = [
        {"origin": lot.origin.value, "expires_at_ms": lot.expires_at_ms, "remaining_micros": lot.remaining_micros}
        for lot in mark.lots
    ]
    return {
        "seq": mark.seq,
        "hash": mark.hash,
        "lots": lots,
        "spent_micros": mark.spent_micros,
        "status": mark.status.value,
    }


def mark_from(fields: Mapping[str, Any]) -> Mark:
    """A stored mark. Raise KeyError, TypeError or ValueError when it is not one."""
    lots = [(lot["origin"], lot["expires_at_ms"], lot["remaining_micros"]) for lot in fields["lots"]]
    numbers = [fields["seq"], fields["spent_micros"], *(lot[2] for lot in lots)]
    numbers += [lot[1] for lot in lots if lot[1] is not None]
    # What only looks like a number would end the walk that goes on from here, and with it the audit.
    if any(type(number) is not int for number in numbers):
        raise TypeError("not an integer")
    return Mark(
        seq=fields["seq"],
        hash=str(fields["hash"]),
        lots=tuple(Lot(Origin(origin), expires_at_ms, amount) for origin, expires_at_ms, amount in lots),
        spent_micros=fields["spent_micros"],
        status=Status(fields["status"]),
    )


def stamp_from(fields: Mapping[str, Any]) -> Stamp | None:
    """A stored cursor. Raise KeyError, TypeError or ValueError when it is not one."""
    if not isinstance(fields["posted_at"], datetime):
        raise TypeError("not a time")
    return Stamp(fields["posted_at"], AccountId(str(fields["account"])))


def alarm_document(alarm: Alarm) -> dict[str, Any]:
    """An open alarm as it is stored."""
    return {
        "open": True,
        "reason": alarm.reason,
        "seq": alarm.seq,
        "entry_id": alarm.entry_id,
        "good": mark_document(alarm.good),
    }


def alarm_from(account_id: AccountId, fields: Mapping[str, Any]) -> Alarm:
    """A stored alarm; one that lost its last good point is checked from the first entry."""
    good = _understood(lambda: mark_from(fields["good"]), START)
    return Alarm(account_id, str(fields.get("reason")), fields.get("seq"), fields.get("entry_id"), good)


def _understood(read: Callable[[], Value], otherwise: Value) -> Value:
    try:
        return read()
    except (KeyError, TypeError, ValueError):
        # A note that cannot be read proves nothing, so nothing is skipped on its word.
        return otherwise
