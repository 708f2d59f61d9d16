"""Takes jobs on: checks them, writes them down once, has them worked at. Only this half needs the catalog."""

from collections.abc import Mapping
from typing import Any

from shared.agents import rules
from shared.agents.limits import JOB_KEPT_MS, LOOK_AFTER_MS
from shared.agents.models import JOB_STEP, Job, JobState, JobTask
from shared.agents.registry import Kinds, kind_of, params_of
from shared.agents.sales import check_orders
from shared.agents.store import JobExists, JobStore
from shared.base.clock import Clock
from shared.base.ids import UserId
from shared.base.log import write_line
from shared.calls.models import Asking
from shared.catalog.allowed import check_allowed
from shared.catalog.service import Catalog
from shared.ledger.errors import KeyReused
from shared.tasks.service import Tasks


class JobStarts:
    """Looks whether a job can be done, writes it down and has it worked at."""

    def __init__(
        self, store: JobStore, tasks: Tasks, catalog: Catalog, clock: Clock, *, kinds: Kinds = kind_of
    ) -> None:
        self._store = store
        self._tasks = tasks
        self._catalog = catalog
        self._clock = clock
        self._kind_of = kinds

    async def start(
        self,
        asking: Asking,
        owner: UserId,
        *,
        kind: str,
        params: Mapping[str, Any],
        model_id: str,
        ceiling_micros: int,
        key: str,
    ) -> Job:
        """A job that will be worked at. One for each key: a repeat answers with it, however far it is.

        Raise JobInvalid, what the catalog says of the model, KeyReused, JobsUnavailable or TasksUnavailable.
        """
        chosen = self._kind_of(kind)
        asked = params_of(chosen, dict(params))
        rules.check_request(params, ceiling_micros)
        await self._catalog.refresh()
        model, _ = self._catalog.chat_model(model_id)
        check_allowed(model, asking.models_allowed)
        check_orders(self._catalog, asking.models_allowed, chosen.orders(asked))
        now_ms = self._clock()
        job = Job(
            job_id=rules.job_id_of(asking.account_id, key),
            owner=owner,
            lenders=tuple(sorted(asking.payers - {owner})),
            account_id=asking.account_id,
            kind=kind,
            params=params,
            model_id=model.id,
            models_allowed=None if asking.models_allowed is None else tuple(sorted(asking.models_allowed)),
            preference=asking.preference,
            request_hash=rules.request_hash(kind, params, model.id, ceiling_micros),
            created_at_ms=now_ms,
            delete_at_ms=now_ms + JOB_KEPT_MS,
            look_due_ms=now_ms + LOOK_AFTER_MS,
            steps_expected=chosen.steps_expected(asked),
            ceiling_micros=ceiling_micros,
        )
        try:
            kept = await self._store.create(job)
        except JobExists:
            found = await self._store.find(job.job_id)
            if found is None or found.job.request_hash != job.request_hash:
                raise KeyReused from None
            kept = found
        # If we die here, the repeat posts the same task, and without one the sweep does.
        if kept.job.state is JobState.QUEUED:
            task = JobTask(job_id=job.job_id, leg=kept.job.leg)
            await self._tasks.post(JOB_STEP, task, name_key=f"{job.job_id}:{kept.job.leg}:start")
        write_line("INFO", "job_started", job=job.job_id, account=job.account_id, kind=kind)
        return kept.job
