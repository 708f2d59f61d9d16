"""Jobs of agents: what a step costs, and that it does not cost more the further a job is.

One job of each size keeps an artifact of 100 kB a step; the exponent is the slope of the bytes that were sent to
Firestore over the number of steps, both in logarithms: 1 is linear. Then the same graph without artifacts runs in the
engine and, step for step beside it, under LangGraph with its saver in memory: the difference is what the engine adds.
"""

import asyncio
import hashlib
import math
import os
import random
import secrets
import statistics
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from msgspec import Meta, to_builtins

from bench.report import BenchFailed, at_most, run_bench, say
from local.deployment import Deployment
from local.stack import Stack
from shared.agents.desk import Desk
from shared.agents.models import Job, JobState, JobTask
from shared.app import App
from shared.base.body import Body
from shared.base.ids import AccountId, UserId, new_request_id
from shared.base.settings import Settings
from shared.calls.models import Asking

if TYPE_CHECKING:
    from langgraph.graph import StateGraph

SIZES, SIZES_QUICK = (60, 125, 250, 500), (4, 8)
ARTIFACT_BYTES = 100_000
"""Fifty megabytes in five hundred steps."""
BARE_STEPS, BARE_STEPS_QUICK = 200, 6
ROUNDS, ROUNDS_QUICK = 5, 1
EXPONENT_MAX = 1.05
MODEL = "google/gemma-2-2b-it"
ACCOUNT = AccountId("user:bench")


class BenchParams(Body, frozen=True, kw_only=True):
    """How many steps, and how many bytes each keeps."""

    steps: Annotated[int, Meta(ge=1, le=1_000)]
    artifact_bytes: int = 0


class BenchState(TypedDict, total=False):
    """Of one size, however long the job."""

    steps: int
    artifact_bytes: int
    done: int
    digest: str
    result: dict[str, Any]


class BenchKind:
    """A chain of steps, each of which keeps an artifact or does nothing."""

    name = "bench"
    params = BenchParams
    steps_max = 1_010

    def first_state(self, params: BenchParams) -> dict[str, Any]:
        return {**to_builtins(params), "done": 0, "digest": ""}

    def steps_expected(self, params: BenchParams) -> int:
        return params.steps

    def orders(self, params: BenchParams) -> tuple[()]:
        return ()

    def graph(self, desk: Desk) -> "StateGraph[Any]":
        return chain_of(desk)


def chain_of(desk: Desk | None) -> "StateGraph[Any]":
    """The graph, with a desk or without."""
    from langgraph.graph import END, START, StateGraph

    async def work(state: BenchState) -> dict[str, Any]:
        number = state["done"]
        digest = hashlib.sha256(f"{state['digest']}{number}".encode()).hexdigest()
        if desk is not None and state["artifact_bytes"]:
            data = random.Random(number).randbytes(state["artifact_bytes"])  # noqa: S311 - filling
            digest = (await desk.keep(f"{number}.bin", "application/octet-stream", data)).artifact_id
        return {"done": number + 1, "digest": digest, "result": {"digest": digest}}

    graph: StateGraph[Any] = StateGraph(BenchState)
    graph.add_node("work", work)
    graph.add_edge(START, "work")
    graph.add_conditional_edges("work", lambda state: END if state["done"] >= state["steps"] else "work")
    return graph


KIND = BenchKind()


class Counted:
    """What is sent to Firestore, counted where all of the library's commits go through."""

    def __init__(self, app: App) -> None:
        self.writes = 0
        self.bytes = 0
        api = app.firestore._firestore_api
        commit: Callable[..., Any] = api.commit

        async def counted(*, request: Any, **rest: Any) -> Any:
            self.writes += len(request["writes"])
            self.bytes += sum(type(write).pb(write).ByteSize() for write in request["writes"])
            return await commit(request=request, **rest)

        api.commit = counted

    def take(self) -> tuple[int, int]:
        """Writes and bytes since the last time."""
        taken = self.writes, self.bytes
        self.writes = self.bytes = 0
        return taken


class OwnQueue(App):
    """A process that delivers its jobs' tasks to itself."""

    class _Nowhere:
        async def post(self, *_: object, **__: object) -> None:
            return

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.__dict__.update(tasks=self._Nowhere(), job_kinds=lambda name: KIND)


def measure(quick: bool) -> dict[str, Any]:
    """One job of each size, then the bare steps."""
    with Stack(say) as stack:
        environment = Deployment(stack, f"demo-bench-{secrets.token_hex(6)}").environment
        os.environ["FIRESTORE_EMULATOR_HOST"] = stack.firestore_address
        return asyncio.run(_measure(Settings.from_environment(environment), quick))


