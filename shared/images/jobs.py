"""Pictures that are asked for now and painted later: the asking.

What runs them is in `run.py`, what reads them in `reader.py`, so that neither loads what only the other needs.
"""

import secrets

from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.economy import IMAGE_JOB_HOLD_LIFETIME_MS, IMAGE_JOB_KEPT_MS, IMAGE_JOB_LIFETIME_MS
from shared.base.errors import CredenceError
from shared.base.ids import HoldId, UserId
from shared.base.log import write_line
from shared.calls.models import Asking
from shared.calls.service import Calls, give_back
from shared.images import job_rules, rules
from shared.images.job_models import IMAGE_RUN, Failure, ImageJob, ImageRun, JobId, JobState
from shared.images.models import ImageRequest
from shared.images.service import Images
from shared.images.store import ImageJobStore, JobChanged, KeptJob
from shared.metering.service import MeteredCall
from shared.tasks.service import Tasks

END_MARGIN_MS = 10_000
"""The clocks of the queue and of whoever ends a job differ by less, so its time is over when it is asked."""


class ImageJobs:
    """Takes jobs on."""

    def __init__(self, images: Images, calls: Calls, store: ImageJobStore, tasks: Tasks, clock: Clock) -> None:
        self._images = images
        self._calls = calls
        self._store = store
        self._tasks = tasks
        self._clock = clock

    async def accept(self, asking: Asking, owner: UserId, request: ImageRequest) -> ImageJob:
        """A job whose worst case is held. Raise what `Images.answer` does before it asks a provider,
        JobsUnavailable or TasksUnavailable; then nothing will be charged.
        """
        model, price = await self._images.checked(asking, request)
        job_rules.check(request, model)
        self._calls.check(asking, model, job_rules.needs_of(model, request))
        quote = rules.quote_of(request, model, price)
        call = await self._calls.hold(asking, model, quote, lifetime_ms=IMAGE_JOB_HOLD_LIFETIME_MS)
        created_at_ms = self._clock()
        job = ImageJob(
            job_id=JobId("imgjob_" + secrets.token_hex(16)),
            owner=owner,
            lenders=tuple(sorted(asking.payers - {owner})),
            account_id=asking.account_id,
            hold_id=HoldId(asking.request_id),
            model_id=model.id,
            request=request,
            quote=call.quote,
            preference=asking.preference,
            asked=rules.images_max(request),
            created_at_ms=created_at_ms,
            expires_at_ms=created_at_ms + IMAGE_JOB_LIFETIME_MS,
            delete_at_ms=created_at_ms + IMAGE_JOB_KEPT_MS,
        )
        await self._begin(job, call)
        write_line("INFO", "job_accepted", job=job.job_id, account=job.account_id, held_micros=job.quote.amount_micros)
        return job

    async def _begin(self, job: ImageJob, call: MeteredCall) -> None:
        """If we die in here, the hold expires by itself, and what there is of the job ends as expired."""
        run = ImageRun(job_id=job.job_id)
        try:
            # The end comes first: from here on no job stays open for ever, whatever becomes of us.
            end_ms = job.expires_at_ms + END_MARGIN_MS
            await self._tasks.post(IMAGE_RUN, run, name_key=f"{job.job_id}:end", at_ms=end_ms)
            kept = await self._store.create(job)
        except BaseException:
            # Should the job be there all the same, nothing will run it before its end.
            await give_back(call)
            raise
        try:
            await self._tasks.post(IMAGE_RUN, run, name_key=f"{job.job_id}:run")
        except BaseException:
            await self._withdraw(kept, call)
            raise

    async def _withdraw(self, kept: KeptJob, call: MeteredCall) -> None:
        """End a job whose task may have been posted, before its hold is given back: else it might run without one."""
        failure = Failure("tasks_unavailable", "The work could not be queued. Nothing was charged.")
        try:
            await self._store.replace(kept, replace(kept.job, state=JobState.FAILED, failure=failure))
        except (JobChanged, CredenceError):
            # It runs already, or will be found at its end. Its hold stays with it.
            return
        await give_back(call)
