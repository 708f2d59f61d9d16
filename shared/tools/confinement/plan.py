"""What is said to the process that confines a program, and what it says back: a line of JSON, then bytes."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple


class Plan(NamedTuple):
    """A program, its files, and how much of everything it may use."""

    code: str
    files: Mapping[str, bytes]
    packages: tuple[str, ...]
    """Folders of installed packages that it may import."""
    stage: str
    """An empty folder of this run's own."""
    wall_s: float
    cpu_s: int
    memory_bytes_max: int
    output_bytes_max: int
    """Of what it prints, on each of the two ways."""
    files_bytes_max: int
    """Of one file, and of all that it leaves together."""
    files_max: int
    threads_max: int
    namespaces: bool
    """Whether to try for a root of its own; without it Landlock must do alone."""


class Report(NamedTuple):
    """What became of it."""

    refused: str
    """Why it was not run at all; empty when it was."""
    layers: tuple[str, ...]
    """What stood around it."""
    ended: str
    """`finished`, `too_long`, `too_much_output` or `killed`."""
    exit_code: int
    stdout: bytes
    stderr: bytes
    files: Mapping[str, bytes]
    files_left_out: int
    """Things it left that are not given back: too many, too large, or no plain files."""


def packed(said: Plan | Report) -> bytes:
    """As bytes."""
    blobs: list[bytes] = []
    told = {name: _taken(value, blobs) for name, value in said._asdict().items()}
    return b"".join((json.dumps([told, [len(blob) for blob in blobs]]).encode(), b"\n", *blobs))


def unpacked(data: bytes) -> dict[str, Any]:
    """Its fields again. Raise ValueError for anything else."""
    line, _, rest = data.partition(b"\n")
    told, sizes = json.loads(line)
    blobs, start = [], 0
    for size in sizes:
        blobs.append(rest[start : start + size])
        start += size
    if start != len(rest):
        raise ValueError("bytes are missing, or too many")
    return {name: _given(value, blobs) for name, value in told.items()}


def _taken(value: Any, blobs: list[bytes]) -> Any:
    if isinstance(value, bytes):
        blobs.append(value)
        return {"blob": len(blobs) - 1}
    if isinstance(value, Mapping):
        return {"map": {name: _taken(inner, blobs) for name, inner in value.items()}}
    return value


def _given(value: Any, blobs: list[bytes]) -> Any:
    if isinstance(value, dict):
        if "blob" in value:
            return blobs[value["blob"]]
        return {name: _given(inner, blobs) for name, inner in value["map"].items()}
    return tuple(value) if isinstance(value, list) else value
