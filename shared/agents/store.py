"""Where jobs are kept.

`jobs/{job}` is a job, which its owner watches under `firestore.rules`, and everything of it lies below: `events/{seq}`
what happened, created once each; `steps/{hash of its name}` a paid call or a tool's use; `artifacts/{hash}` what it
made, whose bytes are in `chunks/{hash}-{number}`; and what `saver.py` keeps. Firestore deletes all after `delete_at`.
"""

from collections.abc import Sequence
from typing import Any, NewType, Protocol

from google.api_core import exceptions as google_errors
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from msgspec import Struct, to_builtins

from shared.agents.commits import Change, Delete
from shared.agents.desk import ArtifactRef
from shared.agents.documents import ENGINE, JobBroken, holds_in, job_document, job_from, moment, trace_from
from shared.agents.errors import JobsUnavailable
from shared.agents.limits import CHUNK_BYTES, JOBS_PAGE_MAX
from shared.agents.models import Event, Failure, Job, JobId, JobState, Trace
from shared.agents.rules import step_id
from shared.base.ids import AccountId, HoldId, UserId
from shared.base.log import write_line

TIMEOUT_S = 5.0
BYTES_TIMEOUT_S = 20.0

Version = NewType("Version", object)
"""Opaque: names one state of one job."""


class JobExists(Exception):
    """There is a job of this id already."""


class JobChanged(Exception):
    """The job is no longer what was read, or a document that was to be new is there."""


class JobUnwritable(Exception):
    """What was to be written is no document: a defect, which no repeat mends."""


class KeptJob(Struct, frozen=True):
    """A job as it was read or written, with the version that a later write must still find."""

    job: Job
    version: Version


class DueJob(Struct, frozen=True, kw_only=True):
    """A job whose time to be looked at has come, as far as its document can be read."""

    job_id: JobId
    version: Version
    kept: KeptJob | None
    """None when the document tells no job."""
    account_id: AccountId | None
    holds: tuple[HoldId, ...]
    looks_failed: int
    """How often it could not be looked after since it was written last."""


class JobStore(Protocol):
    """What jobs ask of a store. All raise JobsUnavailable; then a write may or may not have been made."""

    async def create(self, job: Job) -> KeptJob:
        """Durable once returned. Raise JobExists."""

    async def find(self, job_id: JobId) -> KeptJob | None:
        """The job as it stands now. Raise JobBroken."""

    async def write(self, kept: KeptJob, job: Job, changes: Sequence[Change] = ()) -> KeptJob:
        """Write over exactly what was read, and make the changes with it, all or none. Durable once returned. Raise
        JobChanged or JobUnwritable.
        """

    async def put_off(self, due: DueJob, *, due_ms: int) -> None:
        """Have it looked at later, and count that it could not be looked after; nothing else of it is written. Raise
        JobChanged or JobUnwritable.
        """

    async def put_aside(self, due: DueJob, failure: Failure, *, at_ms: int) -> None:
        """Have nobody look at it any more; unless it was over, it has failed. The same may be raised."""

    async def trace(self, job_id: JobId, step: str) -> Trace | None:
        """What is known of a step."""

    async def artifact(self, job_id: JobId, artifact_id: str) -> ArtifactRef | None:
        """An artifact that was kept."""

    async def artifact_bytes(self, job_id: JobId, ref: ArtifactRef) -> bytes | None:
        """Its bytes; None when a piece is gone."""

    async def owned_by(self, owner: UserId, *, before_ms: int | None) -> list[Job]:
        """At most JOBS_PAGE_MAX of the owner's jobs, newest first, of those asked for before a moment."""

    async def abandoned(self, now_ms: int, *, count_max: int) -> list[DueJob]:
        """Jobs that are due to be looked at, those due longest first, whatever their documents are."""

    async def events(self, job_id: JobId, *, after: int, count_max: int) -> list[Event]:
        """Events behind number `after`, in order."""

    async def traces(self, job_id: JobId, *, count_max: int) -> list[Trace]:
        """Steps, in the order in which they were begun."""


