"""What owners, operators, the queue and the sweep may do to a job while it is worked at, at once and at the worst time.

Whatever comes of it, each step is charged once at most, the job says what the ledger says, and nothing stays held.
"""

import asyncio
from typing import Any

import msgspec
import pytest

from functions.artifact_get import ArtifactGetRequest
from shared.agents.errors import CeilingTooLow, JobBusy, JobInvalid, JobOver
from shared.agents.limits import CEILING_MICROS_MAX, LEASE_MS, LOOK_AFTER_MS, PARAMS_BYTES_MAX
from shared.agents.models import Job, JobState, JobTask
from tests.agents.yard import ACCOUNT, CEILING_MICROS, Yard

WHO: dict[str, Any] = {"account_id": ACCOUNT, "uid": None}


async def _check_money(yard: Yard, job: Job) -> None:
    charges = await yard.charges(job)
    assert len({step for step, _ in charges}) == len(charges)
    assert sum(micros for _, micros in charges) == job.spent_micros <= job.ceiling_micros
    assert (job.holds, await yard.held_micros()) == ({}, 0)


async def test_deliveries_top_ups_and_a_cancel_at_once_leave_one_end(yard: Yard) -> None:
    job = await yard.start(calls=4, ceiling_micros=CEILING_MICROS)
    await yard.deliver(job)
    processes = [yard.process() for _ in range(4)]
    now = await yard.job(job)
    task = JobTask(job_id=job.job_id, leg=now.leg)
    owner = yard.app.jobs

    outcomes = await asyncio.gather(
        *(one.job_runner.run(task) for one in processes),
        *(owner.resume(job.job_id, CEILING_MICROS + micros, **WHO) for micros in (1, 2, 2)),
        *(owner.cancel(job.job_id, **WHO) for _ in range(2)),
        return_exceptions=True,
    )
    for one in processes:
        await one.upstreams.close()
    done = await yard.finish(job)

    wrong = [one for one in outcomes if isinstance(one, BaseException)]
    assert all(isinstance(one, (JobBusy, JobOver, CeilingTooLow)) for one in wrong), wrong
    assert done.state is JobState.CANCELLED
    assert [event.kind for event in await yard.events(job)].count("cancelled") == 1
    await _check_money(yard, done)


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_sweep_beside_a_worker_charges_nothing_twice(yard: Yard, is_late: bool) -> None:
    """A worker that renews its lease is left alone. One that slept through all of it is fenced, even in a paid call."""
    job = await yard.start(calls=3)
    routed = yard.app.calls.routed
    swept: list[int] = []

    async def swept_meanwhile(*args: Any, **named: Any) -> Any:
        answer = await routed(*args, **named)
        if not swept:
            yard.wall.ahead_ms += LEASE_MS + LOOK_AFTER_MS + 1 if is_late else 0
            swept.append((await yard.app.job_sweep.run()).requeued)
        return answer

    yard.app.calls.routed = swept_meanwhile  # type: ignore[method-assign]

    done = await yard.finish(job)

    assert swept == [int(is_late)]
    assert (done.state, done.calls) == (JobState.SUCCEEDED, 3)
    assert len(await yard.charges(job)) == 3
    await _check_money(yard, done)


async def test_a_wallet_that_is_frozen_in_a_call_pays_for_it_and_for_no_other(yard: Yard) -> None:
    job = await yard.start(calls=4)
    routed = yard.app.calls.routed

    async def frozen_meanwhile(*args: Any, **named: Any) -> Any:
        await yard.app.administration.freeze(ACCOUNT, key="freeze", facts={})
        return await routed(*args, **named)

    yard.app.calls.routed = frozen_meanwhile  # type: ignore[method-assign]

    done = await yard.finish(job)

    assert (done.state, done.calls) == (JobState.FAILED, 1)
    assert done.failure is not None
    assert done.failure.code == "account_not_open"
    await _check_money(yard, done)


@pytest.mark.parametrize("spare_bytes", [0, -1])
async def test_params_of_all_the_bytes_there_may_be_end_well(yard: Yard, spare_bytes: int) -> None:
    """With signs among them that nobody sees. One byte more is no job."""
    empty = len(msgspec.json.encode({"calls": 1, "says": ""}))
    says = "\x00\u202e".ljust(PARAMS_BYTES_MAX - empty - spare_bytes - len("\\u0000\u202e".encode()) + 2, "x")
    if spare_bytes < 0:
        with pytest.raises(JobInvalid):
            await yard.start(calls=1, says=says)
        return
    job = await yard.start(calls=1, says=says, ceiling_micros=CEILING_MICROS_MAX)

    done = await yard.finish(job)

    assert done.params == {"calls": 1, "says": says}
    assert done.state is JobState.SUCCEEDED
    await _check_money(yard, done)


@pytest.mark.parametrize(
    "artifact_id",
    ["../" * 21 + "x", "0" * 63 + "/", "0" * 64 + "\n", "A" * 64, "\u0660" * 64, "0" * 63 + "\x00", "0" * 65],
)
def test_an_artifacts_id_is_a_hash_and_nothing_else(artifact_id: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"artifact_id": artifact_id, "job_id": "job_1"}, ArtifactGetRequest)
