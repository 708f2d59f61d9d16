"""Events whose task was given up are looked at after all, or a person is asked."""

import json

import msgspec
import pytest

from shared.payments.models import PaymentApply
from shared.payments.sweep import NEVER_APPLIED, SWEEPS_MAX, Sweep, SweepDone
from shared.tasks.service import Tasks
from tests.images.jobs import Fate, Killed
from tests.payments.builders import Shop
from tests.payments.stripe_bench import StripeBench
from tests.payments.waiting import MemoryWaitingEvents

HOUR_MS = 3_600_000


@pytest.fixture
async def shop() -> Shop:
    """Whose rail does not matter here."""
    made = Shop(StripeBench)
    await made.open_wallet()
    return made


def sweep_of(shop: Shop) -> Sweep:
    tasks = Tasks(shop.queues, "http://{function}", shop.clock)
    return Sweep(MemoryWaitingEvents(shop.store), shop.store, tasks, shop.clock)


@pytest.fixture
async def waiting(shop: Shop) -> Shop:
    shop.bench.pay(await shop.order())
    await shop.receive(shop.bench.deliveries())
    for payload in shop.told():
        apply = msgspec.convert(payload, PaymentApply)
        await shop.store.keep_event(apply.event, at_ms=apply.received_at_ms)
    # The first try of each task kept its event; then the provider answered nobody until the queue gave up.
    shop.queues.tasks.clear()
    return shop


async def test_an_event_that_was_applied_waits_for_nothing(shop: Shop) -> None:
    shop.bench.pay(await shop.order())
    await shop.settle()
    shop.clock.now_ms += 100 * HOUR_MS

    assert shop.store.events
    assert await sweep_of(shop).run() == SweepDone()


async def test_an_event_whose_task_is_still_tried_is_left_to_it(waiting: Shop) -> None:
    waiting.clock.now_ms += HOUR_MS

    assert (await sweep_of(waiting).run()).posted == 0


async def test_an_event_whose_task_was_given_up_is_looked_at_after_all(waiting: Shop) -> None:
    waiting.clock.now_ms += 7 * HOUR_MS
    done = await sweep_of(waiting).run()
    await waiting.work()

    assert done.posted == len(waiting.store.events)
    assert waiting.store.waiting == {}
    assert (await waiting.credits())[0] == 500


async def test_a_sweep_that_runs_twice_posts_nothing_twice(waiting: Shop) -> None:
    waiting.clock.now_ms += 7 * HOUR_MS
    await sweep_of(waiting).run()

    assert await sweep_of(waiting).run() == SweepDone()


async def test_what_is_never_looked_at_is_put_before_a_person_and_swept_no_more(waiting: Shop) -> None:
    events = len(waiting.store.events)
    sweep = sweep_of(waiting)
    for _ in range(SWEEPS_MAX):
        waiting.clock.now_ms += 7 * HOUR_MS
        assert await sweep.run() == SweepDone(posted=events)
    waiting.clock.now_ms += 7 * HOUR_MS

    assert await sweep.run() == SweepDone(given_up=events)
    assert NEVER_APPLIED in waiting.reasons()
    waiting.clock.now_ms += 7 * HOUR_MS
    assert await sweep.run() == SweepDone()


async def test_a_look_that_died_leaves_the_event_waiting(shop: Shop) -> None:
    shop.bench.pay(await shop.order())
    await shop.receive(shop.bench.deliveries())
    [task, *_] = [task for task in shop.queues.tasks.values() if task.url.endswith("payment_apply")]

    fate = Fate(dies_at=4)
    with pytest.raises(Killed):
        await fate.live(shop.run(task.url, json.loads(task.body), fate))

    assert len(shop.store.waiting) == 1
