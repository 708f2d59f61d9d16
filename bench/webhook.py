"""What taking a provider's event costs, beside a handler that checks its signature and does nothing else.

Both are functions of their own under functions-framework, as they are deployed. Ours has queued the event, as a task,
when it answers. One event after the other, in rotating order, gives the latency and its ratio; many at once give the
rate. Tasks wait: what applies them is another function's work. In the end each event must be queued exactly once.
"""

import asyncio
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
from google.cloud import tasks_v2

from bench.report import BenchFailed, at_most, median, percentile, rotations, run_bench, say, spread
from local.cloud_tasks.emulator import location_of
from local.deployment import STRIPE_PATH, WEBHOOK_SECRET, Deployment
from local.manifest import read_queues
from local.node import REPOSITORY
from local.process import HOST, Child, free_port, start_child
from local.stack import Stack
from local.stripe.wire import sign

ROUNDS, ROUNDS_QUICK = 400, 3
WARM_UP_ROUNDS, WARM_UP_ROUNDS_QUICK = 200, 1
"""The emulator is a Java program, which becomes fast once Java has compiled it. Firestore is warm."""
AT_ONCE, AT_ONCE_QUICK = 16, 2
EVENTS_EACH, EVENTS_EACH_QUICK = 25, 2
"""Events of one of those at once, one after the other."""
BURSTS, BURSTS_QUICK = 7, 1
START_DEADLINE_S = 30.0
TIMEOUT_S = 20.0
IDLE_S_MAX = 2.0
"""Uvicorn closes a connection idle for 5 seconds; one that sat out the other's bursts must not be used again."""
RATIO_MAX = 2.0
BARE, OURS = "bare", "ours"
Samples = dict[str, list[float]]


class _Provider:
    """Sends events, each new, signed and as large as a charge's."""

    def __init__(self, session: aiohttp.ClientSession, urls: Mapping[str, str]) -> None:
        self._session = session
        self._urls = urls
        self.answered: list[str] = []
        """Those that ours has answered."""

    async def send(self, to: str) -> float:
        """How long one event took to be answered, in milliseconds. Raise BenchFailed when it was refused."""
        event_id = f"evt_{secrets.token_hex(12)}"
        raw = json.dumps(_event(event_id)).encode()
        headers = {"stripe-signature": sign(raw, WEBHOOK_SECRET, int(time.time())), "content-type": "application/json"}
        started_at_s = time.perf_counter()
        async with self._session.post(self._urls[to], data=raw, headers=headers) as response:
            answer = await response.read()
        took_ms = (time.perf_counter() - started_at_s) * 1000
        if response.status != 200:
            raise BenchFailed(f"{to} answered {response.status}: {answer[-300:]!r}")
        if to == OURS:
            self.answered.append(event_id)
        return took_ms


def measure(quick: bool) -> dict[str, Any]:
    """Start both, send in turn."""
    with ExitStack() as until_done:
        folder = Path(until_done.enter_context(tempfile.TemporaryDirectory(prefix="credence-")))
        stack = until_done.enter_context(Stack(say))
        project_id = f"demo-bench-{secrets.token_hex(6)}"
        deployment = until_done.enter_context(Deployment(stack, project_id, events=False))
        stack.cloud_tasks.detach(project_id, read_queues())
        urls = {}
        for name, target, source in (
            (BARE, "bare_webhook", REPOSITORY / "bench" / "bare_webhook.py"),
            (OURS, "stripe_webhook", REPOSITORY / "main.py"),
        ):
            port = free_port()
            child = _start(folder, target, source, port, deployment.environment)
            until_done.callback(child.stop)
            urls[name] = f"http://{HOST}:{port}{STRIPE_PATH}"
        figures, answered = asyncio.run(_measure(urls, quick))
        _check(stack, project_id, answered)
        return figures


