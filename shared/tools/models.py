"""What tools are asked and answer."""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct


class Ended(StrEnum):
    """How a program came to its end."""

    FINISHED = "finished"
    """By itself, in order or by an error that it printed."""
    TOO_LONG = "too_long"
    TOO_MUCH_OUTPUT = "too_much_output"
    KILLED = "killed"
    """By the kernel, for its memory, its processor time, or a call that is not offered at all."""


class Limits(Struct, frozen=True, kw_only=True):
    """How much of everything one program may use."""

    wall_s: float = 60.0
    cpu_s: int = 60
    memory_bytes_max: int = 1024 * 1024 * 1024
    """Of addresses, which are more than what is used of them. Pandas and matplotlib together take 600 MiB."""
    output_bytes_max: int = 64 * 1024
    files_bytes_max: int = 16 * 1024 * 1024
    files_max: int = 64
    threads_max: int = 32


class Ran(Struct, frozen=True, kw_only=True):
    """What came of a program."""

    ended: Ended
    exit_code: int
    """Negative for the signal that ended it."""
    stdout: str
    stderr: str
    files: Mapping[str, bytes]
    """What it left that is new or changed, by name."""
    files_left_out: int = 0
    """How many it left that are not given back: too many, too large, or no plain files."""
    layers: tuple[str, ...] = ()
    """What stood around it: `seccomp`, and `namespaces` or `landlock` or both."""


class Passage(Struct, frozen=True):
    """A piece of a source that a search found."""

    source: str
    """Names the document: within a corpus by its own name, on the web by its address."""
    title: str
    text: str
    address: str = ""
    """Where a reader finds it; empty for what has none."""
