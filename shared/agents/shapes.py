"""How jobs cross the boundary: what a request may hold, and how a job, an event and a step are answered."""

from typing import Annotated, Any

from msgspec import Meta, to_builtins

from shared.agents import rules
from shared.agents.models import Event, Job, Trace
from shared.base.body import LAST, Body
from shared.base.micros import CREDIT_MICROS

JobIdText = Annotated[str, Meta(min_length=1, max_length=64, pattern=rf"^[A-Za-z0-9_]+{LAST}")]
ArtifactIdText = Annotated[str, Meta(min_length=64, max_length=64, pattern=rf"^[0-9a-f]+{LAST}")]


class JobView(Body, frozen=True, kw_only=True):
    """A job as its owner sees it. Times are seconds, amounts micros."""

    id: str
    object: str = "job"
    kind: str
    status: str
    model: str
    created: int
    ended: int | None
    deleted_at: int
    progress: dict[str, int]
    cost: dict[str, int | float | None]
    pause: dict[str, int | str] | None = None
    approval: dict[str, str] | None = None
    result: dict[str, Any] | None = None
    error: dict[str, str] | None = None


class EventView(Body, frozen=True, kw_only=True):
    """Something that happened in a job."""

    seq: int
    kind: str
    text: str
    facts: dict[str, int | str]
    at_ms: int


class StepView(Body, frozen=True, kw_only=True):
    """A paid call of a job, or its use of a tool."""

    step: str
    tool: str
    state: str
    model: str
    tokens: dict[str, int]
    charged_micros: int
    receipt_id: str | None
    took_ms: int
    begun_at_ms: int


def view_of(job: Job) -> JobView:
    """The job as it is answered."""
    failure = job.failure
    return JobView(
        id=job.job_id,
        kind=job.kind,
        status=job.state.value,
        model=job.model_id,
        created=job.created_at_ms // 1_000,
        ended=None if job.ended_at_ms is None else job.ended_at_ms // 1_000,
        deleted_at=job.delete_at_ms // 1_000,
        progress={
            "percent": rules.percent_of(job),
            "steps_done": job.steps_done,
            "steps_expected": job.steps_expected,
            "seq": job.seq,
            "artifacts": job.artifacts,
        },
        cost={**rules.cost_of(job), "credits": job.spent_micros / CREDIT_MICROS, "calls": job.calls},
        pause=to_builtins(job.pause),
        approval=to_builtins(job.approval),
        result=to_builtins(job.result),
        error=None if failure is None else {"code": failure.code, "message": failure.message},
    )


def event_view(event: Event) -> EventView:
    """The event as it is answered."""
    return EventView(seq=event.seq, kind=event.kind, text=event.text, facts=dict(event.facts), at_ms=event.at_ms)


def step_view(trace: Trace) -> StepView:
    """The step as it is answered."""
    return StepView(
        step=trace.step,
        tool=trace.tool,
        state=trace.state.value,
        model=trace.model,
        tokens=dict(trace.usage.get("counts", {})),
        charged_micros=trace.charged_micros,
        receipt_id=trace.receipt_id,
        took_ms=trace.took_ms,
        begun_at_ms=trace.begun_at_ms,
    )
