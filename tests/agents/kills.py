"""Jobs whose workers are killed with SIGKILL at random moments, beside one that is left alone.

`python -m tests.agents.kills --kills 50` does it for every kind and prints one JSON object. A kind is tried by adding a
case to CASES.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from local.node import REPOSITORY
from local.stack import Stack
from shared.agents.models import Job, JobState
from tests.agents.yard import CEILING_MICROS, Yard

LEASE_MS = 400
"""So long a killed worker keeps others out. Short, or a test would mostly wait."""
STEPS_PER_LEG = 3
ENDS_WITHIN_S = 60.0
WORDS_TOLD_MAX = 4_000
KILLS_PER_JOB_MAX = 8
"""After so many a job is left to finish, and another begun: kills are to fall on its late steps too."""

CASES: Mapping[str, dict[str, Any]] = {
    "code": {"task": "Count the words of a text."},
    "data": {"question": "What is sold in all?", "tables": {"sales.csv": "month,credits\n1,10\n2,20.5\n"}},
    "images": {
        "prompts": ["a cat", "[[refused]]", "a dog", "a bird"],
        "model": "black-forest-labs/flux-schnell",
        "size": "512x512",
    },
    "video": {
        "prompt": "A cat sleeps.",
        "model": "google/veo-3.1-fast-generate-001",
        "seconds": 4,
        "ceiling_micros": 60_000_000,
    },
    "research": {"topic": "How are credits held? How does a job resume? Who signs the log?"},
}
"""What is asked of a job of each kind, with a ceiling where the usual one is too low: enough for several steps, each
with the same outcome every time."""


class Nursery:
    """Worker processes, one at a time."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        # A file, because a pipe that nobody reads fills up and stops whoever writes.
        self._log = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115 - closed where the process ends
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.agents.nursery"],
            cwd=REPOSITORY,
            env={**inherited, **environment, "PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=ENDS_WITHIN_S)
        self._log.close()

    async def run(self, job: Job, *, dies_after_s: float | None) -> bool:
        """A worker until it ends by itself, or is killed. True when it was killed."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{job.job_id} {LEASE_MS} {STEPS_PER_LEG}\n")
        self._process.stdin.flush()
        child = int(await self._line())
        ending = asyncio.ensure_future(self._line())
        if dies_after_s is not None:
            await asyncio.wait((ending,), timeout=dies_after_s)
            if not ending.done():
                os.kill(child, signal.SIGKILL)
        status = int(await asyncio.wait_for(ending, ENDS_WITHIN_S))
        assert status in (0, -signal.SIGKILL), self._last_words()
        return status == -signal.SIGKILL

    def _last_words(self) -> str:
        self._log.seek(0)
        return self._log.read()[-WORDS_TOLD_MAX:]

    async def _line(self) -> str:
        assert self._process.stdout is not None
        return await asyncio.to_thread(self._process.stdout.readline)


@dataclass
class Report:
    """What came of one kind."""

    kills: int = 0
    jobs: int = 0
    at_steps: list[int] = field(default_factory=list)
    """How many steps were finished when each kill fell."""
    in_calls: int = 0
    """How many fell while a call was under way."""
    attempts_extra: int = 0
    """Calls that were begun more than once under a new hold."""
    undisturbed_s: float = 0.0


async def kill(yard: Yard, kind: str, *, kills: int, seed: int) -> Report:
    """Kill workers of this kind so often, job after job, and hold each job against one that was left alone."""
    chance, report = random.Random(seed), Report()  # noqa: S311 - chooses moments, guards nothing
    with Nursery(yard.environment) as nursery:
        # The first one warms what the emulators and the stand-in still have to load.
        await _left_alone(yard, nursery, kind)
        begun_s = time.monotonic()
        model = await _left_alone(yard, nursery, kind)
        report.undisturbed_s = time.monotonic() - begun_s
        charges = await yard.charges(model)
        while report.kills < kills:
            job, before = await _begun(yard, kind)
            await _harass(yard, nursery, job, report, chance, kills_max=min(KILLS_PER_JOB_MAX, kills - report.kills))
            done = await yard.job(job)
            _check_done(done)
            assert done.result == model.result
            assert await yard.charges(job) == charges, "each step is charged once, and as much"
            assert done.spent_micros == model.spent_micros == before - await yard.spendable_micros()
            assert (done.holds, await yard.held_micros()) == ({}, 0)
            await yard.events(job)
            report.jobs += 1
            report.attempts_extra += sum(trace.attempt for trace in await yard.traces(job))
    return report


async def _begun(yard: Yard, kind: str) -> tuple[Job, int]:
    """A job, with what there is to spend before it. How many jobs it takes to kill so many workers is chance's: each
    brings what it may cost.
    """
    await yard.fund(CASES[kind].get("ceiling_micros", CEILING_MICROS))
    before = await yard.spendable_micros()
    return await yard.start(kind, **CASES[kind]), before


async def _left_alone(yard: Yard, nursery: Nursery, kind: str) -> Job:
    job, _ = await _begun(yard, kind)
    assert not await nursery.run(job, dies_after_s=None)
    done = await yard.job(job)
    _check_done(done)
    assert done.spent_micros > 0
    return done


def _check_done(job: Job) -> None:
    assert job.state is JobState.SUCCEEDED, f"{job.state.value}: {job.failure or job.pause or job.approval}"


async def _harass(
    yard: Yard, nursery: Nursery, job: Job, report: Report, chance: random.Random, *, kills_max: int
) -> None:
    for _ in range(kills_max):
        # A worker waits for the lease of the one before it, and then has up to the whole job to be killed in.
        dies_after_s = chance.uniform(0, LEASE_MS / 1_000 + report.undisturbed_s)
        if not await nursery.run(job, dies_after_s=dies_after_s):
            return
        now = await yard.job(job)
        report.kills += 1
        report.at_steps.append(now.steps_done)
        report.in_calls += bool(now.holds)
    assert not await nursery.run(job, dies_after_s=None)


@contextlib.asynccontextmanager
async def _open_yard(stack: Stack) -> AsyncIterator[Yard]:
    os.environ["FIRESTORE_EMULATOR_HOST"] = stack.firestore_address
    yard = Yard(stack, f"demo-{secrets.token_hex(8)}")
    await yard.open()
    yield yard
    await yard.close()


async def _kill_all(stack: Stack, names: list[str], kills: int, seed: int) -> dict[str, Report]:
    reports = {}
    for name in names:
        async with _open_yard(stack) as yard:
            reports[name] = await kill(yard, name, kills=kills, seed=seed)
    return reports


def main() -> None:
    """Kill, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.agents.kills")
    parser.add_argument("--kills", type=int, default=50, help="of each kind")
    parser.add_argument("--kind", choices=sorted(CASES), action="append", help="all of them without it")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    names = options.kind or sorted(CASES)
    with contextlib.redirect_stdout(sys.stderr), Stack() as stack:
        reports = asyncio.run(_kill_all(stack, names, options.kills, options.seed))
    sys.stdout.write(json.dumps({name: report.__dict__ for name, report in reports.items()}) + "\n")


if __name__ == "__main__":
    main()
