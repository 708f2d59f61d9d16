"""Why a job is refused, not there, or not worked at now."""

from shared.base.errors import CredenceError, Kind
from shared.base.micros import format_credits


class JobInvalid(CredenceError):
    """What was asked is no job that can be done."""

    code = "invalid_request"
    kind = Kind.INVALID


class JobAbsent(CredenceError):
    """There is none of this id, or it is not the caller's, or it was deleted."""

    code = "job_absent"
    kind = Kind.ABSENT

    def __init__(self) -> None:
        super().__init__("There is no such job. Jobs are kept for thirty days.")


class ArtifactAbsent(CredenceError):
    """The job has none of this id."""

    code = "artifact_absent"
    kind = Kind.ABSENT

    def __init__(self) -> None:
        super().__init__("This job has no such artifact.")


class JobOver(CredenceError):
    """It has ended, and what is asked of it comes too late."""

    code = "job_over"
    kind = Kind.CONFLICT

    def __init__(self, state: str) -> None:
        super().__init__(f"This job is over: it has {state}.")


class ApprovalWrong(CredenceError):
    """Nothing of this id is asked, or another answer was given already."""

    code = "approval_wrong"
    kind = Kind.CONFLICT


class CeilingTooLow(CredenceError):
    """A job goes on under the ceiling that it has, or a higher one."""

    code = "ceiling_too_low"
    kind = Kind.INVALID

    def __init__(self, *, ceiling_micros: int) -> None:
        super().__init__(
            f"The ceiling is {format_credits(ceiling_micros)} credits and can only be raised.", param="ceiling_micros"
        )


class JobBusy(CredenceError):
    """Somebody else works at it, or did a moment ago."""

    code = "job_busy"
    kind = Kind.BUSY

    def __init__(self) -> None:
        super().__init__("This job is being worked at.")


class JobTaken(CredenceError):
    """Another process has the job by now. Whoever finds out writes nothing more of it."""

    code = "job_taken"
    kind = Kind.BUSY

    def __init__(self) -> None:
        super().__init__("Another process works at this job by now.")


class JobsUnavailable(CredenceError):
    """The store did not answer in time; a write may or may not have been made."""

    code = "jobs_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("Jobs cannot be reached right now. Please try again.")


class AnswerTooLarge(CredenceError):
    """The answer of a paid call is more than a step keeps. Nothing was charged for it."""

    code = "answer_too_large"
    kind = Kind.INVALID

    def __init__(self) -> None:
        super().__init__("A step's answer is larger than a job can keep.")


class ArtifactTooLarge(CredenceError):
    """An artifact, or all of a job's together, is more than is kept."""

    code = "artifact_too_large"
    kind = Kind.INVALID

    def __init__(self, bytes_max: int) -> None:
        super().__init__(f"A job keeps at most {bytes_max} bytes of this.")


class VideoFailed(CredenceError):
    """The provider made no video, or not in time. Nothing was charged."""

    code = "video_failed"
    kind = Kind.INVALID


class BudgetReached(CredenceError):
    """The next call may cost more than is left. Nothing was held for it."""

    code = "budget_reached"
    kind = Kind.UNPAID

    def __init__(self, *, needed_micros: int, limit: str) -> None:
        super().__init__(f"The next call may cost {format_credits(needed_micros)} credits, more than the {limit} has.")
        self.needed_micros = needed_micros
        self.limit = limit


class CardStopped(CredenceError):
    """The card that pays is frozen or expired. Its owner can let the job go on."""

    code = "card_stopped"
    kind = Kind.UNPAID


class CancelAsked(CredenceError):
    """The owner wants the job to end."""

    code = "cancel_asked"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("This job was cancelled.")