async def _measure(urls: Mapping[str, str], quick: bool) -> tuple[dict[str, Any], list[str]]:
    """The figures, and the events that ours has answered."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_S_MAX)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        provider = _Provider(session, urls)
        for name in urls:
            await _until_it_answers(provider, name)
        say("Warming up")
        await _in_turn(provider, WARM_UP_ROUNDS_QUICK if quick else WARM_UP_ROUNDS)
        await _bursts(provider, quick, 1)
        say("One after the other")
        times = await _in_turn(provider, ROUNDS_QUICK if quick else ROUNDS)
        say("Many at once")
        rates, waits = await _bursts(provider, quick, BURSTS_QUICK if quick else BURSTS)
    rounds = [ours_ms / bare_ms for ours_ms, bare_ms in zip(times[OURS], times[BARE], strict=True)]
    ratio = median(times[OURS]) / median(times[BARE])
    figures = {
        "per_s": median(rates[OURS]),
        "bare_per_s": median(rates[BARE]),
        "p95_ms": percentile(times[OURS], 95),
        "bare_p95_ms": percentile(times[BARE], 95),
        "p50_ms": median(times[OURS]),
        "bare_p50_ms": median(times[BARE]),
        "at_once_p95_ms": percentile(waits[OURS], 95),
        "bare_at_once_p95_ms": percentile(waits[BARE], 95),
        "at_once_ratio": median(waits[OURS]) / median(waits[BARE]),
        "ratio": ratio,
        "targets": {"ratio": at_most(RATIO_MAX, ratio)},
        "noise": {"rounds": len(rounds), "ratio": spread(rounds), "per_s": spread(rates[OURS])},
    }
    return figures, provider.answered


async def _in_turn(provider: _Provider, rounds: int) -> Samples:
    times: Samples = {BARE: [], OURS: []}
    for order in rotations((BARE, OURS), rounds):
        for name in order:
            times[name].append(await provider.send(name))
    return times


async def _bursts(provider: _Provider, quick: bool, bursts: int) -> tuple[Samples, Samples]:
    """Events a second of each burst, and how long each event took."""
    at_once, each = (AT_ONCE_QUICK, EVENTS_EACH_QUICK) if quick else (AT_ONCE, EVENTS_EACH)
    rates: Samples = {BARE: [], OURS: []}
    waits: Samples = {BARE: [], OURS: []}

    async def send_each(name: str) -> None:
        for _ in range(each):
            waits[name].append(await provider.send(name))

    for order in rotations((BARE, OURS), bursts):
        for name in order:
            started_at_s = time.perf_counter()
            await asyncio.gather(*(send_each(name) for _ in range(at_once)))
            rates[name].append(at_once * each / (time.perf_counter() - started_at_s))
    return rates, waits


async def _until_it_answers(provider: _Provider, name: str) -> None:
    gives_up_at_s = time.monotonic() + START_DEADLINE_S
    while True:
        try:
            await provider.send(name)
        except aiohttp.ClientConnectionError as error:
            if time.monotonic() > gives_up_at_s:
                raise BenchFailed(f"{name} did not start: {error}") from error
            await asyncio.sleep(0.1)
        else:
            return


def _check(stack: Stack, project_id: str, answered: Sequence[str]) -> None:
    """Raise BenchFailed unless there is one task for each answered event."""
    queue = f"{location_of(project_id)}/queues/payments"
    with stack.cloud_tasks.client() as client:
        view = tasks_v2.Task.View.FULL
        tasks = client.list_tasks(request={"parent": queue, "response_view": view})
        kept = sorted(json.loads(task.http_request.body)["event"]["event_id"] for task in tasks)
    if kept != sorted(answered):
        raise BenchFailed(f"{len(answered)} events were answered, {len(kept)} are queued")


def _start(folder: Path, target: str, source: Path, port: int, environment: Mapping[str, str]) -> Child:
    program = Path(sys.executable).with_name("functions-framework")
    command = [program, "--target", target, "--source", source, "--host", HOST, "--port", str(port)]
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return start_child(target, command, folder=folder, environment={**inherited, **environment})


def _event(event_id: str) -> dict[str, Any]:
    """An event about a charge, with as many fields as Stripe's have."""
    charge = {
        "id": f"ch_{secrets.token_hex(12)}",
        "object": "charge",
        "amount": 999,
        "currency": "usd",
        "status": "succeeded",
        "paid": True,
        "payment_intent": f"pi_{secrets.token_hex(12)}",
        "metadata": {"order": secrets.token_hex(16)},
        "billing_details": {"address": dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))},
        "payment_method_details": {"card": dict.fromkeys(map(str, range(20)), "word")},
        **{f"field_{number}": None for number in range(40)},
    }
    return {
        "id": event_id,
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": int(time.time()),
        "data": {"object": charge},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": "charge.succeeded",
    }


if __name__ == "__main__":
    sys.exit(run_bench("bench.webhook", measure))
