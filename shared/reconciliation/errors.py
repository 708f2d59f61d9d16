"""Why a report or a decision about payments is refused."""

from shared.base.errors import CredenceError, Kind


class ReportTooLong(CredenceError):
    """The range holds more than one report tells."""

    code = "report_too_long"
    kind = Kind.INVALID

    def __init__(self) -> None:
        super().__init__("This range is too long for one report. Ask for a shorter one.", param="last_day")


class RangeWrong(CredenceError):
    """The days are none, or the last is before the first."""

    code = "range_wrong"
    kind = Kind.INVALID

    def __init__(self) -> None:
        super().__init__("Give a month, or a first and a last day of at most a year.", param="first_day")


class TicketAbsent(CredenceError):
    """No difference has this name."""

    code = "ticket_absent"
    kind = Kind.ABSENT

    def __init__(self) -> None:
        super().__init__("There is no such ticket.", param="ticket_id")


class TicketClosed(CredenceError):
    """Both sides agree by now, or somebody else has decided."""

    code = "ticket_closed"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("This ticket is closed already.", param="ticket_id")
