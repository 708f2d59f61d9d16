"""Jobs from their start to their end: leg by leg, twice at once, by processes that lost them, and failing."""

import asyncio

import pytest
from msgspec.structs import replace

from shared.agents.commits import Put
from shared.agents.errors import JobBusy, JobTaken
from shared.agents.limits import FAILURES_MAX, TAKES_IDLE_MAX
from shared.agents.models import JobState, JobTask
from shared.agents.tenure import Tenure
from shared.ledger.errors import KeyReused
from tests.agents.yard import ACCOUNT, FUNDS_MICROS, Yard


async def test_a_job_runs_to_its_end_in_short_legs(yard: Yard) -> None:
    """Each leg is a task of its own name, and what each step cost is charged and told."""
    job = await yard.start(calls=4)

    done = await yard.finish(job)

    charges = await yard.charges()
    assert (done.state, done.failure) == (JobState.SUCCEEDED, None)
    assert [step for step, _ in charges] == ["ask:0", "ask:1", "ask:2", "ask:3"]
    assert done.spent_micros == sum(micros for _, micros in charges) == FUNDS_MICROS - await yard.spendable_micros()
    assert done.result is not None
    assert done.result["cost_micros"] == done.spent_micros
    assert done.leg >= 2
    assert len(yard.posted.tasks) == done.leg + 1
    assert (done.holds, await yard.held_micros(), done.look_due_ms) == ({}, 0, None)
    assert [event.kind for event in await yard.events(job)] == ["asks"] * 4 + ["succeeded"]


async def test_every_step_leaves_a_trace_with_its_receipt(yard: Yard) -> None:
    job = await yard.start(calls=2)
    await yard.finish(job)

    traces = await yard.traces(job)

    assert [(trace.step, trace.tool, trace.state) for trace in traces] == [
        ("ask:0", "chat", "done"),
        ("ask:1", "chat", "done"),
    ]
    for trace in traces:
        assert trace.receipt_id is not None
        entry = await yard.app.ledger.entry(ACCOUNT, trace.receipt_id)  # type: ignore[arg-type]
        assert -entry.delta_micros == trace.charged_micros
        assert dict(entry.facts)["job"] == job.job_id
        assert trace.usage["counts"]["completion_tokens"] > 0


async def test_the_same_task_delivered_five_times_at_once_has_one_effect(yard: Yard) -> None:
    """Every delivery is to a process of its own."""
    job = await yard.start(calls=3)
    undisturbed = await yard.finish(await yard.start(calls=3))
    paid_before = await yard.spendable_micros()
    processes = [yard.process() for _ in range(5)]

    for _ in range(20):
        now = await yard.job(job)
        if now.is_over:
            break
        task = JobTask(job_id=job.job_id, leg=now.leg)
        outcomes = await asyncio.gather(*(one.job_runner.run(task) for one in processes), return_exceptions=True)
        assert all(outcome is None or isinstance(outcome, JobBusy) for outcome in outcomes), outcomes
    for one in processes:
        await one.upstreams.close()

    done = await yard.job(job)
    assert done.state is JobState.SUCCEEDED
    assert done.result == undisturbed.result
    assert done.lease_number == undisturbed.lease_number
    assert paid_before - await yard.spendable_micros() == undisturbed.spent_micros
    assert [event.kind for event in await yard.events(job)] == ["asks"] * 3 + ["succeeded"]


async def test_a_leg_that_is_over_is_not_run_again(yard: Yard) -> None:
    job = await yard.start(calls=3)
    await yard.deliver(job)
    before = await yard.kept(job)

    await yard.app.job_runner.run(JobTask(job_id=job.job_id, leg=0))

    assert (await yard.kept(job)).version == before.version


async def test_a_repeated_start_is_one_job(yard: Yard) -> None:
    asked = {"kind": "asking", "params": {"calls": 1}, "model_id": "google/gemma-2-2b-it", "key": "once"}
    job = await yard.start(calls=1)
    from shared.base.ids import new_request_id
    from shared.calls.models import Asking

    asking = Asking(account_id=ACCOUNT, request_id=new_request_id())
    first = await yard.app.job_starts.start(asking, job.owner, ceiling_micros=5_000_000, **asked)  # type: ignore[arg-type]
    await yard.finish(first)
    again = await yard.app.job_starts.start(asking, job.owner, ceiling_micros=5_000_000, **asked)  # type: ignore[arg-type]

    assert again.job_id == first.job_id
    assert again.state is JobState.SUCCEEDED
    with pytest.raises(KeyReused):
        await yard.app.job_starts.start(asking, job.owner, ceiling_micros=6_000_000, **asked)  # type: ignore[arg-type]


