"""What a job may spend: the ceiling, the warning, the pause, the top-up, and a card of its own."""

from typing import Any

import pytest
from msgspec.structs import replace

from shared.agents import rules
from shared.agents.errors import CeilingTooLow, JobOver
from shared.agents.limits import JOB_KEPT_MS, LEG_MS_MAX
from shared.agents.models import Job, JobState, Pause
from shared.cards.models import Changes, Terms
from tests.agents.yard import ACCOUNT, CEILING_MICROS, OWNER, Yard

WHO: dict[str, Any] = {"account_id": ACCOUNT, "uid": None}


async def _one_call_micros(yard: Yard) -> tuple[int, int]:
    """What one call holds and what it costs."""
    job = await yard.start(calls=1)
    await yard.finish(job)
    [trace] = await yard.traces(job)
    return int(trace.quote["amount_micros"]), trace.charged_micros


async def test_a_job_pauses_at_its_ceiling_and_goes_on_after_a_top_up(yard: Yard) -> None:
    """It never spends more, nothing is held meanwhile, and it ends as if it had never waited."""
    held, cost = await _one_call_micros(yard)
    undisturbed = await yard.finish(await yard.start(calls=4))
    job = await yard.start(calls=4, ceiling_micros=held + cost)

    paused = await yard.finish(job)

    assert paused.state is JobState.PAUSED_BUDGET
    assert paused.pause is not None
    assert (paused.pause.limit, paused.pause.needed_micros) == ("ceiling", held)
    assert paused.spent_micros <= paused.ceiling_micros
    assert paused.calls == 2
    assert (paused.holds, await yard.held_micros()) == ({}, 0)
    again = await yard.deliver(job)
    assert again.state is JobState.PAUSED_BUDGET

    await yard.app.jobs.resume(job.job_id, 50_000_000, **WHO)
    await yard.app.jobs.resume(job.job_id, 50_000_000, **WHO)
    done = await yard.finish(job)

    assert done.state is JobState.SUCCEEDED
    assert done.result == undisturbed.result
    assert done.spent_micros == undisturbed.spent_micros
    assert [event.kind for event in await yard.events(job)].count("paused_budget") == 1


@pytest.mark.parametrize(("short_micros", "calls", "warned_at"), [(0, 4, 2), (1, 4, 3), (1, 2, None)])
async def test_the_owner_is_warned_once_at_four_fifths(
    yard: Yard, short_micros: int, calls: int, warned_at: int | None
) -> None:
    """By the charge that reaches them, to the micro, and by none before or behind it."""
    learned = await yard.start(calls=4)
    await yard.finish(learned)
    costs = [micros for _, micros in await yard.charges(learned)]
    fifths = CEILING_MICROS * 4 // 5
    spent = fifths - sum(costs[:2]) - short_micros
    job = await yard.start(calls=calls)
    kept = await yard.kept(job)
    await yard.app.job_store.write(kept, replace(kept.job, spent_micros=spent))

    done = await yard.finish(job)

    assert done.spent_micros == spent + sum(costs[:calls])
    warnings = [event for event in await yard.events(job) if event.kind == "budget_warning"]
    expected = [] if warned_at is None else [spent + sum(costs[:warned_at])]
    assert [event.facts["spent_micros"] for event in warnings] == expected


@pytest.mark.parametrize(
    ("spent", "charged", "crosses"), [(0, 79, False), (0, 80, True), (79, 1, True), (80, 10, False), (10, 90, True)]
)
def test_a_charge_crosses_the_warning_once(spent: int, charged: int, crosses: bool) -> None:
    """Whatever it is that the charges come to."""
    assert rules.crosses_warning(_job(spent_micros=spent, ceiling_micros=100), charged) is crosses


def _job(**fields: Any) -> Job:
    known: dict[str, Any] = {
        "job_id": "job_x",
        "owner": "ada",
        "account_id": ACCOUNT,
        "kind": "asking",
        "params": {},
        "model_id": "m",
        "request_hash": "",
        "created_at_ms": 0,
        "delete_at_ms": 0,
        "steps_expected": 10,
        "ceiling_micros": 100,
    }
    return Job(**{**known, **fields})


def test_the_forecast_goes_on_as_it_went_so_far() -> None:
    assert rules.forecast_micros(_job()) is None
    assert rules.forecast_micros(_job(steps_done=5, calls=3, spent_micros=50)) == 100
    assert rules.forecast_micros(_job(steps_done=10, calls=3, spent_micros=50)) == 55
    assert rules.forecast_micros(_job(steps_done=5, spent_micros=50, state=JobState.SUCCEEDED)) == 50


