"""Jobs that paint: accepted, painted, charged, ended; twice, late and interrupted."""

import asyncio
import base64

import pytest

from functions.image_job_get import ImageJobGetRequest
from shared.base.economy import IMAGE_JOB_HOLD_LIFETIME_MS, IMAGE_JOB_KEPT_MS, IMAGE_JOB_LIFETIME_MS
from shared.base.errors import BadRequest, CredenceError
from shared.base.ids import HoldId
from shared.images.claim import LEASE_MS
from shared.images.errors import ImageInvalid
from shared.images.job_errors import JobAbsent, JobBusy, JobsUnavailable
from shared.images.job_models import ImageJob, JobId, JobState
from shared.images.job_rules import FAILED_RUNS_MAX, RUNS_MAX, request_for, told
from shared.images.jobs import END_MARGIN_MS
from shared.metering.errors import CallUnaffordable
from shared.providers.errors import UpstreamUnavailable
from shared.tasks.errors import TasksUnavailable
from shared.web.body import parse
from tests.chat.conftest import ADA, FUNDS_MICROS, Shop
from tests.images.builders import PICTURE_MICROS, PNG, painted, request_of
from tests.images.jobs import OWNER, Fate, JobShop, Killed
from tests.images.test_stream import FINISHED, PARTIALS
from tests.providers import fake

CONTENT = base64.b64decode(PNG)


@pytest.fixture
def jobs(shop: Shop) -> JobShop:
    return JobShop(shop)


def paints(shop: Shop, times: int) -> None:
    """Each request is answered with a picture."""
    shop.first.replies.extend([fake.whole(painted(PNG))] * times)


async def runs_out(jobs: JobShop, job: ImageJob) -> None:
    """What the queue does: deliver until it is acknowledged, leases running out meanwhile."""
    for _ in range(RUNS_MAX * 3):
        try:
            await jobs.run(job.job_id)
        except CredenceError:
            jobs.shop.clock.now_ms += LEASE_MS
        else:
            return
    pytest.fail("the task would come for ever")


@pytest.mark.parametrize("text", ["..", "__imgjob__", "imgjob_1", "imgjob_" + "A" * 32, "imgjob_" + "0" * 32 + "\n"])
def test_what_names_no_job_is_refused_before_anything_is_read(text: str) -> None:
    """Firestore would refuse some of it as a name, which would look as if it could not be reached."""
    with pytest.raises(BadRequest):
        parse(ImageJobGetRequest, {"job_id": text})


async def test_a_job_is_accepted_with_its_worst_case_held(jobs: JobShop) -> None:
    """For longer than it may last; nobody is asked yet, and its run and its end are posted."""
    job = await jobs.accept(n=3)

    [hold] = (await jobs.shop.head()).holds.values()
    assert (hold.hold_id, hold.amount_micros) == (job.hold_id, 3 * PICTURE_MICROS)
    assert hold.expires_at_ms == jobs.shop.clock() + IMAGE_JOB_HOLD_LIFETIME_MS
    assert hold.expires_at_ms > job.expires_at_ms
    assert jobs.posted() == [job.expires_at_ms + END_MARGIN_MS, None]
    assert not jobs.shop.first.asked
    assert told(job)["status"] == "queued"
    await end_by_time(jobs, job)


async def end_by_time(jobs: JobShop, job: ImageJob) -> None:
    """Deliver its last task when its time is over."""
    jobs.shop.clock.now_ms = job.expires_at_ms + END_MARGIN_MS
    await jobs.run(job.job_id)


