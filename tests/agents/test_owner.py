"""What owners do with jobs, and what becomes of those that stand still."""

from typing import Any

import pytest
from msgspec.structs import replace

from shared.agents.errors import ApprovalWrong, ArtifactAbsent, JobAbsent, JobInvalid, JobOver, JobsUnavailable
from shared.agents.limits import AT_REST_MS_MAX, LEASE_MS, LOOK_AFTER_MS, SWEEPS_MAX
from shared.agents.models import Failure, Job, JobState
from shared.agents.rules import UNANSWERED, repairs_of
from shared.agents.store import JobUnwritable, KeptJob
from shared.agents.sweep import SweepReport
from shared.agents.tenure import Tenure
from shared.agents.workbench import Workbench
from shared.base.economy import DAY_MS
from shared.base.ids import HoldId
from shared.ledger.errors import LedgerUnavailable
from tests.agents.yard import ACCOUNT, OWNER, Yard

WHO: dict[str, Any] = {"account_id": ACCOUNT, "uid": None}


async def test_a_cancelled_job_stops_before_its_next_paid_call(yard: Yard) -> None:
    """It says `stopping` until that is confirmed, and the thread it leaves has no call of a tool without an answer."""
    job = await yard.start(calls=6, calls_tool=True)
    await yard.deliver(job)
    paid = await yard.charges()
    assert paid

    asked = await yard.app.jobs.cancel(job.job_id, **WHO)
    again = await yard.app.jobs.cancel(job.job_id, **WHO)
    done = await yard.finish(job)

    assert asked.state is again.state is JobState.STOPPING
    assert done.state is JobState.CANCELLED
    assert await yard.charges() == paid
    assert await yard.held_micros() == 0
    messages = await _messages(yard, job.job_id)
    assert repairs_of(messages) == []
    assert messages[-1] == {"role": "tool", "tool_call_id": f"call-{len(paid) - 1}", "content": UNANSWERED}
    assert (await yard.app.jobs.cancel(job.job_id, **WHO)).state is JobState.CANCELLED


async def _messages(yard: Yard, job_id: str) -> list[Any]:
    from shared.agents.saver import FirestoreSaver
    from tests.agents.plain import PlainCommits

    saver = FirestoreSaver(yard.app.firestore, PlainCommits(yard.app.firestore))
    saved = await saver.aget_tuple({"configurable": {"thread_id": job_id}})
    assert saved is not None
    messages: list[Any] = saved.checkpoint["channel_values"]["messages"]
    return messages


async def test_a_cancel_while_a_call_is_made_is_seen_before_the_next(yard: Yard) -> None:
    """The worker finds it out from the write that would have begun the call."""
    job = await yard.start(calls=5)
    routed = yard.app.calls.routed
    asked = 0

    async def cancelled_meanwhile(*args: Any, **named: Any) -> Any:
        nonlocal asked
        asked += 1
        await yard.app.jobs.cancel(job.job_id, **WHO)
        return await routed(*args, **named)

    yard.app.calls.routed = cancelled_meanwhile  # type: ignore[method-assign]

    done = await yard.finish(job)

    assert (done.state, asked, done.calls) == (JobState.CANCELLED, 1, 1)
    assert len(await yard.charges()) == 1


async def test_a_cancel_that_comes_as_a_call_is_about_to_begin_stops_that_call(yard: Yard) -> None:
    job = await yard.start(calls=2)

    async def cancelled_meanwhile(account_id: str) -> None:
        await yard.app.jobs.cancel(job.job_id, **WHO)

    yard.app.job_runner._trade.payers.check = cancelled_meanwhile  # type: ignore[method-assign, assignment]

    assert (await yard.finish(job)).state is JobState.CANCELLED
    assert await yard.charges() == []


async def test_a_job_that_waits_is_cancelled_too(yard: Yard) -> None:
    job = await yard.start(calls=1, approve=True)
    assert (await yard.finish(job)).state is JobState.WAITING

    await yard.app.jobs.cancel(job.job_id, **WHO)

    assert (await yard.finish(job)).state is JobState.CANCELLED


@pytest.mark.parametrize("asked", [{"approve": True}, {"ceiling_micros": 1}])
async def test_a_cancel_that_comes_as_a_job_is_about_to_wait_ends_it(yard: Yard, asked: dict[str, Any]) -> None:
    """It says `stopping` and then `cancelled`, and nobody is asked anything between."""
    job = await yard.start(calls=1, **asked)
    runner = yard.app.job_runner
    rest = runner._rest

    async def cancelled_meanwhile(*args: Any) -> None:
        assert (await yard.app.jobs.cancel(job.job_id, **WHO)).state is JobState.STOPPING
        await rest(*args)

    runner._rest = cancelled_meanwhile  # type: ignore[method-assign]

    assert (await yard.deliver(job)).state is JobState.CANCELLED
    assert [event.kind for event in await yard.events(job)][-1] == "cancelled"
    assert "approval_needed" not in [event.kind for event in await yard.events(job)]


