"""The engine of jobs over the real emulators, its queue being the test: what is delivered, and when, is said here."""

import secrets
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from local.deployment import Deployment
from local.stack import Stack
from shared.agents.errors import JobBusy
from shared.agents.kind import Kind
from shared.agents.models import AT_REST, Event, Job, JobId, JobTask, Trace
from shared.agents.registry import kind_of
from shared.agents.run import Pace
from shared.agents.store import KeptJob
from shared.app import App
from shared.base.clock import Clock, system_clock
from shared.base.ids import AccountId, UserId, new_request_id
from shared.base.settings import Settings
from shared.calls.models import Asking
from shared.ledger.models import EntryKind
from tests.agents.kinds import asking

OWNER = UserId("ada")
ACCOUNT = AccountId("user:ada")
FUNDS_MICROS = 100_000_000
MODEL = "google/gemma-2-2b-it"
CEILING_MICROS = 50_000_000


def kinds(name: str) -> Kind:
    """The kinds that there are, and those of tests."""
    return asking.KIND if name == asking.KIND.name else kind_of(name)


@dataclass
class Posted:
    """Stands for the queue: keeps what is posted, by name, as Cloud Tasks does."""

    tasks: dict[str, tuple[JobTask, int | None]] = field(default_factory=dict)

    async def post(self, function_name: str, payload: JobTask, *, name_key: str, at_ms: int | None = None) -> None:
        assert function_name == "job_step"
        self.tasks.setdefault(name_key, (payload, at_ms))


@dataclass
class Wall:
    """A clock that goes on by itself and can be put ahead."""

    ahead_ms: int = 0

    def __call__(self) -> int:
        return system_clock() + self.ahead_ms


class Process(App):
    """One process: its own clients and caches over the shared database and queue."""

    def __init__(self, settings: Settings, posted: Posted, pace: Pace, clock: Clock) -> None:
        super().__init__(settings, clock)
        self.__dict__.update(tasks=posted, job_pace=pace, job_kinds=kinds)


class Died(BaseException):
    """The process is gone."""


class Yard:
    """One database with one rich person, and as many processes as a test wants."""

    def __init__(self, stack: Stack, project_id: str) -> None:
        self.environment = Deployment(stack, project_id).environment
        self.settings = Settings.from_environment(self.environment)
        self.posted = Posted()
        self.wall = Wall()
        self.pace = Pace(lease_ms=4_000, steps_per_leg_max=2)
        self._processes: list[Process] = []
        self.app = self.process()

    def process(self, **pace: Any) -> Process:
        """Another process; it is closed with the yard, if not before."""
        made = Process(self.settings, self.posted, replace(self.pace, **pace), self.wall)
        self._processes.append(made)
        return made

    async def open(self, funds_micros: int = FUNDS_MICROS) -> None:
        """Open the wallet."""
        await self.app.ledger.open(ACCOUNT)
        await self.fund(funds_micros)

    async def fund(self, micros: int) -> None:
        """Put so much more into the wallet."""
        await self.app.ledger.grant_paid(ACCOUNT, micros, key=secrets.token_hex(8), facts={})

    async def start(
        self,
        kind: str = "asking",
        *,
        ceiling_micros: int = CEILING_MICROS,
        payers: frozenset[UserId] = frozenset({OWNER}),
        account_id: AccountId = ACCOUNT,
        **params: Any,
    ) -> Job:
        """Ask for a job."""
        return await self.app.job_starts.start(
            Asking(account_id=account_id, request_id=new_request_id(), payers=payers),
            OWNER,
            kind=kind,
            params=params,
            model_id=MODEL,
            ceiling_micros=ceiling_micros,
            key=secrets.token_hex(8),
        )

    async def deliver(self, job: Job, process: Process | None = None) -> Job:
        """One task of the job's present leg, to its end."""
        now = await self.job(job)
        await (process or self.app).job_runner.run(JobTask(job_id=job.job_id, leg=now.leg))
        return await self.job(job)

    async def finish(self, job: Job, process: Process | None = None) -> Job:
        """Task after task until the job is over, or rests."""
        for _ in range(200):
            now = await self.job(job)
            if now.is_over or (now.state in AT_REST and now.cancel_asked_at_ms is None):
                return now
            try:
                await self.deliver(job, process)
            except JobBusy:
                self.wall.ahead_ms += self.pace.lease_ms
        raise AssertionError("the job would go on for ever")

    async def kept(self, job: Job) -> KeptJob:
        kept = await self.app.job_store.find(JobId(job.job_id))
        assert kept is not None
        return kept

    async def job(self, job: Job) -> Job:
        """As it stands."""
        return (await self.kept(job)).job

    async def events(self, job: Job) -> list[Event]:
        """All of them, after a look whether they are numbered without a gap."""
        events = await self.app.jobs.events(job, after=0)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert (await self.job(job)).seq == len(events)
        return events

    async def traces(self, job: Job) -> list[Trace]:
        return await self.app.jobs.traces(job)

    async def charges(self, job: Job | None = None) -> list[tuple[str, int]]:
        """What the ledger was posted for each step of a job, or of all: its name and the micros, by the names."""
        entries = self.app.firestore.collection(f"accounts/{ACCOUNT}/entries")
        found = [one.to_dict() or {} async for one in entries.stream()]
        captures = [one for one in found if one["kind"] == EntryKind.CAPTURE.value]
        return sorted(
            (one["facts"]["step"], -one["delta_micros"])
            for one in captures
            if job is None or one["facts"]["job"] == job.job_id
        )

    async def spendable_micros(self) -> int:
        return self.app.ledger.spendable_micros(await self.app.ledger.head(ACCOUNT))

    async def held_micros(self) -> int:
        """What open holds set aside on the account."""
        return self.app.ledger.held_micros(await self.app.ledger.head(ACCOUNT))

    async def close(self) -> None:
        for process in self._processes:
            await process.upstreams.close()
