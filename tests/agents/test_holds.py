"""What is held for a call of a job: charged once or given back, wherever the process dies, and whoever comes after."""

from typing import Any

import pytest

from shared.agents import rules
from shared.agents.models import CallState, JobState
from shared.agents.tenure import Tenure
from shared.base.economy import HOLD_LIFETIME_MS
from shared.metering.models import Charge, Usage
from shared.providers.errors import Fault, UpstreamUnavailable
from tests.agents.yard import ACCOUNT, Died, Yard


@pytest.mark.parametrize("dies", ["before the hold", "after the hold", "before its answer is kept", "after the charge"])
async def test_a_step_is_charged_once_wherever_its_process_dies(yard: Yard, dies: str) -> None:
    """The next process goes on under the same hold."""
    undisturbed = await yard.finish(await yard.start(calls=1))
    before = await yard.spendable_micros()
    job = await yard.start(calls=1)
    doomed = yard.process()
    meter, calls = doomed.meter, doomed.calls
    begin, routed, resume = meter.begin, calls.routed, calls.resume

    async def begin_and_die(*args: Any, **named: Any) -> Any:
        if dies == "before the hold":
            raise Died
        await begin(*args, **named)
        raise Died

    async def ask_and_die(*args: Any, **named: Any) -> Any:
        await routed(*args, **named)
        raise Died

    class Charging:
        def __init__(self, *args: Any) -> None:
            self._inner = resume(*args)

        async def collect(self, usage: Usage, facts: Any) -> Charge:
            await self._inner.collect(usage, facts)
            raise Died

    if dies == "after the charge":
        calls.resume = Charging  # type: ignore[method-assign, assignment]
    elif dies == "before its answer is kept":
        calls.routed = ask_and_die  # type: ignore[method-assign, assignment]
    else:
        meter.begin = begin_and_die  # type: ignore[method-assign]
    with pytest.raises(Died):
        await yard.finish(job, doomed)
    await doomed.upstreams.close()
    yard.wall.ahead_ms += yard.pace.lease_ms

    done = await yard.finish(job)

    assert done.state is JobState.SUCCEEDED
    assert done.result == undisturbed.result
    # A hold under another id would be beside the first, and the owner's credits set aside twice.
    assert [trace.hold_id for trace in await yard.traces(job)] == [rules.hold_id_of(job.job_id, "ask:0", 0)]
    assert before - await yard.spendable_micros() == undisturbed.spent_micros == done.spent_micros
    assert (done.holds, await yard.held_micros()) == ({}, 0)


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_hold_is_given_back_by_whoever_comes_after_a_death(yard: Yard, cancelled: bool) -> None:
    """The process had written that a call failed, and not yet released what was held for it."""
    job = await yard.start(calls=1)
    doomed = yard.process()

    async def fails(*args: Any, **named: Any) -> Any:
        raise UpstreamUnavailable("far", "gone", fault=Fault.DOWN)

    async def dies(*args: Any) -> None:
        raise Died

    doomed.calls.routed = fails  # type: ignore[method-assign]
    doomed.ledger.release = dies  # type: ignore[method-assign]
    with pytest.raises(Died):
        await yard.finish(job, doomed)
    await doomed.upstreams.close()
    [failed] = await yard.traces(job)
    assert failed.state is CallState.FAILED
    assert await yard.held_micros() == (await yard.job(job)).held_micros > 0
    if cancelled:
        await yard.app.jobs.cancel(job.job_id, account_id=ACCOUNT, uid=None)
    yard.wall.ahead_ms += yard.pace.lease_ms

    done = await yard.finish(job)

    assert done.state is (JobState.CANCELLED if cancelled else JobState.SUCCEEDED)
    assert (done.holds, await yard.held_micros()) == ({}, 0)


async def test_a_hold_that_is_old_is_replaced(yard: Yard) -> None:
    """Under another id: the first may run out before a slow provider has answered."""
    job = await yard.start(calls=1)
    doomed = yard.process()
    begin = doomed.meter.begin

    async def begin_and_die(*args: Any, **named: Any) -> Any:
        await begin(*args, **named)
        raise Died

    doomed.meter.begin = begin_and_die  # type: ignore[method-assign]
    with pytest.raises(Died):
        await yard.finish(job, doomed)
    yard.wall.ahead_ms += HOLD_LIFETIME_MS

    done = await yard.finish(job)

    [trace] = await yard.traces(job)
    assert (trace.attempt, trace.state, done.state) == (1, CallState.DONE, JobState.SUCCEEDED)
    assert await yard.held_micros() == 0
    assert len(await yard.charges()) == 1


async def test_what_a_job_held_when_it_ended_is_given_back(yard: Yard) -> None:
    """Also when whoever ended it died before doing so."""
    job = await yard.start(calls=1)
    tenure = await Tenure.begin(yard.app.job_store, await yard.kept(job), yard.wall, leg=0)
    hold_id = rules.hold_id_of(job.job_id, "ask:0", 0)
    await yard.app.ledger.hold(ACCOUNT, 1_000, hold_id=hold_id)  # type: ignore[arg-type]
    await tenure.write(lambda job: {"holds": {hold_id: 1_000}, "state": JobState.FAILED}, keeps=False)
    assert await yard.held_micros() == 1_000

    done = await yard.deliver(job)

    assert (done.holds, await yard.held_micros()) == ({}, 0)