async def test_a_wallet_that_is_empty_pauses_a_job_too(yard: Yard) -> None:
    """And the same ceiling is enough to go on, once there is something in it."""
    job = await yard.start(calls=1)
    spendable = await yard.spendable_micros()
    await yard.app.ledger.debit(ACCOUNT, spendable, key="all", facts={})

    paused = await yard.finish(job)

    assert paused.state is JobState.PAUSED_BUDGET
    assert paused.pause is not None
    assert paused.pause.limit == "wallet"
    await yard.app.ledger.grant_paid(ACCOUNT, spendable, key="more", facts={})
    await yard.app.jobs.resume(job.job_id, job.ceiling_micros, **WHO)
    assert (await yard.finish(job)).state is JobState.SUCCEEDED


async def test_a_ceiling_that_is_raised_as_a_job_is_about_to_pause_is_seen(yard: Yard) -> None:
    """The owner was answered that the job is running; nobody would wake it."""
    held, cost = await _one_call_micros(yard)
    job = await yard.start(calls=3, ceiling_micros=held + cost)
    runner = yard.app.job_runner
    pause = runner._pause

    async def topped_up_meanwhile(*args: Any) -> None:
        resumed = await yard.app.jobs.resume(job.job_id, 50_000_000, **WHO)
        assert resumed.state is JobState.RUNNING
        await pause(*args)

    runner._pause = topped_up_meanwhile  # type: ignore[method-assign]

    done = await yard.finish(job)

    assert (done.state, done.calls) == (JobState.SUCCEEDED, 3)
    assert "paused_budget" not in [event.kind for event in await yard.events(job)]


async def test_a_frozen_card_pays_for_no_further_call(yard: Yard) -> None:
    """Its job waits with nothing held, and goes on when its owner has unfrozen the card."""
    created = await yard.app.cards.create(OWNER, Terms("for jobs"), 1_000_000, key="card")
    card = created.card
    job = await yard.start(calls=4, account_id=card.account_id)
    await yard.deliver(job)
    calls = (await yard.job(job)).calls
    await yard.app.cards.change(OWNER, card.card_id, Changes(frozen=True))

    paused = await yard.finish(job)

    assert (paused.state, paused.calls, paused.holds) == (JobState.PAUSED_BUDGET, calls, {})
    assert paused.pause == Pause(0, "card")
    assert (await yard.events(job))[-1].kind == "paused_budget"
    await yard.app.cards.change(OWNER, card.card_id, Changes(frozen=False))
    await yard.app.jobs.resume(job.job_id, job.ceiling_micros, account_id=ACCOUNT, uid=OWNER)
    assert (await yard.finish(job)).state is JobState.SUCCEEDED


async def test_a_closed_card_ends_its_job_with_nothing_held(yard: Yard) -> None:
    """And what was left on the card is in the wallet."""
    before = await yard.spendable_micros()
    card = (await yard.app.cards.create(OWNER, Terms("for jobs"), 1_000_000, key="card")).card
    job = await yard.start(calls=4, account_id=card.account_id)
    await yard.deliver(job)
    await yard.app.cards.close(OWNER, card.card_id)

    done = await yard.finish(job)

    assert (done.state, done.holds) == (JobState.FAILED, {})
    assert done.failure is not None
    assert done.failure.code == "card_closed"
    assert before - await yard.spendable_micros() == done.spent_micros > 0


async def test_a_job_that_is_about_to_be_deleted_pays_for_nothing(yard: Yard) -> None:
    """Of its steps some may be gone already, and with them that they were paid for."""
    job = await yard.start(calls=4)
    await yard.deliver(job)
    paid = await yard.charges(job)
    yard.wall.ahead_ms += JOB_KEPT_MS - LEG_MS_MAX

    done = await yard.finish(job)

    assert done.state is JobState.FAILED
    assert done.failure is not None
    assert done.failure.code == "job_expired"
    assert await yard.charges(job) == paid
    assert await yard.held_micros() == 0


async def test_a_ceiling_is_never_lowered_and_nothing_over_is_resumed(yard: Yard) -> None:
    job = await yard.start(calls=1)
    with pytest.raises(CeilingTooLow):
        await yard.app.jobs.resume(job.job_id, job.ceiling_micros - 1, **WHO)
    await yard.finish(job)
    with pytest.raises(JobOver):
        await yard.app.jobs.resume(job.job_id, job.ceiling_micros + 1, **WHO)
