"""What a streamed chunk costs our gateway's processor beside a bare relay of the same stream.

A hundred clients at once read answers of two hundred chunks, at the pace of a model that writes one chunk every so many
milliseconds. The model, the relay and the gateway are processes of their own; the load comes from this one. Rounds
alternate between relay and gateway, and a figure is the processor time that the process used in a round over the chunks
that it relayed, everything included: for the gateway also the caller's check, the hold and the capture of each call.
"""

import asyncio
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp

from bench.report import BenchFailed, at_most, median, run_bench, say, spread
from bench.sse_server import READY_PATH
from bench.usage import cpu_s, process_id_of
from local.deployment import Deployment
from local.node import REPOSITORY
from local.people import People
from local.process import HOST, Service, free_port, start_child
from local.stack import Stack

MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct"
STREAMS, STREAMS_QUICK = 100, 4
CHUNKS, CHUNKS_QUICK = 200, 10
PAUSE_S, PAUSE_S_QUICK = 0.02, 0.001
"""Fifty chunks a second is a fast model; a hundred of those leave two cores room, so that chunks do not pile up."""
ROUNDS, ROUNDS_QUICK = 7, 1
START_DEADLINE_S = 30.0
CALL_TIMEOUT_S = 60.0
IDLE_S_MAX = 2.0
"""Uvicorn closes a connection idle for 5 seconds; one that sat out the other's round must not be used again."""
CPU_RATIO_MAX = 1.5
RELAY, OURS = "relay", "ours"


def measure(quick: bool) -> dict[str, Any]:
    """Start everything, stream in turn."""
    streams, chunks, pause_s, rounds = (
        (STREAMS_QUICK, CHUNKS_QUICK, PAUSE_S_QUICK, ROUNDS_QUICK) if quick else (STREAMS, CHUNKS, PAUSE_S, ROUNDS)
    )
    with ExitStack() as until_done:
        folder = Path(until_done.enter_context(tempfile.TemporaryDirectory(prefix="credence-")))
        stack = until_done.enter_context(Stack(say))
        model = until_done.enter_context(_start("Model", folder, "model", str(chunks), str(pause_s)))
        model_url = f"http://{model.address}"
        relay = until_done.enter_context(_start("Relay", folder, "relay", model_url))
        project_id = f"demo-bench-{secrets.token_hex(6)}"
        ours = until_done.enter_context(
            Deployment(stack, project_id, environment={"STANDIN_URL": model_url}, events=False)
        )
        tokens = [People(stack.auth_address).add(project_id).token for _ in range(streams)]
        urls = {RELAY: f"http://{relay.address}", OURS: ours.url}
        pids = {RELAY: process_id_of(relay), OURS: ours.process_id}
        costs = asyncio.run(_rounds(urls, pids, tokens, chunks=chunks, rounds=rounds))
    ratios = [ours_us / relay_us for ours_us, relay_us in zip(costs[OURS], costs[RELAY], strict=True)]
    ratio = median(ratios)
    return {
        "cpu_ratio": ratio,
        "us_per_chunk": median(costs[OURS]),
        "relay_us_per_chunk": median(costs[RELAY]),
        "streams": streams,
        "chunks": chunks,
        "targets": {"cpu_ratio": at_most(CPU_RATIO_MAX, ratio)},
        "noise": {"rounds": rounds, "cpu_ratio": spread(ratios)},
    }


async def _rounds(
    urls: dict[str, str], pids: dict[str, int], tokens: Sequence[str], *, chunks: int, rounds: int
) -> dict[str, list[float]]:
    """Microseconds of processor time for a chunk, by program and round."""
    costs: dict[str, list[float]] = {name: [] for name in urls}
    timeout = aiohttp.ClientTimeout(total=CALL_TIMEOUT_S)
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_S_MAX)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        for token in tokens:
            headers = {"authorization": f"Bearer {token}"}
            async with session.post(f"{urls[OURS]}/v1/account", headers=headers) as response:
                if response.status != 200:
                    raise BenchFailed(f"an account could not be started: {await response.text()}")
        # The first round opens connections and lets Java compile; it does not count.
        for number in range(rounds + 1):
            say(f"Round {number} of {rounds}" if number else "Warming up")
            for name, url in urls.items():
                before_s = cpu_s(pids[name])
                await asyncio.gather(
                    *(_stream(session, f"{url}/v1/chat/completions", token, chunks) for token in tokens)
                )
                if number:
                    costs[name].append((cpu_s(pids[name]) - before_s) * 1e6 / (len(tokens) * chunks))
    return costs


async def _stream(session: aiohttp.ClientSession, url: str, token: str, chunks: int) -> None:
    """Read one answer to its end. Raise BenchFailed when it is not whole."""
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    messages = [{"role": "user", "content": "Write."}]
    body = json.dumps({"model": MODEL, "messages": messages, "max_tokens": 2 * chunks, "stream": True})
    try:
        async with session.post(url, data=body, headers=headers) as response:
            answer = await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise BenchFailed(f"{url} did not answer: {type(error).__name__} {error}") from error
    if response.status != 200 or answer.count(b'"content":') != chunks or not answer.endswith(b"data: [DONE]\n\n"):
        raise BenchFailed(f"{url} answered {response.status}: {answer[-300:]!r}")


def _start(name: str, folder: Path, kind: str, *arguments: str) -> Service:
    port = free_port()
    command = [sys.executable, "-m", "bench.sse_server", kind, str(port), *arguments]
    inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    child = start_child(name, command, folder=folder, environment={**inherited, "PYTHONPATH": str(REPOSITORY)})
    return Service(name, f"{HOST}:{port}", child, READY_PATH, START_DEADLINE_S)


if __name__ == "__main__":
    sys.exit(run_bench("bench.stream", measure))