async def _measure(settings: Settings, quick: bool) -> dict[str, Any]:
    app = OwnQueue(settings)
    counted = Counted(app)
    sizes: dict[int, dict[str, float]] = {}
    await _run_job(app, SIZES_QUICK[0], ARTIFACT_BYTES)
    for steps in SIZES_QUICK if quick else SIZES:
        say(f"A job of {steps} steps with {steps * ARTIFACT_BYTES / 1e6:g} MB of artifacts")
        counted.take()
        begun_s = time.perf_counter()
        await _run_job(app, steps, ARTIFACT_BYTES)
        took_s = time.perf_counter() - begun_s
        writes, sent = counted.take()
        sizes[steps] = {"took_s": took_s, "writes_per_step": writes / steps, "bytes": sent}
    exponent = _slope([(steps, one["bytes"]) for steps, one in sizes.items()])
    steps, rounds = (BARE_STEPS_QUICK, ROUNDS_QUICK) if quick else (BARE_STEPS, ROUNDS)
    ours, memory, writes_bare = await _bare(app, counted, steps, rounds)
    largest = sizes[max(sizes)]
    return {
        "exponent": exponent,
        "overhead_ms_per_step": statistics.median(ours) - statistics.median(memory),
        "writes_per_step": writes_bare,
        "writes_per_step_with_artifact": largest["writes_per_step"],
        "ours_ms_per_step": statistics.median(ours),
        "memory_ms_per_step": statistics.median(memory),
        "largest_took_s": largest["took_s"],
        "largest_bytes": largest["bytes"],
        "sizes": {str(size): one for size, one in sizes.items()},
        "targets": {"exponent": at_most(EXPONENT_MAX, exponent)},
        "noise": {"ours_ms": _spread(ours), "memory_ms": _spread(memory), "bare_steps": steps, "rounds": rounds},
    }


async def _bare(app: App, counted: Counted, steps: int, rounds: int) -> tuple[list[float], list[float], float]:
    """Milliseconds a step in the engine and in memory, in turn, and the engine's writes a step."""
    ours, memory, writes = [], [], 0
    await _run_job(app, steps, 0)
    for number in range(rounds):
        say(f"Bare steps, round {number + 1} of {rounds}")
        counted.take()
        begun_s = time.perf_counter()
        await _run_job(app, steps, 0)
        ours.append((time.perf_counter() - begun_s) * 1_000 / steps)
        writes += counted.take()[0]
        memory.append(await _in_memory(steps))
    return ours, memory, writes / steps / rounds


async def _run_job(app: App, steps: int, artifact_bytes: int) -> Job:
    job = await app.job_starts.start(
        Asking(account_id=ACCOUNT, request_id=new_request_id()),
        UserId("bench"),
        kind="bench",
        params={"steps": steps, "artifact_bytes": artifact_bytes},
        model_id=MODEL,
        ceiling_micros=1_000_000,
        key=secrets.token_hex(8),
    )
    while not job.is_over:
        await app.job_runner.run(JobTask(job_id=job.job_id, leg=job.leg))
        kept = await app.job_store.find(job.job_id)
        if kept is None:
            raise BenchFailed("the job is gone")
        job = kept.job
    if job.state is not JobState.SUCCEEDED or job.artifact_bytes != steps * artifact_bytes:
        raise BenchFailed(f"the job ended {job.state}: {job.failure}")
    return job


async def _in_memory(steps: int) -> float:
    """Milliseconds a step of the same graph under LangGraph's own saver in memory."""
    from langgraph.checkpoint.memory import InMemorySaver

    graph = chain_of(None).compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "bench"}, "recursion_limit": KIND.steps_max}
    begun_s = time.perf_counter()
    first = KIND.first_state(BenchParams(steps=steps))
    async for _ in graph.astream(first, config, stream_mode="updates", durability="sync"):
        pass
    return (time.perf_counter() - begun_s) * 1_000 / steps


def _spread(sample: list[float]) -> dict[str, float]:
    return {"min": min(sample), "max": max(sample)}


def _slope(points: list[tuple[int, float]]) -> float:
    """The exponent of growth: least squares over logarithms."""
    xs, ys = [math.log(x) for x, _ in points], [math.log(y) for _, y in points]
    x_mean, y_mean = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / sum((x - x_mean) ** 2 for x in xs)


if __name__ == "__main__":
    sys.exit(run_bench("bench.job", measure))
