"""Jobs in memory, and processes that die at a chosen step of their work."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from msgspec.structs import replace

from shared.base.fetcher import Fetched
from shared.base.ids import UserId
from shared.images.job_errors import JobsUnavailable
from shared.images.job_models import IMAGE_RUN, ImageJob, JobId, Picture
from shared.images.jobs import ImageJobs
from shared.images.painter import Painter
from shared.images.reader import ImageJobReader
from shared.images.run import ImageJobRunner
from shared.images.service import Images
from shared.images.store import ImageJobStore, JobChanged, KeptJob, Version
from shared.metering.service import Meter
from shared.tasks.service import Tasks
from tests.chat.conftest import Shop
from tests.images.builders import MODEL, request_of
from tests.ledger.builders import ledger_on
from tests.tasks.memory import MemoryQueues

OWNER = UserId("ada")
Outcome = TypeVar("Outcome")


class MemoryImageJobs:
    """What Firestore keeps, in dictionaries."""

    def __init__(self) -> None:
        self.jobs: dict[JobId, KeptJob] = {}
        self.contents: dict[tuple[JobId, str], bytes] = {}
        self.is_down = False
        self._versions = itertools.count(1)

    async def create(self, job: ImageJob) -> KeptJob:
        self._require_up()
        if job.job_id in self.jobs:
            raise JobsUnavailable
        return self._put(job)

    async def find(self, job_id: JobId) -> KeptJob | None:
        self._require_up()
        return self.jobs.get(job_id)

    async def replace(self, kept: KeptJob, job: ImageJob) -> KeptJob:
        self._require_up()
        if job.job_id not in self.jobs or self.jobs[job.job_id].version != kept.version:
            raise JobChanged
        return self._put(job)

    async def put_picture(self, job: ImageJob, picture: Picture, content: bytes, *, is_preview: bool) -> None:
        self._require_up()
        self.contents[job.job_id, picture.name] = content

    async def picture(self, job_id: JobId, picture: Picture) -> bytes | None:
        self._require_up()
        return self.contents.get((job_id, picture.name))

    def _put(self, job: ImageJob) -> KeptJob:
        self.jobs[job.job_id] = KeptJob(job, Version(next(self._versions)))
        return self.jobs[job.job_id]

    def _require_up(self) -> None:
        if self.is_down:
            raise JobsUnavailable


class Killed(Exception):
    """The process is gone."""


@dataclass
class Fate:
    """A process's life in steps: just before and just after each call of a store. At step `dies_at` it stops for ever,
    and whatever would clean up after it reaches nothing any more.
    """

    dies_at: int | None = None
    steps: int = 0
    died: asyncio.Event = field(default_factory=asyncio.Event)

    async def step(self) -> None:
        self.steps += 1
        if self.died.is_set():
            raise asyncio.CancelledError
        if self.steps == self.dies_at:
            self.died.set()
            await asyncio.get_running_loop().create_future()

    async def live(self, work: Coroutine[Any, Any, Outcome]) -> Outcome:
        """What the work comes to. Raise Killed when the process dies over it."""
        working, dying = asyncio.ensure_future(work), asyncio.ensure_future(self.died.wait())
        await asyncio.wait((working, dying), return_when=asyncio.FIRST_COMPLETED)
        dying.cancel()
        if working.done():
            return await working
        working.cancel()
        await asyncio.wait((working,))
        raise Killed


class Mortal:
    """A store as a process of that fate reaches it."""

    def __init__(self, inner: object, fate: Fate) -> None:
        self._inner = inner
        self._fate = fate

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._inner, name)

        async def call(*args: Any, **named: Any) -> Any:
            await self._fate.step()
            outcome = await method(*args, **named)
            await self._fate.step()
            return outcome

        return call


class NoFetcher:
    """Fetches what it was given."""

    def __init__(self, contents: dict[str, bytes]) -> None:
        self._contents = contents

    async def fetch(self, url: str, **_: Any) -> Fetched:
        return Fetched(self._contents[url], "image/png")


@dataclass
class JobShop:
    """The shop with jobs: every process has its own ledger, router and claims over the same stores."""

    shop: Shop
    store: MemoryImageJobs = field(default_factory=MemoryImageJobs)
    queues: MemoryQueues = field(default_factory=MemoryQueues)
    web: dict[str, bytes] = field(default_factory=dict)
    """What addresses of pictures lead to."""

    def _process(self, fate: Fate) -> tuple[ImageJobs, ImageJobRunner]:
        catalog, upstreams, calls = self.shop.calls(MODEL)
        ledger = ledger_on(Mortal(self.shop.store, fate), self.shop.clock)  # type: ignore[arg-type]
        calls._meter = Meter(ledger, self.shop.owed)
        store: ImageJobStore = Mortal(self.store, fate)  # type: ignore[assignment]
        tasks = Tasks(Mortal(self.queues, fate), "http://{function}", self.shop.clock)  # type: ignore[arg-type]
        images = Images(catalog, upstreams, calls)
        painter = Painter(calls, upstreams, store, NoFetcher(self.web))  # type: ignore[arg-type]
        runner = ImageJobRunner(catalog, calls, painter, store, self.shop.clock)
        return ImageJobs(images, calls, store, tasks, self.shop.clock), runner

    async def accept(self, fate: Fate | None = None, **fields: object) -> ImageJob:
        """Ask for a job."""
        fate = fate or Fate()
        jobs, _ = self._process(fate)
        return await fate.live(jobs.accept(self.shop.asking(), OWNER, request_of(background=True, **fields)))

    async def run(self, job_id: JobId, fate: Fate | None = None) -> None:
        """One delivery of a task of the job, to a process of its own."""
        fate = fate or Fate()
        await fate.live(self._process(fate)[1].run(job_id))

    def job(self, job_id: JobId) -> ImageJob:
        """As it stands."""
        return self.store.jobs[job_id].job

    def reader(self) -> ImageJobReader:
        """Who reads jobs."""
        return ImageJobReader(self.store, self.shop.clock)

    def posted(self) -> list[int | None]:
        """When the tasks that were posted are due, in order."""
        assert all(task.url == f"http://{IMAGE_RUN}" for task in self.queues.tasks.values())
        return [task.at_ms for task in self.queues.tasks.values()]

    def change(self, job_id: JobId, **changes: Any) -> None:
        """Put a job into another state, as if by somebody else."""
        self.store._put(replace(self.job(job_id), **changes))
