"""One seed from its first request to its last check: processes, clients, faults, then calm."""

import asyncio
import contextlib
import io
import random
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from msgspec import Struct

from shared.base.errors import CredenceError
from shared.base.ids import AccountId
from shared.ledger.verify import verify_ledger
from simulation import books
from simulation.books import Books
from simulation.faults import CALM, Faults, Rates, draw_rates
from simulation.folds import WINDOW_S
from simulation.judge import UNKNOWN, Judge, Violation
from simulation.log_books import LogBooks
from simulation.loop import EPOCH_MS, Stalled, VirtualLoop
from simulation.network import Network
from simulation.process import Process
from simulation.reach import Reach, Seen
from simulation.request import Attempt, Request, perform
from simulation.servers import Servers
from simulation.timers import TIMERS, run_timer
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
RUNS_TO_CONVERGE = 3
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


class Lost(Exception):
    """No answer came back."""


class World:
    """All that exists in one seed."""

    def __init__(self, seed: int, *, rates: Rates | None = None, tracing: bool = False) -> None:
        chance = random.Random(seed)  # noqa: S311 - draws faults, guards nothing
        self.script: Script = draw_script(chance)
        self.faults = Faults(chance, rates or draw_rates(chance, long_lived=self.script.timed))
        self.loop = VirtualLoop(chance)
        self.network = Network(self.loop, self.faults)
        self.servers = Servers(lambda: EPOCH_MS + int(self.network.server_s() * 1000))
        self.judge = Judge(self.script.accounts)
        self.books = Books(self.servers.ledger.heads, self.servers.ledger.entries)
        self.books.settled.horizons = self.servers.windows.settled_until
        log = self.servers.log
        self.log_books = LogBooks(
            self.books,
            lambda: log.state_fields,
            log.tile_bytes,
            log.heads,
            log.stated,
            self.servers.vault.notes,
        )
        self.processes: list[Process] = []
        self.graveyard: list[Process] = []
        self.lines: list[str] | None = [] if tracing else None
        self.attempts = self.answers = 0
        self._waiting: dict[int, tuple[Process, Reply]] = {}

    def note(self, who: str, what: str) -> None:
        """A line of the trace."""
        if self.lines is not None:
            self.lines.append(f"{self.loop.time():11.4f}s  {who:<8}  {what}")

    async def live(self) -> None:
        """Everything that happens."""
        self.note("world", f"{self.faults.rates}")
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
        await self._check_end()

    async def _converge(self) -> None:
        """Wait until all windows are closed and the timers had time for them, without a look at what they do."""
        now_s = self.loop.time()
        interval_s = 1.5 * max((timer.interval_s for timer in TIMERS), default=0.0)
        await asyncio.sleep(WINDOW_S - now_s % WINDOW_S + MARGIN_S + 2 * RUNS_TO_CONVERGE * interval_s)

    def _spawn(self, number: int) -> Process:
        name = f"p{number}.{len(self.graveyard)}"

        def reach(process: Process) -> Reach:
            def committed(heads: Any, entries: Any) -> None:
                self._applied(process, heads, entries)

            seen = Seen(committed, self._settled, self._appended, self._published)
            return Reach(self.network, self.servers, self.faults, seen, lambda what: self.note(name, what))

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

    def _applied(self, process: Process, heads: Any, entries: Any) -> None:
        """A commit took effect on the server: judge it before anything else happens."""
        attempts = process.lineage.of_commit(heads)
        accounts = [write.head.account_id for write in heads]
        refs = [(entry.account_id, entry.entry_id) for entry in entries]
        if self.lines is not None:
            inside = "; ".join(f"#{attempt.number} {attempt.request}" for attempt in attempts if attempt)
            self.note("store", f"commit {self.judge.position + 1} by {process.name}: {inside}")
        with self._judging():
            ledger = self.servers.ledger
            if not all(ref in ledger.entries for ref in refs):
                raise Violation("a commit was confirmed and its entries are not there")
            books.see_commit(self.books, books.Commit(accounts, refs))
            self.judge.see_commit(
                [attempt for attempt in attempts if attempt],
                {account_id: ledger.heads[account_id] for account_id in accounts},
                {ref: ledger.entries[ref] for ref in refs},
                ledger.entries,
            )
            self.judge.check_durable(ledger.entries)

    def _settled(self, band: int, until: datetime) -> None:
        self.note("store", f"band {band} is settled until {until:%H:%M}")
        with self._judging():
            books.see_horizon(self.books, band, until)

    def _appended(self) -> None:
        with self._judging():
            self.log_books.see_append()
        self.note("store", f"the log has {len(self.log_books.leaves)} leaves, {self.log_books.last_size} signed")

    def _published(self, size: int) -> None:
        self.note("store", f"the vault has the note of size {size}")
        with self._judging():
            self.log_books.see_published(size)

    @contextlib.contextmanager
    def _judging(self) -> Iterator[None]:
        """Whatever is found in here ends the run. A server's step itself goes on as if nobody had looked."""
        try:
            yield
        except Violation as violation:
            self.loop.fail(violation)

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
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer = await reply
        except (Lost, TimeoutError):
            return False
        return not _unknown(answer)

    def _deliver(self, request: Request, reply: Reply) -> None:
        """A request reaches a process, or finds none there."""
        process = self.processes[self._route(request.account_id)]
        if not process.alive:
            _lose(reply)
            return
        self.attempts += 1
        attempt = Attempt(self.attempts, request, called=self.judge.position)
        self.note(process.name, f"#{attempt.number} {request}")
        self._waiting[attempt.number] = (process, reply)
        task = process.work(self._serve, process, attempt, reply, attempt=attempt)
        if self.faults.happens(self.faults.rates.disconnected):
            self.network.later(self.faults.chance.uniform(0, 0.05), self._disconnect, attempt, task)

    def _disconnect(self, attempt: Attempt, task: "asyncio.Task[Any]") -> None:
        if not task.done():
            self.note("world", f"#{attempt.number} hangs up")
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
            answer = refusal
        except Exception as error:  # noqa: BLE001 - whatever else comes out of the ledger is what we look for
            answer = error
        self.answers += 1
        self.note(process.name, f"#{attempt.number} is told {_said(answer)}")
        self._waiting.pop(attempt.number, None)
        with self._judging():
            self.judge.see_answer(attempt, answer, self.servers.ledger.entries)
        self.network.later(self.faults.leg_s(), _give, reply, answer)

    async def _check_end(self) -> None:
        books.see_end(self.books)
        self.judge.check_durable(self.servers.ledger.entries)
        if self.script.timed and TIMERS:
            pending = [key for key in self.books.settled.owed if key not in self.books.settled.settled]
            if pending:
                raise Violation(f"although the faults have stopped, nobody settled {pending}")
            self.log_books.see_end()
            if raised := [name for name, alarm in self.servers.log.alarms.items() if alarm["raised"]]:
                raise Violation(f"although the faults have stopped, alarms stay: {raised}")
        report = await verify_ledger(self.servers.archive, self.servers.windows.settled_until)
        if not report.intact:
            raise Violation(f"the ledger does not verify: drift {report.drift_micros}, {report.broken}")


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
        world.note("judge", f"VIOLATION: {violation}")
    return Outcome(
        seed,
        violation,
        world.loop.time(),
        world.judge.position,
        world.answers,
        len(world.graveyard),
        tuple(world.lines or ()),
    )


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


def _give(reply: Reply, answer: Any) -> None:
    if reply and not reply.done():
        reply.set_result(answer)


def _lose(reply: Reply) -> None:
    if reply and not reply.done():
        reply.set_exception(Lost())


def _unknown(answer: Any) -> bool:
    return isinstance(answer, CredenceError) and answer.code in UNKNOWN


def _said(answer: Any) -> str:
    if isinstance(answer, CredenceError):
        return f"{answer.code} {answer.details() or ''}".strip()
    entry = getattr(answer, "entry", None)
    if entry is not None:
        return f"entry {entry.seq} of {entry.account_id}" + (" (remembered)" if answer.repeated else "")
    return "nothing" if answer is None else f"{answer}"