async def test_a_zombie_writes_nothing(yard: Yard) -> None:
    """Whose lease ran out and was taken: no checkpoint, no progress, no money."""
    job = await yard.start(calls=3)
    zombie = await Tenure.begin(yard.app.job_store, await yard.kept(job), yard.wall, leg=0, lease_ms=1_000)
    yard.wall.ahead_ms += 1_001
    heir = await Tenure.begin(yard.app.job_store, await yard.kept(job), yard.wall, leg=0, lease_ms=1_000)
    before = await yard.kept(job)

    for write in (
        zombie.commit([Put(f"jobs/{job.job_id}/graph_checkpoints/x", {"a": 1})], step=7),
        zombie.write(lambda job: {"spent_micros": 7}),
        zombie.write(lambda job: {}, notes=[("told", "by a zombie", {})]),
    ):
        with pytest.raises(JobTaken):
            await write

    assert (await yard.kept(job)).version == before.version
    assert await yard.events(job) == []
    await heir.write(lambda job: {}, keeps=False)


async def test_what_others_change_meanwhile_is_taken_over(yard: Yard) -> None:
    """An owner who writes between does not cost the worker its job, nor the worker the owner's word."""
    job = await yard.start(calls=1)
    tenure = await Tenure.begin(yard.app.job_store, await yard.kept(job), yard.wall, leg=0)
    kept = await yard.kept(job)
    await yard.app.job_store.write(kept, replace(kept.job, ceiling_micros=77_000_000))

    written = await tenure.write(lambda job: {"calls": job.calls + 1}, notes=[("told", "once", {})])

    assert (written.ceiling_micros, written.calls) == (77_000_000, 1)
    assert [event.text for event in await yard.events(job)] == ["once"]


async def test_a_live_lease_keeps_others_out_and_is_renewed(yard: Yard) -> None:
    job = await yard.start(calls=1)
    tenure = await Tenure.begin(yard.app.job_store, await yard.kept(job), yard.wall, leg=0, lease_ms=600)

    async def work() -> None:
        for _ in range(8):
            await asyncio.sleep(0.2)
            with pytest.raises(JobBusy):
                await yard.deliver(job)

    await tenure.during(work())
    yard.wall.ahead_ms += 601
    await yard.deliver(job)


async def test_notes_told_before_a_death_are_not_told_again(yard: Yard) -> None:
    """The node that told them runs again from its top."""
    job = await yard.start(calls=1)
    tenure = await Tenure.begin(yard.app.job_store, await yard.kept(job), yard.wall, leg=0, lease_ms=500)
    await tenure.note("asks", "Call 0", {})
    await tenure.flush()
    yard.wall.ahead_ms += 501
    heir = await Tenure.begin(yard.app.job_store, await yard.kept(job), yard.wall, leg=0, lease_ms=500)

    await heir.note("asks", "Call 0", {})
    await heir.note("asks", "Call 1", {})
    await heir.flush()

    assert [event.text for event in await yard.events(job)] == ["Call 0", "Call 1"]


async def test_a_providers_trouble_is_tried_again_later_and_then_ends_the_job(yard: Yard) -> None:
    """With growing pauses, each in a leg of its own; nothing stays held, and nothing was charged."""
    job = await yard.start(calls=2, says="[[error-500]]")

    done = await yard.finish(job)

    pauses = [at_ms for _, at_ms in yard.posted.tasks.values() if at_ms is not None]
    assert done.state is JobState.FAILED
    assert len(pauses) == FAILURES_MAX
    assert (done.holds, await yard.held_micros(), await yard.charges()) == ({}, 0, [])
    assert (await yard.events(job))[-1].kind == "failed"


async def test_a_defect_of_a_kind_fails_its_job_at_once(yard: Yard) -> None:
    """What was charged stays charged, once."""
    done = await yard.finish(await yard.start(calls=2, fails=True))

    assert done.state is JobState.FAILED
    assert done.failure is not None
    assert done.failure.code == "step_failed"
    assert [step for step, _ in await yard.charges()] == ["ask:0"]
    assert await yard.held_micros() == 0


async def test_a_job_that_ends_its_process_each_time_is_ended(yard: Yard) -> None:
    job = await yard.start(calls=2)
    kept = await yard.kept(job)
    await yard.app.job_store.write(kept, replace(kept.job, takes_idle=TAKES_IDLE_MAX))

    done = await yard.deliver(job)

    assert done.state is JobState.FAILED
    assert done.failure is not None
    assert done.failure.code == "job_stuck"


async def test_notes_that_come_fast_are_written_together(yard: Yard) -> None:
    """A document that listeners watch is not written for each of them, and none is lost."""
    job = await yard.start(calls=0)
    tenure = await Tenure.begin(yard.app.job_store, await yard.kept(job), yard.wall, leg=0)
    written = {(await yard.job(job)).write_id}

    for number in range(20):
        await tenure.note("counts", f"Number {number}", {})
    for _ in range(15):
        await asyncio.sleep(0.1)
        written.add((await yard.job(job)).write_id)

    assert [event.text for event in await yard.events(job)] == [f"Number {number}" for number in range(20)]
    assert len(written) == 2
