"""Why a job of a kind comes to nothing."""

from shared.base.errors import CredenceError, Kind


class AnswerUnusable(CredenceError):
    """A model's answer lacks what it was asked for. Asking it again would be charged again."""

    code = "answer_unusable"
    kind = Kind.INVALID

    def __init__(self, wanted: str) -> None:
        super().__init__(f"The model's answer has no {wanted} in it. Another model may do better.")


class TableUnreadable(CredenceError):
    """A table that was given cannot be read."""

    code = "table_unreadable"
    kind = Kind.INVALID

    def __init__(self, report: str) -> None:
        super().__init__(f"The tables cannot be read as CSV: {report[-300:]}")
