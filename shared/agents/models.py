"""A job of agents: what was asked, who works at it, what it has cost, how far it is."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NewType

from msgspec import Struct

from shared.base.body import Body
from shared.base.ids import AccountId, UserId
from shared.ledger.models import HOUSE_ONLY, Share
from shared.routing.models import NO_PREFERENCE, Preference

JobId = NewType("JobId", str)

JOB_STEP = "job_step"
"""The function that works at jobs."""


class JobState(StrEnum):
    """Where a job stands. The last three are for good."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    """For its owner to approve of something."""
    PAUSED_BUDGET = "paused_budget"
    """The next call may cost more than the ceiling leaves, or than the wallet has."""
    STOPPING = "stopping"
    """Its owner wants it to end, and whoever works at it has not confirmed that yet."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


OVER = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})
AT_REST = frozenset({JobState.WAITING, JobState.PAUSED_BUDGET})
"""Nothing happens until its owner does something."""


class JobTask(Body, frozen=True, kw_only=True):
    """What a task of `job_step` says."""

    job_id: str
    leg: int
    """Jobs are worked at in legs of a few steps. A leg that is over is not run again."""


class Failure(Struct, frozen=True):
    """Why there is no result, in words for the owner."""

    code: str
    message: str


class Pause(Struct, frozen=True):
    """Why a job waits for credits."""

    needed_micros: int
    """What the next call may cost."""
    limit: str
    """What does not cover it: `ceiling`, `wallet`, or the `card`, which is frozen or expired."""


class Approval(Struct, frozen=True):
    """What the owner is asked."""

    interrupt_id: str
    question: str


class Job(Struct, frozen=True, kw_only=True):
    """One job. Times are of the wall clock, amounts micros."""

    job_id: JobId
    owner: UserId
    """Who may see it: for a card's job, the card's owner too."""
    lenders: tuple[UserId, ...] = ()
    """Whose credits it may spend besides: other members of a pool that a session drew from."""
    account_id: AccountId
    kind: str
    params: Mapping[str, Any]
    model_id: str
    models_allowed: tuple[str, ...] | None = None
    preference: Preference = NO_PREFERENCE
    request_hash: str
    created_at_ms: int
    delete_at_ms: int
    state: JobState = JobState.QUEUED

    leg: int = 0
    """The one that is under way or comes next."""
    lease_number: int = 0
    """Goes up each time somebody takes the job; whoever took it as an earlier number writes nothing any more."""
    lease_until_ms: int = 0
    """Until then nobody else takes it."""
    write_id: str = ""
    """Names the last write of whoever has the job, so that a lost answer is told from a lost race."""
    takes_idle: int = 0
    """How often it was taken since the last step that was finished."""
    failures: int = 0
    """How often work failed since then in a way that may pass."""
    sweeps: int = 0
    """How often it was found abandoned since then."""
    look_due_ms: int | None = None
    """When to look whether it was abandoned; None once it is over and holds nothing."""

    steps_done: int = 0
    steps_expected: int
    seq: int = 0
    """The number of the last event."""
    noted: tuple[str, ...] = ()
    """What was told since the last finished step, by its hash: a step that is run again does not tell it again."""
    artifacts: int = 0
    artifact_bytes: int = 0

    ceiling_micros: int
    spent_micros: int = 0
    holds: Mapping[str, int] = {}
    """What is held for calls under way, by the id of the hold."""
    calls: int = 0
    """How many were charged or free."""

    cancel_asked_at_ms: int | None = None
    pause: Pause | None = None
    approval: Approval | None = None
    approvals: Mapping[str, str] = {}
    """What the owner said, by what was asked. At most one for each approval of a kind's graph."""
    result: Mapping[str, Any] | None = None
    failure: Failure | None = None
    ended_at_ms: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in OVER

    @property
    def payers(self) -> frozenset[UserId]:
        """Whose credits it may spend. No contributed key of theirs serves its calls."""
        return frozenset({self.owner, *self.lenders})

    @property
    def held_micros(self) -> int:
        """What calls under way may cost."""
        return sum(self.holds.values())


class CallState(StrEnum):
    """How far a paid call is. Each follows the one before it, but for a failure, after which it begins anew."""

    BEGUN = "begun"
    """It was decided to hold for it. Whether the hold is placed, and a provider asked, only those know."""
    FAILED = "failed"
    """No provider answered. What is held for it is in the job until it is given back."""
    ANSWERED = "answered"
    """The answer is here, and what it will be charged is decided."""
    DONE = "done"
    """It is charged."""


class Trace(Struct, frozen=True, kw_only=True):
    """One paid call, or one use of a tool: what is needed to finish it, and what its owner may know of it."""

    step: str
    tool: str
    """`chat`, `image`, or the name of a tool that costs nothing."""
    state: CallState = CallState.DONE
    request_hash: str = ""
    attempt: int = 0
    hold_id: str = ""
    begun_at_ms: int = 0
    model: str = ""
    quote: Mapping[str, Any] = {}
    usage: Mapping[str, Any] = {}
    facts: Mapping[str, str | int] = {}
    answer: Mapping[str, Any] = {}
    shares: tuple[Share, ...] = HOUSE_ONLY
    """Who has a part in the charge: decided with the answer, as the facts are that name a contributed key."""
    charged_micros: int = 0
    """What it is charged, from its answer on."""
    receipt_id: str | None = None
    took_ms: int = 0


class Event(Struct, frozen=True, kw_only=True):
    """Something that happened, told to the owner once under its number."""

    seq: int
    kind: str
    text: str
    facts: Mapping[str, str | int] = {}
    at_ms: int