async def test_pictures_are_painted_one_by_one_and_charged_together(jobs: JobShop) -> None:
    paints(jobs.shop, 2)
    job = await jobs.accept(n=2, quality="low")

    await jobs.run(job.job_id)

    done = jobs.job(job.job_id)
    [entry] = jobs.shop.captures()
    assert (done.state, done.percent, len(done.pictures)) == (JobState.SUCCEEDED, 100, 2)
    assert (done.charged_micros, done.receipt_id) == (2 * PICTURE_MICROS, entry.entry_id)
    assert dict(entry.facts)["images"] == "2"
    assert [asked.payload["n"] for asked in jobs.shop.first.asked] == [1, 1]
    assert all(asked.payload["quality"] == "low" for asked in jobs.shop.first.asked)
    read, contents = await jobs.reader().read(job.job_id, account_id="user:ada", uid=None)
    assert (read, contents) == (done, (CONTENT, CONTENT))
    body = told(read, contents)
    assert body["data"] == [{"b64_json": PNG}] * 2
    assert body["usage"]["cost_details"] == {"charged_micros": 2 * PICTURE_MICROS, "receipt_id": entry.entry_id}


async def test_partial_pictures_are_shown_while_they_come(jobs: JobShop) -> None:
    jobs.shop.first.replies.append(fake.stream(*map(fake.event, [*PARTIALS, FINISHED])))
    job = await jobs.accept(partial_images=2)
    seen: list[tuple[int, str | None]] = []
    put = jobs.store._put

    def watch(changed: ImageJob) -> object:
        seen.append((changed.percent, changed.preview.name if changed.preview else None))
        return put(changed)

    jobs.store._put = watch  # type: ignore[method-assign, assignment]
    await jobs.run(job.job_id)

    assert jobs.shop.first.asked[0].payload["partial_images"] == 2
    assert (33, "1-0-1") in seen
    assert (66, "1-0-2") in seen
    assert seen[-1] == (100, None)
    assert await jobs.shop.spent_micros() == PICTURE_MICROS


async def test_a_picture_given_by_its_address_is_read_and_kept(jobs: JobShop) -> None:
    url = "https://pictures.example/1.png"
    jobs.web[url] = CONTENT
    jobs.shop.first.replies.append(fake.whole({"data": [{"url": url}]}))
    job = await jobs.accept()

    await jobs.run(job.job_id)

    _, contents = await jobs.reader().read(job.job_id, account_id="user:ada", uid=None)
    assert contents == (CONTENT,)


async def test_a_task_that_comes_again_changes_nothing(jobs: JobShop) -> None:
    """Nor does the one that comes at the end."""
    paints(jobs.shop, 1)
    job = await jobs.accept()
    await jobs.run(job.job_id)
    before, version = jobs.job(job.job_id), jobs.store.jobs[job.job_id].version

    await jobs.run(job.job_id)
    await end_by_time(jobs, job)

    assert (jobs.job(job.job_id), jobs.store.jobs[job.job_id].version) == (before, version)
    assert len(jobs.shop.first.asked) == len(jobs.shop.captures()) == 1


async def test_five_tasks_at_once_have_one_effect(jobs: JobShop) -> None:
    """One works, the others come again."""
    paints(jobs.shop, 2)
    job = await jobs.accept(n=2)

    outcomes = await asyncio.gather(*(jobs.run(job.job_id) for _ in range(5)), return_exceptions=True)

    assert sum(isinstance(outcome, JobBusy) for outcome in outcomes) == 4
    assert len(jobs.shop.first.asked) == 2
    assert await jobs.shop.spent_micros() == 2 * PICTURE_MICROS


async def undisturbed_steps(jobs: JobShop) -> int:
    paints(jobs.shop, 2)
    job, fate = await jobs.accept(n=2), Fate()
    await jobs.run(job.job_id, fate)
    return fate.steps


