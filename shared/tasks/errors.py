"""Why a task is not posted."""

from shared.base.errors import CredenceError, Kind


class TasksUnavailable(CredenceError):
    """The queue did not say that it has the task. It may have it all the same."""

    code = "tasks_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("The work could not be queued. Please try again.")
