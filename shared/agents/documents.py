"""The documents of jobs: which fields clients see, and what is kept beside them as text."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct, to_builtins
from msgspec.structs import asdict

from shared.agents import rules
from shared.agents.models import Event, Job, JobId, Trace

ENGINE = "agents"
"""Tells these jobs from those that paint, which lie in the same collection."""
_PLAIN = (
    "owner",
    "kind",
    "leg",
    "lease_number",
    "lease_until_ms",
    "write_id",
    "takes_idle",
    "failures",
    "sweeps",
    "look_due_ms",
    "steps_done",
    "steps_expected",
    "seq",
    "artifacts",
    "artifact_bytes",
    "calls",
    "cancel_asked_at_ms",
    "created_at_ms",
    "ended_at_ms",
)
"""Fields that stand in the document as they are."""
_SHAPED = ("pause", "approval", "failure")
_WORK = (
    "params",
    "lenders",
    "models_allowed",
    "preference",
    "request_hash",
    "noted",
    "holds",
    "approvals",
    "result",
    "spent_micros",
    "ceiling_micros",
)
"""Fields that are kept as one text, `work`. What of them clients read stands beside it in a form of its own."""


class _Holding(Struct, frozen=True):
    """Of a job's work, what it holds."""

    holds: Mapping[str, int] = {}


class JobBroken(Exception):
    """A document that tells no job."""


def job_document(job: Job) -> dict[str, Any]:
    """A job's fields. `cost`, `percent` and `result` are for its owner, who watches the document."""
    plain = asdict(job)
    return {
        "engine": ENGINE,
        **{name: plain[name] for name in _PLAIN},
        **{name: to_builtins(plain[name]) for name in _SHAPED},
        "account": job.account_id,
        "model": job.model_id,
        "state": job.state.value,
        # Whoever writes all of it has found that it can be written.
        "looks_failed": 0,
        "percent": rules.percent_of(job),
        "cost": rules.cost_of(job),
        "result": None if job.result is None else to_builtins(job.result),
        "delete_at": moment(job.delete_at_ms),
        "work": msgspec.json.encode({name: plain[name] for name in _WORK}).decode(),
    }


def job_from(job_id: JobId, fields: Mapping[str, Any]) -> Job:
    """The job of a document. Raise JobBroken."""
    try:
        return msgspec.convert(
            {
                **{name: fields[name] for name in (*_PLAIN, *_SHAPED)},
                **msgspec.json.decode(fields["work"]),
                "job_id": job_id,
                "account_id": fields["account"],
                "model_id": fields["model"],
                "state": fields["state"],
                "delete_at_ms": round(fields["delete_at"].timestamp() * 1_000),
            },
            Job,
        )
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise JobBroken(job_id) from error


def holds_in(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """What a document says is held, as far as it can be read, though it may tell no job."""
    try:
        return tuple(msgspec.json.decode(fields["work"], type=_Holding).holds)
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
        return ()


def trace_document(trace: Trace) -> dict[str, Any]:
    """A trace's fields. What is needed to go on with a call is text, for Firestore would index and reshape it."""
    kept = {"quote": trace.quote, "answer": trace.answer, "shares": trace.shares}
    plain = {name: value for name, value in to_builtins(trace).items() if name not in kept}
    return {**plain, "work": msgspec.json.encode(kept).decode()}


def trace_from(fields: Mapping[str, Any]) -> Trace:
    """The trace of a document."""
    kept = msgspec.json.decode(fields["work"])
    known = {name: value for name, value in fields.items() if name in Trace.__struct_fields__}
    return msgspec.convert({**known, **kept}, Trace)


def event_document(event: Event) -> dict[str, Any]:
    """An event's fields."""
    fields: dict[str, Any] = to_builtins(event)
    return fields


def moment(at_ms: int) -> datetime:
    """A time as Firestore keeps it."""
    return datetime.fromtimestamp(at_ms / 1_000, UTC)
