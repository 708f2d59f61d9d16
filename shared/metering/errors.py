"""Why a call is not begun."""

from shared.base.errors import CredenceError, Kind
from shared.base.micros import format_credits


class CallUnaffordable(CredenceError):
    """The wallet does not cover the worst case of the call; says how long an answer it would cover."""

    code = "insufficient_credits"
    kind = Kind.UNPAID

    def __init__(self, *, needed_micros: int, spendable_micros: int, affordable_max_tokens: int | None) -> None:
        remedy = (
            f"Top up, or ask for at most {affordable_max_tokens} tokens (max_tokens)."
            if affordable_max_tokens
            else "Top up to go on."
        )
        super().__init__(
            f"This call may cost up to {format_credits(needed_micros)} credits; "
            f"{format_credits(spendable_micros)} can be spent. {remedy}",
            param=None if affordable_max_tokens is None else "max_tokens",
        )
        self._details: dict[str, int | str] = {"needed_micros": needed_micros, "spendable_micros": spendable_micros}
        if affordable_max_tokens is not None:
            self._details["affordable_max_tokens"] = affordable_max_tokens

    def details(self) -> dict[str, int | str]:
        """The numbers of the message."""
        return self._details
