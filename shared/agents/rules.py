"""Pure decisions about jobs."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from shared.agents.errors import CeilingTooLow, JobInvalid, JobOver
from shared.agents.limits import (
    ARTIFACT_NAME_CHARS_MAX,
    CEILING_MICROS_MAX,
    FAILURES_MAX,
    PARAMS_BYTES_MAX,
    RETRY_MS_MAX,
    RETRY_MS_MIN,
    WARNING_PPM,
)
from shared.agents.models import Event, Job, JobId, JobState
from shared.base.errors import CredenceError
from shared.base.names import seen

_PPM = 1_000_000
UNANSWERED = "This tool was not run: the job was stopped before it."
"""What stands in a thread in place of the answer of a tool that was called and never ran."""


def job_id_of(account_id: str, key: str) -> JobId:
    """One job for each idempotency key of an account."""
    # Not joined by a mark that either may hold: one account's job would be another's.
    named = msgspec.json.encode([account_id, key])
    return JobId("job_" + hashlib.sha256(named).hexdigest()[:32])


def request_hash(kind: str, params: Mapping[str, Any], model_id: str, ceiling_micros: int) -> str:
    """What tells a repeat of a request from another one under the same key."""
    asked = [kind, params, model_id, ceiling_micros]
    return hashlib.sha256(msgspec.json.encode(asked, order="deterministic")).hexdigest()


def check_request(params: Mapping[str, Any], ceiling_micros: int) -> None:
    """Raise JobInvalid for what a job's document could not hold, or nobody means."""
    if len(msgspec.json.encode(params)) > PARAMS_BYTES_MAX:
        raise JobInvalid(f"What a job is asked has at most {PARAMS_BYTES_MAX} bytes.", param="params")
    if ceiling_micros > CEILING_MICROS_MAX:
        raise JobInvalid(f"A job's ceiling is at most {CEILING_MICROS_MAX} micros.", param="ceiling_micros")


def step_id(step: str) -> str:
    """The document of a step, whatever its name holds."""
    return hashlib.sha256(step.encode()).hexdigest()[:40]


def hold_id_of(job_id: str, step: str, attempt: int) -> str:
    """The same for every process that makes the same attempt at the same step, so that they charge once together."""
    return f"{job_id}:{step_id(step)}:{attempt}"


def artifact_name(name: str) -> str:
    """What an artifact may be called, whatever wrote the name: signs that are seen, and of one that is too long the
    end, which says what the artifact is.
    """
    return seen(name[-ARTIFACT_NAME_CHARS_MAX:]) or "unnamed"


def left_micros(job: Job) -> int:
    """What calls may still be held for."""
    return job.ceiling_micros - job.spent_micros - job.held_micros


def crosses_warning(job: Job, charged_micros: int) -> bool:
    """Whether this charge is the one that takes the job over four fifths of its ceiling."""
    bound = job.ceiling_micros * WARNING_PPM // _PPM
    return job.spent_micros < bound <= job.spent_micros + charged_micros


def forecast_micros(job: Job) -> int | None:
    """What the job will have cost if it goes on as it went so far; None before that says anything."""
    if job.is_over:
        return job.spent_micros
    if not job.steps_done or not job.calls:
        return None
    steps = max(job.steps_expected, job.steps_done + 1)
    return max(job.spent_micros, job.spent_micros * steps // job.steps_done)


def cost_of(job: Job) -> dict[str, int | None]:
    """The cost so far and to come, as the owner is told."""
    return {
        "spent_micros": job.spent_micros,
        "held_micros": job.held_micros,
        "ceiling_micros": job.ceiling_micros,
        "forecast_micros": forecast_micros(job),
    }


def percent_of(job: Job) -> int:
    """How far it is. A hundred only at the end."""
    if job.state is JobState.SUCCEEDED:
        return 100
    return min(99, 100 * job.steps_done // max(1, job.steps_expected))


def may_pass(error: BaseException) -> bool:
    """Whether work that failed so may go better the next time. Of errors not ours, only running out of time may."""
    return isinstance(error, TimeoutError) or (isinstance(error, CredenceError) and error.kind.passes)


def is_retried(job: Job) -> bool:
    """Whether a job that has just failed so, once more, is tried again."""
    return job.failures + 1 <= FAILURES_MAX


def retry_pause_ms(failures: int) -> int:
    """How long to wait after so many failures."""
    return int(min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** max(0, failures - 1)))


def check_ceiling(job: Job, ceiling_micros: int) -> None:
    """Raise JobOver or CeilingTooLow for a job that cannot go on under this ceiling."""
    if job.is_over or job.cancel_asked_at_ms is not None:
        raise JobOver(job.state.value)
    if ceiling_micros < job.ceiling_micros:
        raise CeilingTooLow(ceiling_micros=job.ceiling_micros)


def was_asked_by(job: Job, account_id: str, uid: str | None) -> bool:
    """Whether the caller may see it: the account that pays, or the owner of its card."""
    return job.account_id == account_id or (uid is not None and job.owner == uid)


def note_hash(steps_done: int, kind: str, text: str) -> str:
    """Names a note within its step, so that a step that is run again does not tell it again."""
    return hashlib.sha256(f"{steps_done}:{kind}:{text}".encode()).hexdigest()[:16]


def numbered(job: Job, notes: Sequence[tuple[str, str, Mapping[str, str | int]]], at_ms: int) -> list[Event]:
    """The events that these notes are, counted on from the last."""
    return [
        Event(seq=job.seq + position, kind=kind, text=text, facts=facts, at_ms=at_ms)
        for position, (kind, text, facts) in enumerate(notes, start=1)
    ]


def repairs_of(messages: Sequence[Any]) -> list[dict[str, Any]]:
    """The messages that a thread lacks to be valid: an answer for each call of a tool that has none.

    Every provider refuses a thread in which a call of the last turn has no answer.
    """
    answered = {message.get("tool_call_id") for message in messages if isinstance(message, dict)}
    return [
        {"role": "tool", "tool_call_id": call["id"], "content": UNANSWERED}
        for message in messages
        if isinstance(message, dict) and message.get("role") == "assistant"
        for call in message.get("tool_calls") or []
        if call.get("id") not in answered
    ]
