"""Why the ledger refuses. A refusal changes nothing and is not remembered."""

from shared.base.errors import CredenceError, Kind
from shared.base.micros import format_credits


class CreditTooLow(CredenceError):
    """The account cannot cover the amount with what is neither held nor expired."""

    code = "credit_too_low"
    kind = Kind.UNPAID

    def __init__(self, *, needed_micros: int, spendable_micros: int) -> None:
        super().__init__(
            f"This needs {format_credits(needed_micros)} credits and {format_credits(spendable_micros)} can be spent."
        )
        self.needed_micros = needed_micros
        self.spendable_micros = spendable_micros

    def details(self) -> dict[str, int | str]:
        """How much was needed and how much there is."""
        return {"needed_micros": self.needed_micros, "spendable_micros": self.spendable_micros}


class SpendLimitReached(CreditTooLow):
    """The credits are there, but the account may not spend so much in this period."""

    code = "spend_limit_reached"

    def __init__(self, *, needed_micros: int, spendable_micros: int, resets_at_ms: int | None) -> None:
        CredenceError.__init__(
            self,
            f"This needs {format_credits(needed_micros)} credits "
            f"and the limit leaves {format_credits(spendable_micros)}.",
        )
        self.needed_micros = needed_micros
        self.spendable_micros = spendable_micros
        self.resets_at_ms = resets_at_ms

    def details(self) -> dict[str, int | str]:
        """How much was needed, how much is left, and when there is more."""
        resets = {} if self.resets_at_ms is None else {"resets_at_ms": self.resets_at_ms}
        return {**super().details(), **resets}


class KeyReused(CredenceError):
    """The idempotency key was used before, for another request."""

    code = "idempotency_key_reused"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("This idempotency key was already used with a different request.", param="idempotency_key")


class AccountAbsent(CredenceError):
    """No such account was ever opened."""

    code = "account_not_found"
    kind = Kind.ABSENT

    def __init__(self) -> None:
        super().__init__("There is no such account; start it first (POST /v1/account).")


class AccountNotOpen(CredenceError):
    """The account is frozen or closed."""

    code = "account_not_open"
    kind = Kind.DENIED

    def __init__(self, status: str) -> None:
        super().__init__(f"This account is {status}.")


class AmountWrong(CredenceError):
    """The amount is not a positive integer within bounds, or would take a balance beyond them."""

    code = "amount_out_of_range"
    kind = Kind.INVALID

    def __init__(self, *, most_micros: int) -> None:
        super().__init__(f"The amount must be from 1 to {most_micros} micros.", param="amount_micros")


class HoldAbsent(CredenceError):
    """The hold was never placed, was resolved, or has expired."""

    code = "hold_not_found"
    kind = Kind.ABSENT

    def __init__(self) -> None:
        super().__init__("There is no such open hold: it was never placed, is already resolved, or has expired.")


class HoldExceeded(CredenceError):
    """A capture may not take more than its hold set aside."""

    code = "hold_exceeded"
    kind = Kind.CONFLICT

    def __init__(self, *, held_micros: int) -> None:
        super().__init__(f"The hold covers {format_credits(held_micros)} credits and no more.")


class TooManyHolds(CredenceError):
    """Too many calls of this account are in flight."""

    code = "too_many_open_calls"
    kind = Kind.BUSY

    def __init__(self, *, open_max: int) -> None:
        super().__init__(f"This account already has {open_max} calls in flight; wait for one to finish.")


class RateExceeded(CredenceError):
    """The account's calls in this window are used up."""

    code = "rate_limit_exceeded"
    kind = Kind.BUSY

    def __init__(self, *, per_window_max: int, window_ms: int, retry_after_ms: int) -> None:
        super().__init__(f"This account may start {per_window_max} calls in {window_ms // 1000} seconds.")
        self.retry_after_ms = retry_after_ms

    def details(self) -> dict[str, int | str]:
        """When to come back."""
        return {"retry_after_ms": self.retry_after_ms}


class PayeeNotDeferred(CredenceError):
    """A split names an account that is credited by a transfer, not by settlement."""

    code = "payee_not_deferred"
    kind = Kind.INVALID

    def __init__(self, account_id: str) -> None:
        super().__init__(f"{account_id} cannot be a payee of a split; transfer to it.")