async def test_a_process_that_dies_anywhere_is_followed_by_one_that_finishes(jobs: JobShop) -> None:
    """Before and after every call of a store, the ledger's too: the same pictures and the same charge."""
    steps = await undisturbed_steps(jobs)
    assert steps >= 16
    for dies_at in range(1, steps + 1):
        funds = {"lifetime_ms": 10**10, "key": f"more:{dies_at}", "facts": {}}
        await jobs.shop.ledger.grant_promo(ADA, 2 * PICTURE_MICROS, **funds)  # type: ignore[arg-type]
        balance = (await jobs.shop.head()).balance_micros
        jobs.shop.first.replies.clear()
        paints(jobs.shop, 6)
        job = await jobs.accept(n=2)

        with pytest.raises(Killed):
            await jobs.run(job.job_id, Fate(dies_at))
        jobs.shop.clock.now_ms += LEASE_MS
        await runs_out(jobs, job)
        await end_by_time(jobs, job)

        assert jobs.job(job.job_id).state is JobState.SUCCEEDED, dies_at
        assert balance - (await jobs.shop.head()).balance_micros == 2 * PICTURE_MICROS, dies_at
        _, contents = await jobs.reader().read(job.job_id, account_id="user:ada", uid=None)
        assert contents == (CONTENT, CONTENT)


async def test_a_picture_that_is_kept_is_not_painted_again(jobs: JobShop) -> None:
    """A process that died after the first of two left the second to be made."""
    paints(jobs.shop, 1)
    jobs.shop.first.replies.append(fake.hang())
    job = await jobs.accept(n=2)
    running = asyncio.create_task(jobs.run(job.job_id))
    while len(jobs.shop.first.asked) < 2:
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    paints(jobs.shop, 1)

    jobs.shop.clock.now_ms += LEASE_MS
    await jobs.run(job.job_id)

    assert len(jobs.shop.first.asked) == 3
    assert [picture.name for picture in jobs.job(job.job_id).pictures] == ["1-0", "2-1"]


async def test_who_lost_the_job_writes_nothing_more(jobs: JobShop) -> None:
    """A run whose lease had run out, so that another followed, finds out at its next write and charges nothing."""
    paints(jobs.shop, 1)
    job = await jobs.accept()
    put = jobs.store.put_picture

    async def late(*args: object, **named: object) -> None:
        # While the first picture is kept, the other run begins and ends.
        jobs.store.put_picture = put  # type: ignore[method-assign]
        jobs.shop.clock.now_ms += LEASE_MS
        paints(jobs.shop, 1)
        await jobs.run(job.job_id)
        await put(*args, **named)  # type: ignore[arg-type]

    jobs.store.put_picture = late  # type: ignore[method-assign, assignment]
    with pytest.raises(JobBusy):
        await jobs.run(job.job_id)

    assert [picture.name for picture in jobs.job(job.job_id).pictures] == ["2-0"]
    assert await jobs.shop.spent_micros() == PICTURE_MICROS


@pytest.mark.parametrize("dies_at", range(1, 13))
async def test_an_acceptance_that_dies_leaves_nothing_held_for_ever(jobs: JobShop, dies_at: int) -> None:
    """Whatever there is of the job ends; nobody asks a provider for it once it is known to have failed."""
    fate = Fate(dies_at)
    try:
        await jobs.accept(fate)
    except Killed:
        assert fate.steps >= dies_at
    for job_id in [*jobs.store.jobs]:
        await end_by_time(jobs, jobs.job(job_id))
        assert jobs.job(job_id).state is JobState.EXPIRED
    jobs.shop.clock.now_ms += IMAGE_JOB_HOLD_LIFETIME_MS
    head = await jobs.shop.head()
    assert all(hold.expires_at_ms <= jobs.shop.clock() for hold in head.holds.values())
    assert jobs.shop.ledger.spendable_micros(head) == FUNDS_MICROS
    assert not jobs.shop.first.asked
    jobs.shop.holds_left = len(head.holds)
    if head.holds:
        # What the next hold sweeps away, a new call's.
        await jobs.shop.ledger.hold(head.account_id, 1, hold_id=job_hold("sweep"))
        await jobs.shop.ledger.release(head.account_id, job_hold("sweep"))
        jobs.shop.holds_left = 0


def job_hold(name: str) -> HoldId:
    return HoldId(name)


