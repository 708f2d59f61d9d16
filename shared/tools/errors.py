"""Why a tool did not do what it was asked for."""

from shared.base.errors import CredenceError, Kind


class SandboxUnavailable(CredenceError):
    """This machine cannot confine a program, so none was run."""

    code = "sandbox_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("Programs cannot be run safely here.")


class ProgramInvalid(CredenceError):
    """A program or its files are more than a run takes, or bear names that no folder has."""

    code = "program_invalid"
    kind = Kind.INVALID


class SearchUnavailable(CredenceError):
    """The search gave no answer. Trying again may help."""

    code = "search_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("The search gave no answer.")
