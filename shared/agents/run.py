"""Works at jobs. Loaded by the one function that does, for it loads LangGraph.

A task may come twice, late, or beside another that was given up: who has the lease works, and whoever lost it finds out
at the next write. A job's graph goes on from its last checkpoint, in which everything a finished step did is kept.
"""

import time
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from google.cloud import firestore
from langgraph.channels import LastValue
from langgraph.errors import GraphDrained
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import RunControl
from langgraph.types import Command, Interrupt
from msgspec import Struct, to_builtins

from shared.agents import rules
from shared.agents.desk import NotYet
from shared.agents.ending import Ending
from shared.agents.errors import BudgetReached, CancelAsked, CardStopped, JobBusy, JobsUnavailable, JobTaken
from shared.agents.limits import (
    APPROVAL_CHARS_MAX,
    AT_REST_MS_MAX,
    LEASE_MS,
    LEG_MS_MAX,
    LEG_S_MAX,
    RESULT_BYTES_MAX,
    STEPS_PER_LEG_MAX,
    TAKES_IDLE_MAX,
)
from shared.agents.models import AT_REST, JOB_STEP, Approval, Failure, Job, JobId, JobState, JobTask, Pause
from shared.agents.registry import Kinds, kind_of, params_of
from shared.agents.saver import FirestoreSaver
from shared.agents.store import JobStore
from shared.agents.tenure import Decide, Note, Tenure
from shared.agents.workbench import Trade, Workbench
from shared.base.clock import Clock
from shared.base.errors import CredenceError
from shared.base.log import write_line
from shared.tasks.service import Tasks

_TOO_OFTEN = Failure("job_stuck", "The work ended its process too often. What was charged is in the job's steps.")
_TOO_LONG = Failure("too_many_steps", "The work took more steps than a job of this kind may.")
_TOO_OLD = Failure("job_expired", "The job is about to be deleted, and was not done by then.")
_DEFECT = Failure("step_failed", "A step could not be done. What was charged is in the job's steps.")
_INTERRUPT = "__interrupt__"

Graph = CompiledStateGraph[Any, Any, Any, Any]


class Pace(Struct, frozen=True):
    """How long a lease and a leg are. Tests have shorter ones."""

    lease_ms: int = LEASE_MS
    steps_per_leg_max: int = STEPS_PER_LEG_MAX
    leg_s_max: float = LEG_S_MAX


class _Finished(Struct, frozen=True):
    result: Mapping[str, Any]


class _Unfinished(Struct, frozen=True):
    """The leg is over, and the job is not."""


class _Covered(Exception):
    """What a job was about to wait for is there: its owner raised the ceiling meanwhile."""