async def test_a_wallet_that_is_too_small_has_no_job(jobs: JobShop) -> None:
    """It holds 25 pictures, and ten are asked for thrice."""
    for number in range(2):
        await jobs.accept(n=10)
        assert len(jobs.store.jobs) == number + 1

    with pytest.raises(CallUnaffordable):
        await jobs.accept(n=10)

    assert len(jobs.store.jobs) == 2
    assert len(jobs.queues.tasks) == 4
    for job_id in [*jobs.store.jobs]:
        await end_by_time(jobs, jobs.job(job_id))


@pytest.mark.parametrize("fault", ["fails_before", "fails_after"])
async def test_a_queue_that_fails_holds_nothing(jobs: JobShop, fault: str) -> None:
    setattr(jobs.queues, fault, True)

    with pytest.raises(TasksUnavailable):
        await jobs.accept()

    assert not jobs.store.jobs
    assert await jobs.shop.spent_micros() == 0


async def test_a_job_whose_task_may_be_posted_or_not_never_runs_free(jobs: JobShop) -> None:
    """It is ended before its hold is given back; a task that was posted all the same finds it so."""
    create = jobs.queues.create

    async def second_fails(task: object) -> bool:
        jobs.queues.fails_after = bool(jobs.queues.tasks)
        return await create(task)  # type: ignore[arg-type]

    jobs.queues.create = second_fails  # type: ignore[method-assign, assignment]
    with pytest.raises(TasksUnavailable):
        await jobs.accept()

    [job_id] = jobs.store.jobs
    await jobs.run(job_id)
    assert jobs.job(job_id).state is JobState.FAILED
    assert len(jobs.queues.tasks) == 2
    assert not jobs.shop.first.asked


async def test_a_store_that_fails_holds_nothing(jobs: JobShop) -> None:
    jobs.store.is_down = True

    with pytest.raises(JobsUnavailable):
        await jobs.accept()


async def test_a_providers_trouble_is_outlived(jobs: JobShop) -> None:
    """The task comes again at once: who failed lets the job go."""
    jobs.shop.first.replies.extend([fake.refuse(500)] * 20)
    jobs.shop.second.replies.extend([fake.refuse(500)] * 20)
    job = await jobs.accept()
    with pytest.raises(UpstreamUnavailable):
        await jobs.run(job.job_id)
    jobs.shop.first.replies.clear()
    jobs.shop.second.replies.clear()
    paints(jobs.shop, 1)
    jobs.shop.second.replies.append(fake.whole(painted(PNG)))
    await jobs.shop.time.sleep(10_000)

    await jobs.run(job.job_id)

    assert jobs.job(job.job_id).state is JobState.SUCCEEDED
    assert await jobs.shop.spent_micros() == PICTURE_MICROS


async def test_a_job_that_keeps_failing_fails_and_is_free(jobs: JobShop) -> None:
    jobs.shop.first.replies.extend([fake.refuse(500)] * 100)
    jobs.shop.second.replies.extend([fake.refuse(500)] * 100)
    job = await jobs.accept()

    await runs_out(jobs, job)

    failed = jobs.job(job.job_id)
    assert (failed.state, failed.runs) == (JobState.FAILED, FAILED_RUNS_MAX)
    assert told(failed)["error"]["code"] == "upstream_unavailable"
    assert await jobs.shop.spent_micros() == 0


async def test_a_prompt_that_is_refused_fails_at_once(jobs: JobShop) -> None:
    jobs.shop.first.replies.append(fake.refuse(400))
    job = await jobs.accept()

    await jobs.run(job.job_id)

    assert jobs.job(job.job_id).state is JobState.FAILED
    assert len(jobs.shop.first.asked) == 1


async def test_what_came_before_a_failure_is_delivered_and_charged(jobs: JobShop) -> None:
    """One of three."""
    paints(jobs.shop, 1)
    jobs.shop.first.replies.append(fake.refuse(400))
    job = await jobs.accept(n=3)

    await jobs.run(job.job_id)

    done = jobs.job(job.job_id)
    assert (done.state, len(done.pictures), done.charged_micros) == (JobState.SUCCEEDED, 1, PICTURE_MICROS)


