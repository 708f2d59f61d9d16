"""Why a job is not there, or not worked at now."""

from shared.base.errors import CredenceError, Kind


class JobAbsent(CredenceError):
    """There is none of this id, or it is not the caller's, or it was deleted."""

    code = "image_job_absent"
    kind = Kind.ABSENT

    def __init__(self) -> None:
        super().__init__("There is no such job. Jobs are kept for a day.")


class JobBusy(CredenceError):
    """Somebody else works at it, or did a moment ago."""

    code = "image_job_busy"
    kind = Kind.BUSY

    def __init__(self) -> None:
        super().__init__("This job is being worked at.")


class JobsUnavailable(CredenceError):
    """The store did not answer in time; a write may or may not have been made."""

    code = "image_jobs_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("Jobs cannot be reached right now. Please try again.")


class PictureUnreadable(CredenceError):
    """A provider answered something else than a picture that can be kept."""

    code = "picture_unreadable"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("The provider's answer could not be read as a picture.")


class PicturesTooLarge(CredenceError):
    """The pictures of one job are more than are kept."""

    code = "pictures_too_large"
    kind = Kind.INVALID

    def __init__(self) -> None:
        super().__init__("The pictures are larger than a job can keep.")
