"""The command runs seeds on several cores, in pieces, and says what it did however it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local.node import REPOSITORY
from simulation.__main__ import main

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "simulation", "--workers", "2", "--first", "300000", "--seeds"]
STARTED_AFTER_S = 8.0
"""Long enough for processes to start and to be at work."""


@contextmanager
def running(seeds: int) -> Iterator[subprocess.Popen[str]]:
    """The command at work; nothing of it is left afterwards."""
    process = subprocess.Popen(
        [*COMMAND, str(seeds)], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def last_line(output: str) -> dict[str, Any]:
    """The figures that the command ends with."""
    figures: dict[str, Any] = json.loads(output.splitlines()[-1])
    return figures


def children_of(process_id: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()]


def lives(process_id: int) -> bool:
    """Whether a process is there, and is not one that has ended and was not collected yet."""
    command = Path(f"/proc/{process_id}/cmdline")
    return command.exists() and bool(command.read_bytes())


def test_pieces_come_to_what_the_whole_comes_to(capsys: pytest.CaptureFixture[str]) -> None:
    figures = []
    for first, seeds in (("40", "5"), ("40", "2"), ("42", "3")):
        assert main(["--first", first, "--seeds", seeds, "--workers", "1"]) == 0
        figures.append(last_line(capsys.readouterr().out))

    whole, *pieces = figures
    assert whole["first"] == 40
    for name in ("seeds", "violations", "commits", "answers", "kills"):
        assert whole[name] == sum(piece[name] for piece in pieces)


def test_the_command_runs_in_several_processes() -> None:
    ended = subprocess.run([*COMMAND, "45"], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True)

    figures = last_line(ended.stdout)
    assert (figures["first"], figures["seeds"], figures["violations"]) == (300_000, 45, 0)


def test_a_run_goes_on_after_it_was_stopped_and_ends_when_it_is_interrupted() -> None:
    with running(100_000) as process:
        time.sleep(STARTED_AFTER_S)
        everybody = [process.pid, *children_of(process.pid)]
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for one in everybody:
                os.kill(one, number)
            time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        output, progress = process.communicate(timeout=30)

        figures = last_line(output)
        assert process.returncode == 0
        assert 0 < figures["seeds"] < 100_000
        assert f"{figures['seeds']} of 100000 seeds done, 300000 to {299_999 + figures['seeds']}" in progress


def test_nothing_is_left_of_a_run_that_was_killed() -> None:
    with running(100_000) as process:
        time.sleep(STARTED_AFTER_S)
        children = children_of(process.pid)
        process.kill()
        time.sleep(2)

        assert len(children) >= 2
        assert not any(lives(child) for child in children)
