"""One seed from its first request to its last check: processes, clients, faults, then calm."""

import asyncio
import contextlib
import functools
import io
import random
from typing import Any

from msgspec import Struct

from shared.base.errors import CredenceError
from shared.base.ids import AccountId
from simulation.faults import CALM, Faults, Rates, draw_rates
from simulation.folds import WINDOW_S
from simulation.judge import UNKNOWN, Violation
from simulation.loop import EPOCH_MS, Stalled, VirtualLoop
from simulation.network import Network
from simulation.process import Process
from simulation.reach import Reach, Seen
from simulation.request import Attempt, Request, perform
from simulation.servers import Servers
from simulation.timers import TIMERS, run_timer
from simulation.witness import Witness
from simulation.workload import Script, draw_script

PROCESSES = 3
ANSWER_TIMEOUT_S = 33.0
"""A client waits a little longer than the engine does."""
FAULTS_OUTLAST_SCRIPT_S = 20.0
FAULTS_OUTLAST_TIMED_S = 500.0
"""With timers: until the last windows were due, so that they are settled while processes die."""
CALM_TRIES_MAX = 6
"""After the faults have stopped, a client that asks again and again must have its answer by then."""
CALM_S = 60.0
"""Long enough for all that was sent late to arrive."""
MARGIN_S = 60.0
"""How long after its end a window is closed."""
RUNS_TO_CONVERGE = 2
"""How often each process's timers may run in the calm until all is settled, and then again until all is signed."""
DUPLICATES_S_MAX = (0.1, 5.0, 40.0)
"""A duplicate may come with the first, or long after it was answered."""
OVERTAKEN_S_MAX = (0.05, 5.0)
PAUSE_S_MAX = 3.0


class Outcome(Struct, frozen=True):
    """What a seed came to."""

    seed: int
    violation: str | None
    simulated_s: float
    commits: int
    answers: int
    kills: int
    trace: tuple[str, ...]


Reply = asyncio.Future[Any] | None
"""Where the answer of a request goes; nowhere when it is a duplicate that nobody waits for."""


LOST = object()
"""What a client has when no answer came back."""


class World:
    """All that exists in one seed."""

    def __init__(self, seed: int, *, rates: Rates | None = None, tracing: bool = False) -> None:
        chance = random.Random(seed)  # noqa: S311 - draws faults, guards nothing
        self.script: Script = draw_script(chance)
        self.faults = Faults(chance, rates or draw_rates(chance, long_lived=self.script.timed))
        self.loop = VirtualLoop(chance)
        self.network = Network(self.loop, self.faults)
        self.servers = Servers(lambda: EPOCH_MS + int(self.network.server_s() * 1000))
        self.witness = Witness(
            self.servers, self.script.accounts, functools.partial(self.note, "store"), self.loop.fail
        )
        self.processes: list[Process] = []
        self.graveyard: list[Process] = []
        self.lines: list[str] | None = [] if tracing else None
        self.attempts = self.answers = 0
        self._waiting: dict[int, tuple[Process, Reply]] = {}

    def note(self, who: str, what: str, *values: object) -> None:
        """A line of the trace: a template, and what stands in it."""
        if self.lines is not None:
            self.lines.append(f"{self.loop.time():11.4f}s  {who:<8}  {what.format(*values)}")

    async def live(self) -> None:
        """Everything that happens."""
        self.note("world", "{}", self.faults.rates)
        self.processes = [self._spawn(number) for number in range(PROCESSES)]
        clients = [asyncio.ensure_future(self._client(p.start_s, p.request)) for p in self.script.requests]
        faulty_s = FAULTS_OUTLAST_TIMED_S if self.script.timed else FAULTS_OUTLAST_SCRIPT_S
        await asyncio.sleep(self.script.end_s + faulty_s)
        self.note("world", "the faults stop")
        self.faults.rates = CALM
        await asyncio.gather(*clients)
        await asyncio.sleep(CALM_S)
        if self.script.timed:
            await self._converge()
        await self.witness.ended(timed=self.script.timed)

    async def _converge(self) -> None:
        """Wait until all windows are closed and the timers had time for them, without a look at what they do."""
        now_s = self.loop.time()
        interval_s = 1.5 * max((timer.interval_s for timer in TIMERS), default=0.0)
        await asyncio.sleep(WINDOW_S - now_s % WINDOW_S + MARGIN_S + 2 * RUNS_TO_CONVERGE * interval_s)
        # A run under way may have signed what it has not published yet.
        while any(process.timers_running for process in self.processes):
            await asyncio.sleep(PAUSE_S_MAX)

    def _spawn(self, number: int) -> Process:
        name = f"p{number}.{len(self.graveyard)}"

        def reach(process: Process) -> Reach:
            def committed(heads: Any, entries: Any) -> None:
                self.witness.committed(name, process.lineage.of_commit(heads), heads, entries)

            witness = self.witness
            seen = Seen(
                committed,
                witness.settled,
                witness.appended,
                witness.published,
                witness.marked,
                witness.accused,
            )
            return Reach(self.network, self.servers, self.faults, seen, functools.partial(self.note, name))

        def died(process: Process) -> None:
            self._bury(process, number)

        process = Process(name, self.faults, reach, died)
        for timer in TIMERS if self.script.timed else ():
            process.work(run_timer, process, timer, self.faults.chance, self.loop.fail)
        return process

    def _bury(self, process: Process, number: int) -> None:
        self.note(process.name, "dies")
        self.graveyard.append(process)
        for owner, reply in list(self._waiting.values()):
            if owner is process:
                self.network.later(self.faults.leg_s(), _lose, reply)
        self.network.later(self.faults.chance.uniform(0.05, 2.0), self._replace, number)

    def _replace(self, number: int) -> None:
        self.processes[number] = self._spawn(number)
        self.note(self.processes[number].name, "starts")

    async def _client(self, start_s: float, request: Request) -> None:
        """Ask until there is an answer; a repeat is the same request under the same key."""
        await asyncio.sleep(start_s)
        calm_tries = 0
        while calm_tries < CALM_TRIES_MAX:
            calm_tries += self.faults.rates is CALM
            if self.faults.happens(self.faults.rates.duplicated):
                delay_s = self.faults.chance.uniform(0, self.faults.chance.choice(DUPLICATES_S_MAX))
                self.network.later(delay_s, self._deliver, request, None)
            if await self._ask(request):
                return
            await asyncio.sleep(self.faults.chance.uniform(0, PAUSE_S_MAX))
        self.loop.fail(Violation(f"'{request}' has no answer although the faults have stopped"))

    async def _ask(self, request: Request) -> bool:
        """Whether a definite answer came."""
        reply: asyncio.Future[Any] = self.loop.create_future()
        delay_s = self.faults.leg_s()
        if self.faults.happens(self.faults.rates.reordered):
            delay_s += self.faults.chance.uniform(0, self.faults.chance.choice(OVERTAKEN_S_MAX))
        self.network.later(delay_s, self._deliver, request, reply)
        patience = self.loop.call_later(ANSWER_TIMEOUT_S, _lose, reply)
        answer = await reply
        patience.cancel()
        return answer is not LOST and not _unknown(answer)

    def _deliver(self, request: Request, reply: Reply) -> None:
        """A request reaches a process, or finds none there."""
        process = self.processes[self._route(request.account_id)]
        if not process.alive:
            _lose(reply)
            return
        self.attempts += 1
        attempt = Attempt(self.attempts, request, called=self.witness.judge.position)
        self.note(process.name, "#{} {}", attempt.number, request)
        self._waiting[attempt.number] = (process, reply)
        task = process.work(self._serve, process, attempt, reply, attempt=attempt)
        if self.faults.happens(self.faults.rates.disconnected):
            self.network.later(self.faults.chance.uniform(0, 0.05), self._disconnect, attempt, task)

    def _disconnect(self, attempt: Attempt, task: "asyncio.Task[Any]") -> None:
        if not task.done():
            self.note("world", "#{} hangs up", attempt.number)
            task.cancel()
            _lose(self._waiting.pop(attempt.number)[1])

    def _route(self, account_id: AccountId) -> int:
        """An account's own process, or with stray requests any."""
        if self.faults.happens(self.faults.rates.strayed):
            return self.faults.chance.randrange(PROCESSES)
        return self.script.accounts.index(account_id) % PROCESSES

    async def _serve(self, process: Process, attempt: Attempt, reply: Reply) -> None:
        """What the handler of a request does, inside the process."""
        answer: Any
        try:
            answer = await perform(process.ledger, process.administration, attempt.request)
        except CredenceError as refusal:
            # Without the frames that it came through, which would keep each other, and all that is in them, alive.
            answer = refusal.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - whatever else comes out of the ledger is what we look for
            answer = error
        self.answers += 1
        self.note(process.name, "#{} is told {}", attempt.number, _Said(answer))
        self._waiting.pop(attempt.number, None)
        self.witness.answered(attempt, answer)
        self.network.later(self.faults.leg_s(), _give, reply, answer)


