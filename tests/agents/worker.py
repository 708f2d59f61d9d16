"""A process that works at one job until it is over, delivering its tasks to itself: what kill tests kill.

`python -m tests.agents.worker JOB LEASE_MS STEPS_PER_LEG`, with the environment of a deployment.
"""

import asyncio
import os
import sys
import time

from shared.agents.errors import JobBusy
from shared.agents.models import AT_REST, JobId, JobTask
from shared.agents.run import Pace
from shared.app import App
from shared.base.settings import Settings

POLL_S = 0.02
DEADLINE_S = 60.0


class OwnQueue(App):
    """The app of a process whose queue is itself: what it posts it finds by looking at the job."""

    class _Nowhere:
        async def post(self, *_: object, **__: object) -> None:
            return

    def __init__(self, settings: Settings, *, lease_ms: int, steps_per_leg: int) -> None:
        super().__init__(settings)
        self.__dict__["tasks"] = self._Nowhere()
        self.__dict__["job_pace"] = Pace(lease_ms=lease_ms, steps_per_leg_max=steps_per_leg)


async def work(app: App, job_id: JobId) -> None:
    """Deliver task after task until the job is over, or rests."""
    ends_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < ends_s:
        kept = await app.job_store.find(job_id)
        assert kept is not None
        if kept.job.is_over or kept.job.state in AT_REST:
            return
        try:
            await app.job_runner.run(JobTask(job_id=job_id, leg=kept.job.leg))
        except JobBusy:
            await asyncio.sleep(POLL_S)
    raise TimeoutError


def main(job: str, lease_ms: str, steps_per_leg: str) -> None:
    """What the process does."""
    settings = Settings.from_environment(os.environ)
    app = OwnQueue(settings, lease_ms=int(lease_ms), steps_per_leg=int(steps_per_leg))
    asyncio.run(work(app, JobId(job)))


if __name__ == "__main__":
    main(*sys.argv[1:])
