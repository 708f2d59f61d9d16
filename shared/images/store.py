"""Where jobs that paint are kept, and their pictures, which are too large for one document.

`jobs/{job}` is a job; its owner reads it live under `firestore.rules`. `jobs/{job}/chunks/{picture}-{number}` is a
piece of a picture, which its owner may read once the job has succeeded, or at once if it is a preview. Firestore
deletes both after `delete_at`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NewType, Protocol

import msgspec
from google.api_core import exceptions as google_errors
from google.cloud import firestore
from msgspec import Struct, to_builtins

from shared.base.body import shape
from shared.images.job_errors import JobsUnavailable
from shared.images.job_models import ImageJob, JobId, Picture
from shared.images.job_rules import request_json
from shared.images.models import ImageRequest

TIMEOUT_S = 5.0
CHUNK_TIMEOUT_S = 20.0
CHUNK_BYTES = 900_000
"""A document has a mebibyte at most, with its name and other fields."""
KIND = "image"

Version = NewType("Version", object)
"""Opaque: names one state of one job."""


class JobChanged(Exception):
    """The job is no longer what was read."""


class KeptJob(Struct, frozen=True):
    """A job as it was read or written, with the version that a later write must still find."""

    job: ImageJob
    version: Version


class ImageJobStore(Protocol):
    """What jobs ask of a store. All raise JobsUnavailable; then a write may or may not have been made."""

    async def create(self, job: ImageJob) -> KeptJob:
        """Durable once returned."""

    async def find(self, job_id: JobId) -> KeptJob | None:
        """The job as it stands now."""

    async def replace(self, kept: KeptJob, job: ImageJob) -> KeptJob:
        """Write over exactly what was read. Durable once returned. Raise JobChanged."""

    async def put_picture(self, job: ImageJob, picture: Picture, content: bytes, *, is_preview: bool) -> None:
        """Keep a picture's bytes under its name. Durable once returned; a repeat changes nothing."""

    async def picture(self, job_id: JobId, picture: Picture) -> bytes | None:
        """The bytes; None when a piece is gone."""


class FirestoreImageJobs:
    """The same in Firestore."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client
        self._jobs = client.collection("jobs")

    async def create(self, job: ImageJob) -> KeptJob:
        try:
            result = await self._jobs.document(job.job_id).create(job_document(job), retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise JobsUnavailable from error
        return KeptJob(job, Version(result.update_time))

    async def find(self, job_id: JobId) -> KeptJob | None:
        try:
            found = await self._jobs.document(job_id).get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise JobsUnavailable from error
        fields = found.to_dict()
        if fields is None or fields.get("kind") != KIND:
            return None
        return KeptJob(job_from(job_id, fields), Version(found.update_time))

    async def replace(self, kept: KeptJob, job: ImageJob) -> KeptJob:
        unchanged = self._client.write_option(last_update_time=kept.version)
        batch = self._client.batch()
        batch.update(self._jobs.document(job.job_id), job_document(job), option=unchanged)
        try:
            [result] = await batch.commit(retry=None, timeout=TIMEOUT_S)
        except (google_errors.FailedPrecondition, google_errors.NotFound):
            raise JobChanged from None
        except google_errors.GoogleAPICallError as error:
            raise JobsUnavailable from error
        return KeptJob(job, Version(result.update_time))

    async def put_picture(self, job: ImageJob, picture: Picture, content: bytes, *, is_preview: bool) -> None:
        chunks = self._jobs.document(job.job_id).collection("chunks")
        for number in range(picture.chunks):
            piece = content[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES]
            fields = {"data": piece, "preview": is_preview, "delete_at": _moment(job.delete_at_ms)}
            try:
                await chunks.document(f"{picture.name}-{number}").set(fields, retry=None, timeout=CHUNK_TIMEOUT_S)
            except google_errors.GoogleAPICallError as error:
                raise JobsUnavailable from error

    async def picture(self, job_id: JobId, picture: Picture) -> bytes | None:
        chunks = self._jobs.document(job_id).collection("chunks")
        refs = [chunks.document(f"{picture.name}-{number}") for number in range(picture.chunks)]
        pieces: dict[str, bytes] = {}
        try:
            async for found in self._client.get_all(refs, retry=None, timeout=CHUNK_TIMEOUT_S):
                if found.exists:
                    pieces[found.id] = found.get("data")
        except google_errors.GoogleAPICallError as error:
            raise JobsUnavailable from error
        content = b"".join(pieces[ref.id] for ref in refs if ref.id in pieces)
        return content if len(pieces) == len(refs) else None


def chunks_of(content: bytes) -> int:
    """How many documents hold so many bytes."""
    return max(1, -(-len(content) // CHUNK_BYTES))


def job_document(job: ImageJob) -> dict[str, Any]:
    """The document's fields. What clients need not read, and Firestore could not hold as it is, is text in `work`."""
    work = {
        "request": msgspec.Raw(request_json(job.request)),
        "quote": job.quote,
        "preference": job.preference,
        "facts": job.facts,
        "hold_id": job.hold_id,
        "lenders": job.lenders,
        "lent": job.lent,
        "receipt_ids": job.receipt_ids,
    }
    return {
        "kind": KIND,
        "owner": job.owner,
        "account": job.account_id,
        "model": job.model_id,
        "state": job.state.value,
        "percent": job.percent,
        "asked": job.asked,
        "pictures": [to_builtins(picture) for picture in job.pictures],
        "preview": None if job.preview is None else to_builtins(job.preview),
        "charged_micros": job.charged_micros,
        "receipt_id": job.receipt_id,
        "failure": None if job.failure is None else to_builtins(job.failure),
        "created_at": _moment(job.created_at_ms),
        "expires_at": _moment(job.expires_at_ms),
        "delete_at": _moment(job.delete_at_ms),
        "runs": job.runs,
        "lease_until_ms": job.lease_until_ms,
        "is_delivered": job.is_delivered,
        "work": msgspec.json.encode(work).decode(),
    }


def job_from(job_id: JobId, fields: Mapping[str, Any]) -> ImageJob:
    """The job of a document."""
    work = msgspec.json.decode(fields["work"])
    same = ("owner", "state", "percent", "asked", "pictures", "preview", "charged_micros", "receipt_id", "failure")
    return msgspec.convert(
        {
            **{name: fields[name] for name in (*same, "runs", "lease_until_ms", "is_delivered")},
            **{name: value for name, value in work.items() if name != "request"},
            "job_id": job_id,
            "account_id": fields["account"],
            "model_id": fields["model"],
            "request": to_builtins(shape(ImageRequest, work["request"])),
            **{
                f"{name}_ms": round(fields[name].timestamp() * 1_000)
                for name in ("created_at", "expires_at", "delete_at")
            },
        },
        ImageJob,
    )


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1_000, UTC)
