"""Jobs that paint, of whose pictures contributed keys make some or all: each pays its own key's owner, and once."""

import pytest
from msgspec.structs import replace

from shared.images.claim import LEASE_MS
from shared.images.job_models import JobState
from shared.images.job_rules import told
from shared.ledger.models import HOUSE_REVENUE, Entry
from shared.resources.models import KEY_FACT, KeyId, KeyStatus
from tests.chat.conftest import ADA
from tests.images.builders import MODEL, PICTURE_MICROS
from tests.images.jobs import Fate, JobShop, Killed
from tests.images.test_jobs import end_by_time, paints, runs_out, undisturbed_steps
from tests.images.test_stream import FINISHED, PARTIALS
from tests.providers import fake
from tests.shelf.conftest import SECRET, Library, asked_with

SHARE_MICROS = PICTURE_MICROS * 765 // 1_000


@pytest.fixture
def jobs(library: Library) -> JobShop:
    return JobShop(library.shop)


def earned(entries: list[Entry]) -> dict[str, int]:
    """What these charges gave whom but the house."""
    given: dict[str, int] = {}
    for leg in (leg for entry in entries for leg in entry.legs if leg.account_id != HOUSE_REVENUE):
        given[leg.account_id] = given.get(leg.account_id, 0) + leg.amount_micros
    return given


async def test_each_picture_pays_the_owner_of_the_key_that_made_it(library: Library, jobs: JobShop) -> None:
    """Three pictures of two keys, each good for one, and of the platform's own: three charges, all told as receipts."""
    await library.add("key1", owner="grace", models=(MODEL.id,), quota_micros=PICTURE_MICROS)
    await library.add("key2", owner="hopper", models=(MODEL.id,), quota_micros=PICTURE_MICROS)
    paints(library.shop, 3)
    job = await jobs.accept(n=3)

    await jobs.run(job.job_id)
    await jobs.run(job.job_id)

    done, entries = jobs.job(job.job_id), library.shop.captures()
    assert sum(asked_with(asked).startswith(SECRET) for asked in library.shop.first.asked) == 2
    assert (done.state, done.charged_micros) == (JobState.SUCCEEDED, 3 * PICTURE_MICROS)
    assert [-entry.delta_micros for entry in entries] == [PICTURE_MICROS] * 3
    assert earned(entries) == {"earn:grace": SHARE_MICROS, "earn:hopper": SHARE_MICROS}
    assert done.receipt_id == entries[-1].entry_id
    assert told(done)["usage"]["cost_details"]["receipt_ids"] == tuple(entry.entry_id for entry in entries)
    assert not (await library.shop.head()).holds


async def test_one_picture_that_is_shown_while_it_is_painted_pays_in_the_jobs_own_charge(
    library: Library, jobs: JobShop
) -> None:
    await library.add(models=(MODEL.id,))
    library.shop.first.replies.append(fake.stream(*map(fake.event, [*PARTIALS, FINISHED])))
    job = await jobs.accept(partial_images=2)

    await jobs.run(job.job_id)

    (entry,) = library.shop.captures()
    assert (entry.hold_id, dict(entry.facts)[KEY_FACT]) == (job.hold_id, "key1")
    assert earned([entry]) == {"earn:grace": SHARE_MICROS}
    await library.shelf.settle_down()
    key = library.store.keys[KeyId("key1")]
    assert key.leased_micros - key.returned_micros == PICTURE_MICROS


async def test_a_painter_is_not_paid_for_their_own_pictures(library: Library, jobs: JobShop) -> None:
    await library.add(owner="ada", models=(MODEL.id,))
    paints(library.shop, 1)
    job = await jobs.accept()

    await jobs.run(job.job_id)

    assert earned(library.shop.captures()) == {}
    assert not asked_with(library.shop.first.asked[0]).startswith(SECRET)


async def test_a_process_that_dies_anywhere_has_each_picture_charged_once(library: Library, jobs: JobShop) -> None:
    """Two pictures, one of a key that is good for no more: the same sum, and nobody is paid what was not charged."""
    shop = library.shop
    await library.add("key0", models=(MODEL.id,), quota_micros=PICTURE_MICROS)
    for dies_at in range(1, await undisturbed_steps(jobs) + 1):
        await shop.ledger.grant_promo(ADA, 2 * PICTURE_MICROS, lifetime_ms=10**10, key=f"more:{dies_at}", facts={})
        former = library.store.keys[KeyId(f"key{dies_at - 1}")]
        library.store.put(replace(former, status=KeyStatus.PAUSED))
        await library.add(f"key{dies_at}", models=(MODEL.id,), quota_micros=PICTURE_MICROS)
        balance, before = (await shop.head()).balance_micros, len(shop.captures())
        shop.first.replies.clear()
        paints(shop, 6)
        job = await jobs.accept(n=2)

        with pytest.raises(Killed):
            await jobs.run(job.job_id, Fate(dies_at))
        shop.clock.now_ms += LEASE_MS
        await runs_out(jobs, job)
        await end_by_time(jobs, job)

        entries = shop.captures()[before:]
        lent = [entry for entry in entries if KEY_FACT in dict(entry.facts)]
        assert jobs.job(job.job_id).state is JobState.SUCCEEDED, dies_at
        assert balance - (await shop.head()).balance_micros == 2 * PICTURE_MICROS, dies_at
        assert len(lent) <= 1, dies_at
        assert sum(earned(entries).values()) == SHARE_MICROS * len(lent), dies_at