async def test_an_approval_is_answered_once(yard: Yard) -> None:
    job = await yard.start(calls=1, approve=True)
    waiting = await yard.finish(job)
    assert waiting.approval is not None
    assert waiting.approval.question == "May I?"
    assert (await yard.deliver(job)).state is JobState.WAITING

    with pytest.raises(ApprovalWrong):
        await yard.app.jobs.approve(job.job_id, "another", "yes", **WHO)
    for _ in range(2):
        await yard.app.jobs.approve(job.job_id, waiting.approval.interrupt_id, "yes", **WHO)
    with pytest.raises(ApprovalWrong):
        await yard.app.jobs.approve(job.job_id, waiting.approval.interrupt_id, "no", **WHO)
    done = await yard.finish(job)
    late = await yard.app.jobs.approve(job.job_id, waiting.approval.interrupt_id, "yes", **WHO)

    assert done.result is not None
    assert done.result["said"] == "yes"
    assert late.state is done.state is JobState.SUCCEEDED
    assert [event.kind for event in await yard.events(job)] == ["approval_needed", "asks", "succeeded"]


async def test_somebody_elses_job_is_absent(yard: Yard) -> None:
    job = await yard.start(calls=0)
    other: dict[str, Any] = {"account_id": "user:eve", "uid": "eve"}

    for call in (
        yard.app.jobs.get(job.job_id, **other),
        yard.app.jobs.cancel(job.job_id, **other),
        yard.app.jobs.resume(job.job_id, 60_000_000, **other),
        yard.app.jobs.approve(job.job_id, "x", "yes", **other),
    ):
        with pytest.raises(JobAbsent):
            await call


async def test_jobs_are_listed_newest_first(yard: Yard) -> None:
    jobs = [await yard.start(calls=0) for _ in range(3)]

    listed = await yard.app.jobs.owned_by(jobs[0].owner, before_ms=None)
    older = await yard.app.jobs.owned_by(jobs[0].owner, before_ms=listed[0].created_at_ms)

    assert [job.job_id for job in listed] == [job.job_id for job in reversed(jobs)]
    assert [job.job_id for job in older] == [job.job_id for job in listed[1:]]


@pytest.mark.parametrize(("kind", "params"), [("none", {}), ("asking", {"calls": -1}), ("research", {"topic": ""})])
async def test_what_no_kind_does_is_refused(yard: Yard, kind: str, params: dict[str, Any]) -> None:
    with pytest.raises(JobInvalid):
        await yard.start(kind, **params)


async def test_an_artifact_is_kept_once_and_read_back(yard: Yard) -> None:
    """Whatever its size, however often it is kept."""
    job = await yard.start(calls=0)
    tenure = await Tenure.begin(yard.app.job_store, await yard.kept(job), yard.wall, leg=0)
    desk = Workbench(tenure, yard.app.job_store, yard.app.job_runner._trade, yard.wall)
    large = bytes(range(256)) * 20_000

    refs = [await desk.keep("large.bin", "application/octet-stream", large) for _ in range(2)]
    empty = await desk.keep("empty.txt", "text/plain", b"")

    assert refs[0] == refs[1]
    assert await desk.read(refs[0]) == large
    assert await yard.app.jobs.artifact(tenure.job, empty.artifact_id) == (empty, b"")
    assert (tenure.job.artifacts, tenure.job.artifact_bytes) == (2, len(large))
    with pytest.raises(ArtifactAbsent):
        await yard.app.jobs.artifact(tenure.job, "0" * 64)


async def test_an_abandoned_job_is_requeued_and_goes_on(yard: Yard) -> None:
    """Its process died and its task was given up. The job is fenced against whoever may be at work all the same."""
    job = await yard.start(calls=1)
    zombie = await Tenure.begin(yard.app.job_store, await yard.kept(job), yard.wall, leg=0)
    yard.posted.tasks.clear()
    assert (await yard.app.job_sweep.run()).requeued == 0
    yard.wall.ahead_ms += LEASE_MS + LOOK_AFTER_MS + 1

    report = await yard.app.job_sweep.run()

    assert (report.requeued, report.ended, report.finished) == (1, 0, True)
    assert len(yard.posted.tasks) == 1
    assert (await yard.job(job)).lease_number > zombie.job.lease_number
    assert (await yard.finish(job)).state is JobState.SUCCEEDED


async def test_a_job_that_is_abandoned_again_and_again_is_ended_within_an_hour(yard: Yard) -> None:
    """And holds nothing any more."""
    job = await yard.start(calls=1)
    begun_ms = yard.wall()
    tenure = await Tenure.begin(yard.app.job_store, await yard.kept(job), yard.wall, leg=0)
    await yard.app.ledger.hold(ACCOUNT, 5, hold_id="left")  # type: ignore[arg-type]
    await tenure.write(lambda job: {"holds": {"left": 5}})

    for _ in range(SWEEPS_MAX + 1):
        yard.wall.ahead_ms += LOOK_AFTER_MS + LEASE_MS
        await yard.app.job_sweep.run()

    done = await yard.job(job)
    assert done.state is JobState.FAILED
    assert done.failure is not None
    assert done.failure.code == "job_stuck"
    assert (done.holds, await yard.held_micros()) == ({}, 0)
    assert yard.wall() - begun_ms <= 70 * 60_000