class TransferToSelf(CredenceError):
    """Payer and payee are one account."""

    code = "transfer_to_self"
    kind = Kind.INVALID

    def __init__(self) -> None:
        super().__init__("A transfer needs two different accounts.")


class NotReversible(CredenceError):
    """The entry is of a kind that this does not undo."""

    code = "not_reversible"
    kind = Kind.CONFLICT

    def __init__(self, entry_kind: str) -> None:
        super().__init__(f"An entry of kind {entry_kind} cannot be undone this way.")


class NothingExpired(CredenceError):
    """No credits of the account have expired."""

    code = "nothing_expired"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("No credits of this account have expired.")


class HoldsOpen(CredenceError):
    """Calls of the account are in flight, and what they hold is not decided yet."""

    code = "calls_in_flight"
    kind = Kind.BUSY

    def __init__(self) -> None:
        super().__init__("Calls of this account are still in flight; try again when they have finished.")


class AccountNotFrozen(CredenceError):
    """Only a frozen account can be unfrozen."""

    code = "account_not_frozen"
    kind = Kind.CONFLICT

    def __init__(self, status: str) -> None:
        super().__init__(f"This account is {status}, not frozen.")


class AccountInDebt(CredenceError):
    """The account owes credits, so it cannot be closed."""

    code = "account_in_debt"
    kind = Kind.CONFLICT

    def __init__(self, *, owed_micros: int) -> None:
        super().__init__(f"This account owes {format_credits(owed_micros)} credits.")


class SendLimitExceeded(CredenceError):
    """The account has sent as much as it may in one day."""

    code = "send_limit_exceeded"
    kind = Kind.BUSY

    def __init__(self, *, left_micros: int, retry_after_ms: int) -> None:
        super().__init__(f"At most {format_credits(left_micros)} more credits can be sent today.")
        self.left_micros = left_micros
        self.retry_after_ms = retry_after_ms

    def details(self) -> dict[str, int | str]:
        """How much is left, and when there is more."""
        return {"left_micros": self.left_micros, "retry_after_ms": self.retry_after_ms}


class TransferRepeated(CredenceError):
    """The same amount was sent to the same account a moment ago."""

    code = "transfer_repeated"
    kind = Kind.CONFLICT

    def __init__(self, *, sent_at_ms: int) -> None:
        super().__init__(
            "The same amount was just sent to the same account. Send it with `confirm_repeat` if that is meant.",
            param="confirm_repeat",
        )
        self.sent_at_ms = sent_at_ms

    def details(self) -> dict[str, int | str]:
        """When the first one was sent."""
        return {"sent_at_ms": self.sent_at_ms}


class EntryAbsent(CredenceError):
    """The account has no such entry."""

    code = "receipt_not_found"
    kind = Kind.ABSENT

    def __init__(self) -> None:
        super().__init__("There is no such receipt on this account.")


class AlreadyFilled(CredenceError):
    """The account had its top-up of this period."""

    code = "already_filled"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("This account was already topped up in this period.")


class NothingToMove(CredenceError):
    """Nothing on the account is free."""

    code = "nothing_to_move"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("There is nothing on this account that is not held.")


class LedgerBusy(CredenceError):
    """Too many postings wait for this account in this process; nothing was posted."""

    code = "ledger_busy"
    kind = Kind.BUSY

    def __init__(self) -> None:
        super().__init__("Too many postings wait for this account. Try again.")


class LedgerUnavailable(CredenceError):
    """The outcome could not be learned in time. Repeating with the same idempotency key is always safe."""

    code = "ledger_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("The ledger did not answer in time. Repeat with the same idempotency key.")


class ChainBroken(Exception):
    """The stored documents do not prove each other. Never an answer to a client: somebody must look."""

    def __init__(self, reason: str, *, account_id: str, seq: int | None = None, entry_id: str | None = None) -> None:
        where = f"{account_id}" + (f" entry {seq}" if seq is not None else "") + (f" ({entry_id})" if entry_id else "")
        super().__init__(f"{where}: {reason}")
        self.reason = reason
        self.account_id = account_id
        self.seq = seq
        self.entry_id = entry_id