class JobRunner:
    """Brings jobs to their end, leg by leg."""

    def __init__(
        self,
        client: firestore.AsyncClient,
        store: JobStore,
        trade: Trade,
        tasks: Tasks,
        ending: Ending,
        clock: Clock,
        *,
        pace: Pace,
        kinds: Kinds = kind_of,
    ) -> None:
        self._client = client
        self._store = store
        self._trade = trade
        self._tasks = tasks
        self._ending = ending
        self._clock = clock
        self._pace = pace
        self._kind_of = kinds

    async def run(self, task: JobTask) -> None:
        """Work at one leg. Raise what makes it worth coming again: JobBusy, JobsUnavailable, TasksUnavailable."""
        kept = await self._store.find(JobId(task.job_id))
        if kept is None:
            return
        job = kept.job
        if job.is_over:
            # Whoever ended it may have died before this.
            await self._ending.give_back(kept)
            return
        if task.leg < job.leg or (job.state in AT_REST and job.cancel_asked_at_ms is None):
            return
        tenure = await Tenure.begin(self._store, kept, self._clock, lease_ms=self._pace.lease_ms, leg=task.leg)
        write_line("INFO", "job_taken", job=job.job_id, leg=task.leg, lease=tenure.job.lease_number)
        try:
            await self._work(tenure)
        except JobTaken:
            raise JobBusy from None

    async def _work(self, tenure: Tenure) -> None:
        try:
            graph = self._graph(tenure)
            if tenure.job.takes_idle > TAKES_IDLE_MAX:
                await self._ending.fail(tenure, _TOO_OFTEN)
                return
            if tenure.job.delete_at_ms <= self._clock() + LEG_MS_MAX:
                await self._ending.fail(tenure, _TOO_OLD)
                return
            tenure.check_cancel()
            outcome = await tenure.during(self._walk(tenure, graph))
        except NotYet as later:
            await self._wait(tenure, later)
        except CancelAsked:
            await self._cancel(tenure, self._graph(tenure))
        except BudgetReached as reached:
            await self._pause(tenure, Pause(reached.needed_micros, reached.limit), reached.message)
        except CardStopped as stopped:
            await self._pause(tenure, Pause(0, "card"), stopped.message)
        except JobTaken:
            raise
        except Exception as error:  # noqa: BLE001 - what a node raises decides over its job, whatever it is
            await self._after_error(tenure, error)
        else:
            await self._after(tenure, outcome)

    def _graph(self, tenure: Tenure) -> Graph:
        desk = Workbench(tenure, self._store, self._trade, self._clock)
        return self._kind_of(tenure.job.kind).graph(desk).compile(checkpointer=FirestoreSaver(self._client, tenure))

    async def _walk(self, tenure: Tenure, graph: Graph) -> _Finished | _Unfinished | Interrupt:
        """Steps until the leg or the graph is over."""
        job, kind = tenure.job, self._kind_of(tenure.job.kind)
        config: Any = {"configurable": {"thread_id": job.job_id}, "recursion_limit": kind.steps_max}
        given = await self._given(job, graph, config)
        control, ends_s = RunControl(), time.monotonic() + self._pace.leg_s_max
        asked: Interrupt | None = None
        try:
            running: Any = graph.astream(given, config, stream_mode="updates", durability="sync", control=control)
            # Closed at once when we leave in the middle, so that nothing of it goes on beside what comes next.
            async with aclosing(running) as updates:
                async for update in updates:
                    tenure.check_cancel()
                    if found := update.get(_INTERRUPT):
                        asked = found[0]
                    if self._is_enough(tenure.job.steps_done + 1 - job.steps_done) or time.monotonic() > ends_s:
                        control.request_drain("the leg is over")
        except GraphDrained:
            return _Unfinished()
        if asked is not None:
            return asked
        state = await graph.aget_state(config)
        return _Finished(state.values.get("result") or {})

    def _is_enough(self, steps: int) -> bool:
        return steps >= self._pace.steps_per_leg_max

    async def _given(self, job: Job, graph: Graph, config: Any) -> Any:
        """What the graph goes on from: its first state, what its owner has answered, or its last checkpoint.

        The first state again, where there is a checkpoint, would begin the job anew.
        """
        saved = await graph.checkpointer.aget_tuple(config)  # type: ignore[union-attr]
        if saved is None:
            kind = self._kind_of(job.kind)
            return kind.first_state(params_of(kind, dict(job.params)))
        pending = [value for _, channel, value in saved.pending_writes or [] if channel == _INTERRUPT]
        asked = [one.id for value in pending for one in value]
        answers = {interrupt_id: job.approvals[interrupt_id] for interrupt_id in asked if interrupt_id in job.approvals}
        return Command(resume=answers) if answers else None

    async def _after(self, tenure: Tenure, outcome: _Finished | _Unfinished | Interrupt) -> None:
        job = tenure.job
        if isinstance(outcome, _Finished):
            await self._succeed(tenure, outcome)
        elif isinstance(outcome, Interrupt):
            question = str(outcome.value)[:APPROVAL_CHARS_MAX]
            await self._rest(
                tenure,
                lambda job: {"state": JobState.WAITING, "approval": Approval(outcome.id, question)},
                ("approval_needed", question, {"interrupt_id": outcome.id}),
            )
        elif job.steps_done > self._kind_of(job.kind).steps_max:
            await self._ending.fail(tenure, _TOO_LONG)
        else:
            await self._chain(tenure)

    async def _succeed(self, tenure: Tenure, finished: _Finished) -> None:
        result = to_builtins(finished.result)
        if len(str(result)) > RESULT_BYTES_MAX:
            await self._ending.fail(tenure, _DEFECT)
            return
        await self._ending.end(tenure, JobState.SUCCEEDED, {"result": result}, ("succeeded", "The job is done.", {}))

    async def _wait(self, tenure: Tenure, later: NotYet) -> None:
        """Have the same step run again after a while. Waiting is no failure, and no sign of being stuck."""
        await self._chain(tenure, pause_ms=later.after_ms, changes={"takes_idle": 0})

    async def _chain(self, tenure: Tenure, *, pause_ms: int = 0, changes: Mapping[str, Any] | None = None) -> None:
        """Have the next leg run, and let the job go.

        The task comes first: if we die between, it finds the lease run out and goes on, and our own task comes again.
        """
        job = tenure.job
        leg = job.leg + 1
        await self._tasks.post(
            JOB_STEP,
            JobTask(job_id=job.job_id, leg=leg),
            name_key=f"{job.job_id}:{leg}:{job.lease_number}",
            at_ms=self._clock() + pause_ms if pause_ms else None,
        )
        await tenure.write(
            lambda job: {
                "leg": leg,
                **(changes or {}),
                "state": JobState.STOPPING if job.cancel_asked_at_ms else JobState.QUEUED,
            },
            keeps=False,
        )

    async def _pause(self, tenure: Tenure, pause: Pause, why: str) -> None:
        def decide(job: Job) -> Mapping[str, Any]:
            if pause.limit == "ceiling" and pause.needed_micros <= rules.left_micros(job):
                raise _Covered
            return {"state": JobState.PAUSED_BUDGET, "pause": pause}

        await self._rest(tenure, decide, ("paused_budget", why, to_builtins(pause)))
        write_line("INFO", "job_pause", job=tenure.job.job_id, state=tenure.job.state.value, limit=pause.limit)

    async def _rest(self, tenure: Tenure, decide: Decide, note: Note) -> None:
        """Let the job go until its owner does something, unless they just did what it would wait for."""

        def rest(job: Job) -> Mapping[str, Any]:
            tenure.check_cancel()
            return {**decide(job), "look_due_ms": self._clock() + AT_REST_MS_MAX}

        try:
            await tenure.write(rest, notes=[note], keeps=False)
        except CancelAsked:
            await self._cancel(tenure, self._graph(tenure))
        except _Covered:
            await self._chain(tenure)

    async def _cancel(self, tenure: Tenure, graph: Graph) -> None:
        await self._repair(tenure, graph)
        await self._ending.end(tenure, JobState.CANCELLED, {}, ("cancelled", "The job was stopped.", {}))

    async def _repair(self, tenure: Tenure, graph: Graph) -> None:
        """Answer the calls of tools that nobody will run any more, so that the thread can be gone on from."""
        config: Any = {"configurable": {"thread_id": tenure.job.job_id}}
        state = await graph.aget_state(config)
        for channel, value in dict(state.values).items():
            if not isinstance(value, list) or not (repairs := rules.repairs_of(value)) or not state.next:
                continue
            # A channel that only takes the newest value is given all of it; one that gathers, what is new.
            whole = isinstance(graph.channels[channel], LastValue)
            await graph.aupdate_state(config, {channel: [*value, *repairs] if whole else repairs}, state.next[0])

    async def _after_error(self, tenure: Tenure, error: Exception) -> None:
        """Try again later what may pass, and end what will not."""
        if isinstance(error, JobsUnavailable):
            raise error
        code = error.code if isinstance(error, CredenceError) else type(error).__name__
        write_line("WARNING", "job_step_failed", job=tenure.job.job_id, leg=tenure.job.leg, code=code)
        if rules.may_pass(error) and rules.is_retried(tenure.job):
            failures = tenure.job.failures + 1
            await self._chain(tenure, pause_ms=rules.retry_pause_ms(failures), changes={"failures": failures})
        elif isinstance(error, CredenceError):
            await self._ending.fail(tenure, Failure(error.code, error.message))
        else:
            await self._ending.fail(tenure, _DEFECT)