class FirestoreJobs:
    """The same in Firestore."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client
        self._jobs = client.collection("jobs")

    async def create(self, job: Job) -> KeptJob:
        try:
            result = await self._jobs.document(job.job_id).create(job_document(job), retry=None, timeout=TIMEOUT_S)
        except google_errors.AlreadyExists:
            raise JobExists from None
        except google_errors.GoogleAPICallError as error:
            raise JobsUnavailable from error
        return KeptJob(job, Version(result.update_time))

    async def find(self, job_id: JobId) -> KeptJob | None:
        try:
            found = await self._jobs.document(job_id).get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise JobsUnavailable from error
        return _kept(found)

    async def write(self, kept: KeptJob, job: Job, changes: Sequence[Change] = ()) -> KeptJob:
        unchanged = self._client.write_option(last_update_time=kept.version)
        batch = self._client.batch()
        batch.update(self._jobs.document(job.job_id), job_document(job), option=unchanged)
        for change in changes:
            ref = self._client.document(change.path)
            if isinstance(change, Delete):
                batch.delete(ref)
                continue
            fields = {**change.fields, "delete_at": moment(job.delete_at_ms)}
            if change.is_new:
                batch.create(ref, fields)
            else:
                batch.set(ref, fields)
        return KeptJob(job, await _committed(batch, timeout_s=BYTES_TIMEOUT_S if changes else TIMEOUT_S))

    async def put_off(self, due: DueJob, *, due_ms: int) -> None:
        await self._update(due, {"look_due_ms": due_ms, "looks_failed": due.looks_failed + 1})

    async def put_aside(self, due: DueJob, failure: Failure, *, at_ms: int) -> None:
        fields: dict[str, Any] = {"look_due_ms": None}
        if due.kept is None or not due.kept.job.is_over:
            fields |= {"state": JobState.FAILED.value, "failure": to_builtins(failure), "ended_at_ms": at_ms}
            fields |= {"pause": None, "approval": None}
        await self._update(due, fields)

    async def _update(self, due: DueJob, fields: dict[str, Any]) -> None:
        batch = self._client.batch()
        unchanged = self._client.write_option(last_update_time=due.version)
        batch.update(self._jobs.document(due.job_id), fields, option=unchanged)
        await _committed(batch, timeout_s=TIMEOUT_S)

    async def trace(self, job_id: JobId, step: str) -> Trace | None:
        ref = self._jobs.document(job_id).collection("steps").document(step_id(step))
        try:
            found = await ref.get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise JobsUnavailable from error
        return trace_from(found.to_dict() or {}) if found.exists else None

    async def artifact(self, job_id: JobId, artifact_id: str) -> ArtifactRef | None:
        ref = self._jobs.document(job_id).collection("artifacts").document(artifact_id)
        try:
            found = await ref.get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise JobsUnavailable from error
        if not found.exists:
            return None
        fields = found.to_dict() or {}
        return ArtifactRef(artifact_id, fields["name"], fields["media_type"], fields["size_bytes"])

    async def artifact_bytes(self, job_id: JobId, ref: ArtifactRef) -> bytes | None:
        chunks = self._jobs.document(job_id).collection("chunks")
        refs = [chunks.document(f"{ref.artifact_id}-{number}") for number in range(pieces_of(ref.size_bytes))]
        pieces: dict[str, bytes] = {}
        try:
            async for found in self._client.get_all(refs, retry=None, timeout=BYTES_TIMEOUT_S):
                if found.exists:
                    pieces[found.id] = found.get("data")
        except google_errors.GoogleAPICallError as error:
            raise JobsUnavailable from error
        return b"".join(pieces[one.id] for one in refs) if len(pieces) == len(refs) else None

    async def owned_by(self, owner: UserId, *, before_ms: int | None) -> list[Job]:
        # Those that paint have another field for when they were asked for, and are not found here.
        query = self._jobs.where(filter=FieldFilter("owner", "==", owner))
        query = query.order_by("created_at_ms", direction="DESCENDING").limit(JOBS_PAGE_MAX)
        if before_ms is not None:
            query = query.where(filter=FieldFilter("created_at_ms", "<", before_ms))
        # One that is broken keeps nobody from the others; the sweep puts it aside.
        return [due.kept.job for due in await self._found(query) if due.kept is not None]

    async def abandoned(self, now_ms: int, *, count_max: int) -> list[DueJob]:
        query = self._jobs.where(filter=FieldFilter("look_due_ms", "<=", now_ms)).order_by("look_due_ms")
        return await self._found(query.limit(count_max))

    async def events(self, job_id: JobId, *, after: int, count_max: int) -> list[Event]:
        events = self._jobs.document(job_id).collection("events")
        query = events.where(filter=FieldFilter("seq", ">", after)).order_by("seq").limit(count_max)
        try:
            return [
                Event(**{name: (one.to_dict() or {})[name] for name in Event.__struct_fields__})
                async for one in query.stream(retry=None, timeout=TIMEOUT_S)
            ]
        except google_errors.GoogleAPICallError as error:
            raise JobsUnavailable from error

    async def traces(self, job_id: JobId, *, count_max: int) -> list[Trace]:
        query = self._jobs.document(job_id).collection("steps").order_by("begun_at_ms").limit(count_max)
        try:
            found = query.stream(retry=None, timeout=TIMEOUT_S)
            return [trace_from(one.to_dict() or {}) async for one in found]
        except google_errors.GoogleAPICallError as error:
            raise JobsUnavailable from error

    async def _found(self, query: firestore.AsyncQuery) -> list[DueJob]:
        try:
            found = [_due(one) async for one in query.stream(retry=None, timeout=TIMEOUT_S)]
        except google_errors.GoogleAPICallError as error:
            raise JobsUnavailable from error
        return [due for due in found if due is not None]


def pieces_of(size_bytes: int) -> int:
    """How many documents hold so many bytes."""
    return max(1, -(-size_bytes // CHUNK_BYTES))


async def _committed(batch: firestore.AsyncWriteBatch, *, timeout_s: float) -> Version:
    """The version that the first write of a batch made. Raise JobChanged, JobUnwritable or JobsUnavailable."""
    try:
        results = await batch.commit(retry=None, timeout=timeout_s)
    except google_errors.Aborted as error:
        raise JobsUnavailable from error
    except (google_errors.FailedPrecondition, google_errors.NotFound, google_errors.Conflict):
        raise JobChanged from None
    except google_errors.InvalidArgument as error:
        raise JobUnwritable from error
    except google_errors.GoogleAPICallError as error:
        raise JobsUnavailable from error
    return Version(results[0].update_time)


def _due(found: Any) -> DueJob | None:
    """None for a job that paints."""
    try:
        kept = _kept(found)
    except JobBroken as broken:
        write_line("ERROR", "job_broken", job=found.id, fault=type(broken.__cause__).__name__)
        kept = None
    else:
        if kept is None:
            return None
    fields = found.to_dict()
    account, looks_failed = fields.get("account"), fields.get("looks_failed")
    return DueJob(
        job_id=JobId(found.id),
        version=Version(found.update_time),
        kept=kept,
        account_id=AccountId(account) if isinstance(account, str) else None,
        holds=tuple(HoldId(hold_id) for hold_id in holds_in(fields)),
        looks_failed=looks_failed if isinstance(looks_failed, int) else 0,
    )


def _kept(found: Any) -> KeptJob | None:
    """None for what is not there, and for a job that paints. Raise JobBroken."""
    fields = found.to_dict()
    if fields is None or fields.get("engine") != ENGINE:
        return None
    return KeptJob(job_from(JobId(found.id), fields), Version(found.update_time))
