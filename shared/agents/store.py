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
from msgspec import Struct

from shared.agents.commits import Change, Delete
from shared.agents.desk import ArtifactRef
from shared.agents.documents import ENGINE, job_document, job_from, moment, trace_from
from shared.agents.errors import JobsUnavailable
from shared.agents.limits import CHUNK_BYTES, JOBS_PAGE_MAX
from shared.agents.models import Event, Job, JobId, Trace
from shared.agents.rules import step_id
from shared.base.ids import UserId

TIMEOUT_S = 5.0
BYTES_TIMEOUT_S = 20.0

Version = NewType("Version", object)
"""Opaque: names one state of one job."""


class JobExists(Exception):
    """There is a job of this id already."""


class JobChanged(Exception):
    """The job is no longer what was read, or a document that was to be new is there."""


class KeptJob(Struct, frozen=True):
    """A job as it was read or written, with the version that a later write must still find."""

    job: Job
    version: Version


class JobStore(Protocol):
    """What jobs ask of a store. All raise JobsUnavailable; then a write may or may not have been made."""

    async def create(self, job: Job) -> KeptJob:
        """Durable once returned. Raise JobExists."""

    async def find(self, job_id: JobId) -> KeptJob | None:
        """The job as it stands now."""

    async def write(self, kept: KeptJob, job: Job, changes: Sequence[Change] = ()) -> KeptJob:
        """Write over exactly what was read, and make the changes with it, all or none. Durable once returned. Raise
        JobChanged.
        """

    async def trace(self, job_id: JobId, step: str) -> Trace | None:
        """What is known of a step."""

    async def artifact(self, job_id: JobId, artifact_id: str) -> ArtifactRef | None:
        """An artifact that was kept."""

    async def artifact_bytes(self, job_id: JobId, ref: ArtifactRef) -> bytes | None:
        """Its bytes; None when a piece is gone."""

    async def owned_by(self, owner: UserId, *, before_ms: int | None) -> list[Job]:
        """At most JOBS_PAGE_MAX of the owner's jobs, newest first, of those asked for before a moment."""

    async def abandoned(self, now_ms: int, *, count_max: int) -> list[KeptJob]:
        """Jobs that are due to be looked at, those due longest first."""

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
        try:
            results = await batch.commit(retry=None, timeout=BYTES_TIMEOUT_S if changes else TIMEOUT_S)
        except google_errors.Aborted as error:
            raise JobsUnavailable from error
        except (google_errors.FailedPrecondition, google_errors.NotFound, google_errors.Conflict):
            raise JobChanged from None
        except google_errors.InvalidArgument:
            # A defect of what was to be written, which no repeat mends.
            raise
        except google_errors.GoogleAPICallError as error:
            raise JobsUnavailable from error
        return KeptJob(job, Version(results[0].update_time))

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
        return [kept.job for kept in await self._found(query)]

    async def abandoned(self, now_ms: int, *, count_max: int) -> list[KeptJob]:
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

    async def _found(self, query: firestore.AsyncQuery) -> list[KeptJob]:
        try:
            found = [_kept(one) async for one in query.stream(retry=None, timeout=TIMEOUT_S)]
        except google_errors.GoogleAPICallError as error:
            raise JobsUnavailable from error
        return [kept for kept in found if kept is not None]


def pieces_of(size_bytes: int) -> int:
    """How many documents hold so many bytes."""
    return max(1, -(-size_bytes // CHUNK_BYTES))


def _kept(found: Any) -> KeptJob | None:
    """None for what is not there, and for a job that paints."""
    fields = found.to_dict()
    if fields is None or fields.get("engine") != ENGINE:
        return None
    return KeptJob(job_from(JobId(found.id), fields), Version(found.update_time))