class _Output(io.StringIO):
    """What production code prints. A line that would wake people is a violation, but for the sums we falsified."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def write(self, line: str) -> int:
        if '"severity":"CRITICAL"' in line and '"message":"epoch_unbalanced"' not in line:
            self._world.loop.fail(Violation(f"production would raise an alarm: {line.strip()}"))
        return len(line)


def simulate(seed: int, *, rates: Rates | None = None, tracing: bool = False) -> Outcome:
    """Run one seed. The same seed does the same, whatever else the machine does."""
    world = World(seed, rates=rates, tracing=tracing)
    violation = run(world)
    if violation:
        world.note("judge", "VIOLATION: {}", violation)
    outcome = Outcome(
        seed,
        violation,
        world.loop.time(),
        world.witness.judge.position,
        world.answers,
        len(world.graveyard),
        tuple(world.lines or ()),
    )
    _let_go(world)
    return outcome


def run(world: World) -> str | None:
    """Run a world to its end; what was violated in it."""
    try:
        with contextlib.redirect_stdout(_Output(world)):
            world.loop.run(world.live())
            return None
    except Violation as found:
        return str(found)
    except Stalled:
        return "nothing is left that could answer those who wait"
    finally:
        world.loop.clear([task for process in world.processes + world.graveyard for task in process.remains()])


def _let_go(world: World) -> None:
    """Part what holds each other, so that all of it is freed now, and next to nothing is left for the collector."""
    for process in world.processes + world.graveyard:
        vars(process).clear()
    vars(world.loop).clear()
    vars(world).clear()


def _give(reply: Reply, answer: Any) -> None:
    if reply and not reply.done():
        reply.set_result(answer)


def _lose(reply: Reply) -> None:
    if reply and not reply.done():
        reply.set_result(LOST)


def _unknown(answer: Any) -> bool:
    return isinstance(answer, CredenceError) and answer.code in UNKNOWN


class _Said(Struct):
    """An answer, as the trace names it."""

    answer: Any

    def __str__(self) -> str:
        answer = self.answer
        if isinstance(answer, CredenceError):
            return f"{answer.code} {answer.details() or ''}".strip()
        entry = getattr(answer, "entry", None)
        if entry is not None:
            return f"entry {entry.seq} of {entry.account_id}" + (" (remembered)" if answer.repeated else "")
        return "nothing" if answer is None else f"{answer}"
