"""Why a pool's credits do not move."""

from shared.base.errors import CredenceError, Kind


class StakeAbsent(CredenceError):
    """The person has no seat in the pool, or nothing in it."""

    code = "not_a_member"
    kind = Kind.ABSENT

    def __init__(self) -> None:
        super().__init__("This person is no member of the pool, and has nothing in it.")


class StakesOnly(CredenceError):
    """A pool's credits move only by what says whose they are."""

    code = "pool_needs_member"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("Credits of a pool belong to its members; this does not say whose it moves.")


class PoolFull(CredenceError):
    """The pool has as many members as it may have."""

    code = "pool_full"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("This pool has as many members as it may have.")


class PoolEnding(CredenceError):
    """The pool is closed or being closed."""

    code = "pool_closed"
    kind = Kind.DENIED

    def __init__(self) -> None:
        super().__init__("This pool is closed.")


class PoolInUse(CredenceError):
    """Credits of the pool are still on cards, or members still have some in it."""

    code = "pool_in_use"
    kind = Kind.BUSY

    def __init__(self) -> None:
        super().__init__("Credits of this pool are still in use, or still in it.")


class DrawUnseen(CredenceError):
    """The card has credits of a pool whose drawing was not found when it was looked for. A repeat finds it."""

    code = "draw_unseen"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("What this card drew from its pool was posted just now. Try again.")