@pytest.mark.parametrize("picture", ["!", "AAAA"], ids=["no base64", "no picture"])
async def test_what_is_no_picture_is_not_charged(jobs: JobShop, picture: str) -> None:
    jobs.shop.first.replies.extend([fake.whole(painted(picture))] * 20)
    job = await jobs.accept()

    await runs_out(jobs, job)

    assert told(jobs.job(job.job_id))["error"]["code"] == "picture_unreadable"
    assert await jobs.shop.spent_micros() == 0


async def test_a_job_whose_time_is_over_expires(jobs: JobShop) -> None:
    """Its hold comes back, also when whoever ended it died before that."""
    job = await jobs.accept()
    jobs.shop.clock.now_ms = job.expires_at_ms + END_MARGIN_MS
    # Found, begun, ended: each a call with a step before and after; the next would give the hold back.
    with pytest.raises(Killed):
        await jobs.run(job.job_id, Fate(7))
    assert jobs.job(job.job_id).state is JobState.EXPIRED
    assert (await jobs.shop.head()).holds

    await jobs.run(job.job_id)

    assert not (await jobs.shop.head()).holds
    assert told(jobs.job(job.job_id))["error"]["code"] == "job_expired"
    assert not jobs.shop.first.asked


async def test_a_job_that_ends_its_process_each_time_is_given_up(jobs: JobShop) -> None:
    job = await jobs.accept()
    jobs.change(job.job_id, runs=RUNS_MAX)

    await jobs.run(job.job_id)

    assert jobs.job(job.job_id).state is JobState.FAILED
    assert not jobs.shop.first.asked


async def test_a_task_of_no_job_is_acknowledged(jobs: JobShop) -> None:
    """Its acceptance ended before there was one."""
    await jobs.run(JobId("imgjob_none"))


async def test_a_job_is_read_by_its_own_people_while_it_is_kept(jobs: JobShop) -> None:
    paints(jobs.shop, 1)
    job = await jobs.accept()
    await jobs.run(job.job_id)
    reader = jobs.reader()

    assert (await reader.read(job.job_id, account_id="card:x", uid=OWNER))[0].job_id == job.job_id
    for stranger in ({"account_id": "user:ben", "uid": "ben"}, {"account_id": "card:y", "uid": None}):
        with pytest.raises(JobAbsent):
            await reader.read(job.job_id, **stranger)  # type: ignore[arg-type]
    jobs.shop.clock.now_ms += IMAGE_JOB_KEPT_MS
    with pytest.raises(JobAbsent):
        await reader.read(job.job_id, account_id="user:ada", uid=None)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stream": True}, "stream"),
        ({"response_format": "url"}, "response_format"),
        ({"negative_prompt": "x" * 70_000}, "prompt"),
    ],
)
async def test_what_no_job_can_do_is_refused(jobs: JobShop, fields: dict[str, object], param: str | None) -> None:
    with pytest.raises(ImageInvalid) as refused:
        await jobs.accept(**fields)

    assert refused.value.param == param
    assert not jobs.queues.tasks


def test_a_seed_is_counted_on_and_nothing_of_ours_is_passed_on() -> None:
    """Or every picture would be the same."""
    request = request_of(n=3, seed=7, background=True, user="x")

    assert [request_for(request, index, shows_partials=False).others["seed"] for index in range(3)] == [7, 8, 9]
    assert request_for(request, 1, shows_partials=False).background is None
    assert "seed" not in request_for(request_of(n=2), 1, shows_partials=False).others


def test_a_job_lives_as_long_as_it_is_said() -> None:
    assert IMAGE_JOB_LIFETIME_MS < IMAGE_JOB_HOLD_LIFETIME_MS < IMAGE_JOB_KEPT_MS