async def test_a_job_that_cannot_be_looked_after_keeps_nobody_waiting(yard: Yard) -> None:
    """Whether its own document cannot be written, or the wallet that it holds something in is out of reach."""
    unwritten, waiting, last = [await yard.start(calls=1, approve=one == 1) for one in range(3)]
    await yard.finish(waiting)
    kept = await yard.kept(waiting)
    await yard.app.job_store.write(kept, replace(kept.job, holds={"left": 5}))
    yard.wall.ahead_ms += AT_REST_MS_MAX + 1
    other = yard.process()
    write = other.job_store.write

    async def write_but_one(kept: KeptJob, job: Job, *changes: Any) -> KeptJob:
        if job.job_id == unwritten.job_id:
            raise JobsUnavailable
        return await write(kept, job, *changes)

    async def unreachable(*args: Any) -> None:
        raise LedgerUnavailable

    other.job_store.write = write_but_one  # type: ignore[method-assign, assignment]
    other.ledger.release = unreachable  # type: ignore[method-assign]

    swept = [await other.job_sweep.run() for _ in range(2)]
    yard.wall.ahead_ms += LOOK_AFTER_MS
    later = await yard.app.job_sweep.run()
    await other.upstreams.close()

    assert swept == [SweepReport(1, 0, 0, 2, 0, finished=True), SweepReport(0, 0, 0, 0, 0, finished=True)]
    assert (await yard.job(last)).sweeps == 2
    assert later == SweepReport(2, 0, 1, 0, 0, finished=True)


@pytest.mark.parametrize("broken", [{"work": "{"}, {"kind": None}, None], ids=["no work", "no kind", "unwritable"])
async def test_a_job_that_can_never_be_looked_after_is_put_aside_and_holds_nothing(
    yard: Yard, broken: dict[str, Any] | None
) -> None:
    """Its document tells no job, or nothing can be written over it. What is held is told where it can be read."""
    job, other = await yard.start(calls=1), yard.process()
    tenure = await Tenure.begin(yard.app.job_store, await yard.kept(job), yard.wall, leg=0)
    await yard.app.ledger.hold(ACCOUNT, 5, hold_id=HoldId("left"), lifetime_ms=DAY_MS)
    await tenure.write(lambda job: {"holds": {"left": 5}})
    document = yard.app.firestore.collection("jobs").document(job.job_id)
    if broken is not None:
        await document.update(broken)

    async def unwritable(*args: Any) -> KeptJob:
        raise JobUnwritable

    other.job_store.write = unwritable  # type: ignore[method-assign, assignment]
    swept = []
    for _ in range(SWEEPS_MAX + 2):
        yard.wall.ahead_ms += LOOK_AFTER_MS + LEASE_MS
        swept.append(await other.job_sweep.run())
    await other.upstreams.close()

    assert [report.failed for report in swept] == [*[1] * SWEEPS_MAX, 0, 0]
    assert [report.put_aside for report in swept] == [*[0] * SWEEPS_MAX, 1, 0]
    told = (await document.get()).to_dict() or {}
    assert (told["state"], told["failure"]["code"], told["look_due_ms"]) == ("failed", "job_broken", None)
    is_told = broken is None or "work" not in broken
    assert await yard.held_micros() == (0 if is_told else 5)
    listed = await yard.app.job_store.owned_by(OWNER, before_ms=None)
    assert len(listed) == (1 if broken is None else 0)


async def test_what_an_ended_job_holds_is_given_back_by_the_sweep(yard: Yard) -> None:
    """Its process died between the two, and no task comes for it."""
    job = await yard.start(calls=1)
    other = yard.process()
    tenure = await Tenure.begin(other.job_store, await yard.kept(job), yard.wall, leg=0)
    await yard.app.ledger.hold(ACCOUNT, 5, hold_id=HoldId("left"))
    await tenure.write(lambda job: {"holds": {"left": 5}})

    async def died(*args: Any) -> None:
        raise KeyboardInterrupt

    other.ledger.release = died  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        await other.job_ending.fail(tenure, Failure("step_failed", ""))
    assert (await yard.app.job_sweep.run()).given_back == 0
    yard.wall.ahead_ms += LOOK_AFTER_MS

    swept = [await yard.app.job_sweep.run() for _ in range(2)]

    done = await yard.job(job)
    assert [report.given_back for report in swept] == [1, 0]
    assert (done.state, done.holds, done.look_due_ms) == (JobState.FAILED, {}, None)
    assert await yard.held_micros() == 0


async def test_a_job_that_waits_too_long_is_ended(yard: Yard) -> None:
    job = await yard.start(calls=1, approve=True)
    await yard.finish(job)
    yard.wall.ahead_ms += AT_REST_MS_MAX + 1

    report = await yard.app.job_sweep.run()

    assert report.ended == 1
    done = await yard.job(job)
    assert done.failure is not None
    assert done.failure.code == "job_expired"
    with pytest.raises(JobOver):
        await yard.app.jobs.resume(job.job_id, job.ceiling_micros, **WHO)
