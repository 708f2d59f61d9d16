"""The ledger holds in the simulation, and the simulation is what it claims to be: the same each time."""

import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from local.node import REPOSITORY
from simulation import books
from simulation.__main__ import main
from simulation.books import Books
from simulation.faults import Rates, draw_rates
from simulation.judge import Violation
from simulation.process import Process
from simulation.timers import TIMERS, Timer
from simulation.workload import draw_script
from simulation.world import World, run, simulate
from tests.ledger.builders import chance_of

pytestmark = pytest.mark.slow

SEEDS = 50
BUSY_SEED = 7
REPLAY = f"from simulation.world import simulate; print('\\n'.join(simulate({BUSY_SEED}, tracing=True).trace))"


def timed_seeds() -> list[int]:
    """The seeds in which processes run their timers."""
    return [seed for seed in range(SEEDS) if draw_script(chance_of(seed)).timed]


def test_no_seed_finds_a_violation() -> None:
    outcomes = [simulate(seed) for seed in range(SEEDS)]

    assert [(outcome.seed, outcome.violation) for outcome in outcomes if outcome.violation] == []
    assert sum(outcome.commits for outcome in outcomes) > 10 * SEEDS
    assert sum(outcome.kills for outcome in outcomes) > SEEDS


def test_no_seed_finds_a_violation_when_everything_fails_as_often_as_it_may() -> None:
    worst = Rates(
        lost=0.2,
        unacknowledged=0.2,
        aborted=0.2,
        late=0.2,
        lingering=0.2,
        unread=0.3,
        slow=0.2,
        duplicated=0.5,
        reordered=0.5,
        strayed=1.0,
        disconnected=0.1,
        skewed=True,
        jumped=0.1,
        steps_per_kill=40,
        gentle=0.5,
        minted=0.2,
    )

    assert [simulate(seed, rates=worst).violation for seed in range(10)] == [None] * 10


def test_a_replay_is_identical_to_the_first_run() -> None:
    first, second = (simulate(BUSY_SEED, tracing=True) for _ in range(2))

    assert len(first.trace) > 50
    assert first == second


def test_a_replay_does_not_depend_on_the_seed_of_hashes() -> None:
    traces = [
        subprocess.run(
            [sys.executable, "-c", REPLAY],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.splitlines()
        for hash_seed in ("1", "2")
    ]

    assert traces[0] == traces[1] == list(simulate(BUSY_SEED, tracing=True).trace)


def test_rates_reach_the_bar_and_stay_within_it() -> None:
    drawn = [draw_rates(chance_of(seed)) for seed in range(500)]

    for name, most in {
        "lost": 0.3,
        "unacknowledged": 0.3,
        "aborted": 0.3,
        "late": 0.3,
        "lingering": 0.3,
        "unread": 0.3,
        "slow": 0.2,
        "duplicated": 0.5,
        "reordered": 0.5,
        "strayed": 1.0,
    }.items():
        values = [getattr(rates, name) for rates in drawn]
        assert min(values) == 0
        assert 0.9 * most < max(values) <= most
    assert {rates.skewed for rates in drawn} == {True, False}
    assert min(rates.steps_per_kill for rates in drawn) == 0 < max(rates.steps_per_kill for rates in drawn)


def test_a_process_may_die_at_any_await() -> None:
    traces = [line for seed in range(20) for line in simulate(seed, tracing=True).trace]
    last_words = [line for line, after in pairwise(traces) if "dies" in after]

    assert len({line.split("  ")[-1][:12] for line in last_words}) > 10


def test_the_last_line_is_one_object_with_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--seeds", "3", "--workers", "1"])

    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert status == 0
    assert (figures["seeds"], figures["violations"]) == (3, 0)
    assert figures["seeds_per_s"] > 0
    assert figures["simulated_s"] > 0


def test_a_violation_is_told_with_its_replay_and_ends_in_status_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never_holds(_books: Books) -> None:
        raise Violation("as it must")

    monkeypatch.setattr(books, "AT_END", [never_holds])

    status = main(["--first", "5", "--seeds", "1", "--workers", "1"])

    violation, replay, figures = capsys.readouterr().out.splitlines()
    assert status == 1
    assert violation == "seed 5: as it must"
    assert replay.endswith("python -m simulation --seed 5 --trace")
    assert json.loads(figures)["violations"] == 1


def test_workers_find_what_one_process_finds(capsys: pytest.CaptureFixture[str]) -> None:
    figures = []
    for workers in ("1", "2"):
        assert main(["--seeds", "6", "--workers", workers]) == 0
        figures.append(json.loads(capsys.readouterr().out.splitlines()[-1]))

    assert {**figures[0], "seeds_per_s": 0} == {**figures[1], "seeds_per_s": 0}


def test_every_process_runs_the_registered_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[str] = []

    def build(owner: Process) -> Callable[[], Awaitable[object]]:
        async def look() -> None:
            runs.append(owner.name)
            await owner.store.read((), ())

        return look

    monkeypatch.setattr("simulation.world.TIMERS", [*TIMERS, Timer("look", 5.0, build)])

    outcome = simulate(timed_seeds()[0])

    assert outcome.violation is None
    assert {name[:2] for name in runs} == {"p0", "p1", "p2"}


def test_timers_settle_and_sign_while_processes_die() -> None:
    """Windows with several payees, several processes at once, and nothing left over once the faults have stopped."""
    worlds = []
    for seed in timed_seeds():
        world = World(seed)
        assert run(world) is None
        worlds.append(world)

    settled = [key for world in worlds for key in world.witness.books.settled.settled]
    assert len(settled) > 4 * len(worlds)
    assert {payee.partition(":")[0] for _, _, payee in settled} == {"house", "earn"}
    assert sum(len(world.witness.log_books.signed) for world in worlds) > 10 * len(worlds)
    assert sum(len(world.graveyard) for world in worlds) > len(worlds)
    assert all(world.witness.books.settled.pending() == 0 for world in worlds)
