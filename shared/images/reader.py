"""Jobs that paint, and their pictures, as their owners ask for them."""

from shared.base.clock import Clock
from shared.images import job_rules
from shared.images.job_errors import JobAbsent
from shared.images.job_models import ImageJob, JobId, JobState
from shared.images.store import ImageJobStore


class ImageJobReader:
    """Reads jobs."""

    def __init__(self, store: ImageJobStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def read(self, job_id: JobId, *, account_id: str, uid: str | None) -> tuple[ImageJob, tuple[bytes, ...]]:
        """The job, and its pictures once it has succeeded.

        Raise JobAbsent for one of somebody else's or one that was deleted, or JobsUnavailable.
        """
        kept = await self._store.find(job_id)
        # Firestore's own deletion may come a day late.
        if kept is None or not job_rules.was_asked_by(kept.job, account_id, uid) or self._is_gone(kept.job):
            raise JobAbsent
        if kept.job.state is not JobState.SUCCEEDED:
            return kept.job, ()
        contents = [await self._store.picture(job_id, picture) for picture in kept.job.pictures]
        if None in contents:
            raise JobAbsent
        return kept.job, tuple(content for content in contents if content is not None)

    def _is_gone(self, job: ImageJob) -> bool:
        return job.delete_at_ms <= self._clock()
