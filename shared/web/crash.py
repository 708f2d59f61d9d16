"""What is logged of a defect: where it happened, but not the exception's message, which may quote what a user sent."""

import traceback

from shared.base.log import write_line


def write_crash(error: Exception) -> None:
    """Write the line that an alert counts."""
    write_line("ERROR", "crash", error=type(error).__name__, stack=_stack_of(error))


def _stack_of(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(
        f"{frame.name} ({frame.filename.rsplit('/', 1)[-1]}:{frame.lineno})" for frame in reversed(frames)
    )
