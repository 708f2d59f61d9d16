"""Works at jobs that paint. A task may come twice, late, or beside another one that was given up: each step is taken
once, because each is written over exactly the one before it, and the charge because its hold is captured once.
"""

from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.errors import CredenceError
from shared.base.log import write_line
from shared.base.units import Unit
from shared.calls.service import Calls
from shared.catalog.models import Modality
from shared.catalog.service import Catalog
from shared.images import job_rules
from shared.images.claim import Claim
from shared.images.job_errors import JobBusy
from shared.images.job_models import Failure, ImageJob, JobId, JobState, PictureCharge
from shared.images.painter import Painter
from shared.images.store import ImageJobStore, JobChanged, KeptJob
from shared.metering.models import Charge, Usage, UsageSource
from shared.metering.service import LentBefore, MeteredCall

_TOO_LATE = Failure("job_expired", "The pictures were not made in time. Nothing was charged.")
_TOO_OFTEN = Failure("job_failed", "The pictures could not be made. Nothing was charged.")


class ImageJobRunner:
    """Brings jobs to their end."""

    def __init__(self, catalog: Catalog, calls: Calls, painter: Painter, store: ImageJobStore, clock: Clock) -> None:
        self._catalog = catalog
        self._calls = calls
        self._painter = painter
        self._store = store
        self._clock = clock

    async def run(self, job_id: JobId) -> None:
        """Take the job as far as it goes. Raise what makes it worth coming again: JobBusy, JobsUnavailable,
        LedgerUnavailable, or a provider's trouble that may pass.
        """
        kept = await self._store.find(job_id)
        if kept is None:
            # Its acceptance ended between posting this and writing it; the client was told so.
            return
        job = kept.job
        if job.state is JobState.SUCCEEDED:
            return
        if job.is_over:
            # Whoever ended it may have died before this; a hold that is gone already is no matter.
            await self._call(job).release()
        elif job.is_delivered:
            await self._charge(kept)
        else:
            claim = await Claim.begin(self._store, kept, self._clock)
            await self._finish(claim, await claim.during(self._paint(claim)))

    async def _paint(self, claim: Claim) -> Failure | None:
        """As many of the pictures as can be had, and why there are no more. Raise what may go better the next time."""
        try:
            await self._catalog.refresh()
            model, _ = self._catalog.model_for(claim.job.model_id, {Modality.IMAGE}, {Unit.IMAGE}, "images")
            while len(claim.job.pictures) < claim.job.asked:
                if self._clock() >= claim.job.expires_at_ms:
                    return _TOO_LATE
                if claim.job.runs > job_rules.RUNS_MAX:
                    return _TOO_OFTEN
                await self._painter.paint(claim, model)
        except JobBusy:
            raise
        except CredenceError as error:
            if job_rules.may_pass(error, claim.job):
                await claim.write(keeps=False)
                raise
            return Failure(error.code, error.message)
        return None

    async def _finish(self, claim: Claim, failure: Failure | None) -> None:
        """Charge what there is. If we die after the first write, the next run does only that."""
        if claim.job.pictures:
            await self._charge(await claim.write(is_delivered=True, preview=None))
        else:
            await self._end(claim, failure or _TOO_OFTEN)

    async def _charge(self, kept: KeptJob) -> None:
        """Capture the hold and show the pictures. Both may be done by several at once, and by none but the first."""
        job = kept.job
        try:
            charges = [await self._collect(job, charge) for charge in job_rules.charges_of(job)]
        except CredenceError as error:
            if error.kind.passes:
                raise
            await self._end(Claim(self._store, kept, self._clock), Failure(error.code, error.message))
            return
        # If we die here or between two of them, the next run is answered with the same charges.
        receipts = tuple(charge.entry_id for charge in charges if charge.entry_id is not None)
        done = replace(
            job,
            state=JobState.SUCCEEDED,
            percent=100,
            lease_until_ms=0,
            charged_micros=sum(charge.amount_micros for charge in charges),
            receipt_id=charges[-1].entry_id,
            receipt_ids=receipts,
        )
        try:
            await self._store.replace(kept, done)
        except JobChanged:
            # Somebody else came this far; if it was anything else, the next delivery goes on from there.
            raise JobBusy from None
        write_line("INFO", "job_succeeded", job=job.job_id, pictures=len(job.pictures), runs=job.runs)

    async def _collect(self, job: ImageJob, charge: PictureCharge) -> Charge:
        call = self._calls.resume(job.account_id, charge.hold_id, charge.quote)
        call.lent = LentBefore(charge.shares)
        return await call.collect(Usage({Unit.IMAGE: charge.images}, UsageSource.REPORTED), charge.facts)

    async def _end(self, claim: Claim, failure: Failure) -> None:
        """Say why, then give the hold back. If we die between, it is given back by the next run, or expires."""
        state = JobState.EXPIRED if failure is _TOO_LATE else JobState.FAILED
        await claim.write(keeps=False, state=state, failure=failure, preview=None)
        write_line("WARNING", "job_ended", job=claim.job.job_id, state=state.value, code=failure.code)
        await self._call(claim.job).release()

    def _call(self, job: ImageJob) -> MeteredCall:
        return self._calls.resume(job.account_id, job.hold_id, job.quote)
