"""Why an entry was not told of."""

from shared.base.errors import CredenceError, Kind


class EntryUnreadable(CredenceError):
    """The document is not an entry of the account it lies under. The audit finds it too, and raises the alarm."""

    code = "entry_unreadable"
    kind = Kind.INVALID

    def __init__(self) -> None:
        super().__init__("The document is not an entry of its account.")


class NoticeUnwritable(CredenceError):
    """Firestore takes no document of this name, and never will: a user's id is `.` or `__like_this__`."""

    code = "notice_unwritable"
    kind = Kind.INVALID

    def __init__(self) -> None:
        super().__init__("No notice can be written for this user.")


class NoticesUnavailable(CredenceError):
    """The store of notices did not answer. Writing a notice again is always safe."""

    code = "notices_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("The notice could not be written just now. Try again.")
