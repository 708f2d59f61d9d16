"""Cold start: from process start to the first answered request, for each function and for a bare hello-world.

Both run under functions-framework as in the cloud (gunicorn with one uvicorn worker). A function's first request is a
real one, authenticated and answered with 200, so it includes the first contact with Auth and Firestore; hello-world
imports google-cloud-firestore and answers without it. Timers are started before any other function has posted, so that
they find a quiet minute: how long their work takes is no matter of their start. A ratio is the median over the pairs of
a function and the hello-world started right after it.
"""

import itertools
import secrets
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.first_requests import FirstRequests
from bench.report import at_most, median, run_bench, say, spread
from bench.starter import FirstRequest, Starter
from local.deployment import Deployment
from local.manifest import read_manifest, read_queues
from local.node import REPOSITORY
from local.stack import Stack

HELLO = "hello"
PAIRS, PAIRS_QUICK = 9, 1
QUICK = frozenset({"chat_completions", "credit_balance", "ledger_checkpoint"})
"""What is started when the benchmark is only tried out: one that calls providers, one that does not, and a timer. That
each function answers its first request, `tests/functions/test_alone.py` sees."""
CALL_PROVIDERS = frozenset(
    {
        "chat_completions",
        "embedding_create",
        "image_generate",
        "image_run",
        "key_validate",
        "job_step",
        "conversation_quote",
        "conversation_regenerate",
        "conversation_reply",
        "conversation_title",
        "response_create",
        "speech_transcribe",
    }
)
CHAIN_CALLERS = frozenset({"credit_topup", "crypto_claim"})
PAYMENT_CALLERS = CHAIN_CALLERS | {
    "checkout_create",
    "order_check",
    "order_refund",
    "order_release",
    "payment_apply",
    "payment_refund",
    "payout_apply",
    "payout_onboard",
    "payout_request",
    "payout_send",
    "reconcile_daily",
    "settlement_daily",
}
CALLERS = CALL_PROVIDERS | PAYMENT_CALLERS
CALLER_RATIO_MAX = 1.4
"""Of those that call providers, which need an HTTP client as well."""
OTHER_RATIO_MAX = 1.25


def measure(quick: bool) -> dict[str, Any]:
    """All functions, round after round; first the timers, then those that leave them work."""
    rows = [row for row in read_manifest() if row.name in QUICK or not quick]
    groups = [row for row in rows if row.trigger.schedule], [row for row in rows if not row.trigger.schedule]
    pairs = PAIRS_QUICK if quick else PAIRS
    times: dict[str, list[float]] = {row.name: [] for row in rows}
    hellos: dict[str, list[float]] = {row.name: [] for row in rows}
    with (
        tempfile.TemporaryDirectory(prefix="credence-") as folder,
        Stack(say) as stack,
        Deployment(stack, f"demo-bench-{secrets.token_hex(6)}", events=False) as deployment,
    ):
        # What is posted waits for the function that is timed.
        stack.cloud_tasks.detach(deployment.project_id, read_queues())
        first_requests = FirstRequests(stack, deployment)
        starter = Starter(Path(folder), deployment.environment)
        # The first round compiles, and fills the disk cache; it does not count.
        for group, number in itertools.product(groups, range(pairs if quick else pairs + 1)):
            say(f"Round {number} of {pairs}" if number else "Warming up")
            for row in group:
                function_ms = starter.time_start_ms(row.name, REPOSITORY / "main.py", first_requests.of(row))
                hello_ms = starter.time_start_ms(HELLO, REPOSITORY / "bench" / "hello.py", FirstRequest())
                if number or quick:
                    times[row.name].append(function_ms)
                    hellos[row.name].append(hello_ms)
    return _figures(times, hellos)


def _figures(times: Mapping[str, list[float]], hellos: Mapping[str, list[float]]) -> dict[str, Any]:
    ratios = {name: median([f / h for f, h in zip(times[name], hellos[name], strict=True)]) for name in times}
    all_hellos = [hello_ms for sample in hellos.values() for hello_ms in sample]
    chat = "chat_completions"
    callers = max(ratio for name, ratio in ratios.items() if name in CALLERS)
    others = max(ratio for name, ratio in ratios.items() if name not in CALLERS)
    return {
        "worst_ratio": max(ratios.values()),
        "ratios": ratios,
        "hello_ms": median(all_hellos),
        "function_ms": {name: median(sample) for name, sample in times.items()},
        "targets": {"callers": at_most(CALLER_RATIO_MAX, callers), "others": at_most(OTHER_RATIO_MAX, others)},
        "noise": {"pairs": len(times[chat]), "hello_ms": spread(all_hellos)},
    }


if __name__ == "__main__":
    sys.exit(run_bench("bench.cold", measure))
