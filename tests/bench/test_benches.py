"""The benchmarks: that each runs to its end and prints what it promises. Nothing here judges a figure."""

import json
import os
import subprocess
import sys
from typing import Any

from bench.cold import QUICK
from local.manifest import read_manifest
from local.node import REPOSITORY
from local.stack import Stack

TIMEOUT_S = 240.0
"""Starting every function once takes a minute or two; the rest is for a machine that is busy."""

LEDGER_KEYS = (
    "bare_commit_ms",
    "store_commit_ms",
    "debit_warm_ms",
    "debit_warm_ratio",
    "debit_warm_rpcs",
    "debit_cold_ms",
    "debit_cold_rpcs",
    "stock_ms",
    "stock_rpcs",
    "hold_writes",
    "capture_writes",
    "hot_ours_ok",
    "hot_ours_per_s",
    "hot_stock_ok",
    "hot_stock_per_s",
    "hot_ratio",
)
CHAT_KEYS = (
    "added_p50_ms",
    "added_p95_ms",
    "rps",
    "direct_rps",
    "stream_added_p50_ms",
    "stream_added_p95_ms",
    "stream_rps",
    "stream_direct_rps",
    "first_token_added_p50_ms",
    "first_token_added_p95_ms",
    "memory_mib",
)
CHAT_PEER_KEYS = (
    "peer_added_p50_ms",
    "peer_added_p95_ms",
    "peer_rps",
    "added_ratio",
    "first_token_added_ratio",
    "peer_memory_mib",
)


def run_quick(module: str, stack: Stack) -> dict[str, Any]:
    """What a benchmark prints when it is only tried out, on the emulators that the tests have anyway."""
    inherited = {name: value for name, value in os.environ.items() if name != "PEER"}
    emulators = {
        "FIRESTORE_EMULATOR_HOST": stack.firestore_address,
        "FIREBASE_AUTH_EMULATOR_HOST": stack.auth_address,
    }
    environment = {**inherited, **emulators}
    done = subprocess.run(
        [sys.executable, "-m", module, "--quick"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Exactly one object and nothing else: json refuses more.
    figures: dict[str, Any] = json.loads(done.stdout)
    assert figures["command"] == module
    assert figures["noise"]["cpus"] == os.cpu_count()
    assert figures["targets"]
    for target in figures["targets"].values():
        assert set(target) == {"target", "measured", "met"}
    return figures


def assert_numbers(figures: dict[str, Any], names: tuple[str, ...]) -> None:
    """Each is there and is a number."""
    for name in names:
        assert type(figures[name]) in (int, float), name


def test_the_ledger_benchmark_counts_calls_and_documents_exactly(stack: Stack) -> None:
    figures = run_quick("bench.ledger", stack)

    assert_numbers(figures, LEDGER_KEYS)
    assert figures["debit_warm_rpcs"] == 1
    assert figures["debit_cold_rpcs"] == 2
    assert figures["stock_rpcs"] == 3
    assert (figures["hold_writes"], figures["capture_writes"]) == (1, 2)
    assert figures["hot_ours_ok"] > 0


def test_the_chat_benchmark_finds_one_capture_for_every_call(stack: Stack) -> None:
    figures = run_quick("bench.chat", stack)

    assert_numbers(figures, CHAT_KEYS)
    assert [figures[name] for name in CHAT_PEER_KEYS] == [None] * len(CHAT_PEER_KEYS)
    assert figures["captures"] == figures["calls"] > 0


def test_the_cold_start_benchmark_starts_a_function_of_each_sort(stack: Stack) -> None:
    """With the first requests that tests/functions/test_alone.py sends to every function of the manifest."""
    figures = run_quick("bench.cold", stack)

    assert set(figures["ratios"]) == QUICK < {row.name for row in read_manifest()}
    assert figures["worst_ratio"] == max(figures["ratios"].values())
    assert_numbers(figures, ("worst_ratio", "hello_ms"))


def test_verify_runs_and_prints_its_figures(stack: Stack) -> None:
    """No emulator is needed; it gets one all the same."""
    printed = run_quick("bench.verify", stack)

    assert printed.keys() >= {"entries_per_s", "documents_per_s", "sha_ratio", "json_ratio"}
    assert all(printed[name] > 0 for name in ("entries_per_s", "sha_ratio", "json_ratio"))


def test_settle_runs_and_prints_its_figures(stack: Stack) -> None:
    """Every sale is settled, at every size, or it fails."""
    printed = run_quick("bench.settle", stack)

    assert printed.keys() >= {"per_s", "ops_per_1000", "exponent"}
    assert printed["reads_per_1000"] >= 1_000
    assert printed["writes_per_1000"] > 0


def test_hot_loses_and_doubles_nothing(stack: Stack) -> None:
    """Four processes on one account, each with an engine that knows nothing of the others."""
    printed = run_quick("bench.hot", stack)

    assert (printed["hot4_lost"], printed["hot4_doubled"]) == (0, 0)
    assert printed["hot4_per_s"] > 0


def test_predict_beats_the_naive_guess_and_claims_nothing_of_noise(stack: Stack) -> None:
    """No emulator is needed; it gets one all the same."""
    printed = run_quick("bench.predict", stack)

    assert_numbers(printed, ("mae", "naive_mae", "ratio"))
    assert printed["targets"]["noise_claims"]["met"]
    assert [score["claimed"] > 0 for score in printed["loads"].values()] == [True, False, False, False]


def test_the_stream_benchmark_reads_every_chunk_through_both(stack: Stack) -> None:
    """It fails by itself when an answer is not whole."""
    assert_numbers(run_quick("bench.stream", stack), ("cpu_ratio", "us_per_chunk", "relay_us_per_chunk"))


def test_the_webhook_benchmark_finds_one_task_for_every_event(stack: Stack) -> None:
    figures = run_quick("bench.webhook", stack)
    assert_numbers(figures, ("per_s", "bare_per_s", "p95_ms", "bare_p95_ms", "ratio", "at_once_ratio"))


def test_the_route_benchmark_chooses_warm_without_a_read(stack: Stack) -> None:
    figures = run_quick("bench.route", stack)

    assert_numbers(figures, ("choose_ms", "reads_warm"))
    assert figures["reads_warm"] == figures["rpcs_warm"] == 0


def test_the_job_benchmark_finishes_every_job(stack: Stack) -> None:
    """Each with all of its artifacts, or it could not be run."""
    figures = run_quick("bench.job", stack)
    assert_numbers(figures, ("exponent", "overhead_ms_per_step", "writes_per_step", "memory_ms_per_step"))
