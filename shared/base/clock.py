"""Time as a collaborator: integer milliseconds since the Unix epoch, so that tests and simulation can own it."""

import time
from collections.abc import Callable

Clock = Callable[[], int]


def system_clock() -> int:
    """The machine's wall clock in milliseconds."""
    return time.time_ns() // 1_000_000


def monotonic_clock() -> int:
    """Milliseconds since some moment, which no correction of the wall clock moves. For waits, never for records."""
    return time.monotonic_ns() // 1_000_000
