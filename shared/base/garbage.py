"""How often Python looks for garbage in a process of ours."""

import gc

GARBAGE_OBJECTS = 50_000
"""New objects after which Python looks for cycles. By default 700; a start makes a hundred thousand, mostly to stay."""


def collect_rarely() -> None:
    """For a process that starts."""
    gc.set_threshold(GARBAGE_OBJECTS, *gc.get_threshold()[1:])


def keep_loaded() -> None:
    """What is loaded by now stays for good: it need not be looked at, nor copied by a worker that is forked next."""
    gc.freeze()
