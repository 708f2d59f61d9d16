"""What every store of image jobs promises, Firestore's and the one in memory alike."""

from collections.abc import AsyncIterator
from datetime import UTC

import pytest
from google.cloud import firestore
from msgspec.structs import replace

from local.stack import Stack
from shared.base.ids import AccountId, HoldId, UserId
from shared.base.units import Unit
from shared.images.job_errors import JobsUnavailable
from shared.images.job_models import Failure, ImageJob, JobId, JobState, Picture
from shared.images.store import CHUNK_BYTES, FirestoreImageJobs, ImageJobStore, JobChanged, chunks_of
from shared.metering.rules import quote
from shared.routing.models import Preference, Sort
from tests.database import firestore_at
from tests.images.builders import request_of
from tests.images.jobs import MemoryImageJobs

BARE = ImageJob(
    job_id=JobId("imgjob_1"),
    owner=UserId("ada"),
    account_id=AccountId("card:x"),
    hold_id=HoldId("req_1"),
    model_id="maker/pictures",
    request=request_of(n=2, background=True),
    quote=quote({Unit.IMAGE: 5_000_000}, {Unit.IMAGE: 2}, demand_ppm=1_200_000, price_version="7"),
    asked=2,
    created_at_ms=1_800_000_000_001,
    expires_at_ms=1_800_000_000_999,
    delete_at_ms=1_800_000_900_500,
)
FULL = replace(
    BARE,
    request=request_of(n=1, background=True, partial_images=2, nested=[[1, {"a": None}], 1.5], text="\u2028\x00"),
    preference=Preference(Sort.FASTEST, ("first", "second")),
    state=JobState.FAILED,
    percent=33,
    pictures=(Picture("1-0", "image/png", 5, 1), Picture("1-1", "image/webp", 9, 2)),
    preview=Picture("1-2-1", "image/jpeg", 3, 1),
    runs=4,
    lease_until_ms=1_800_000_000_777,
    facts={"provider": "first", "attempts": 3},
    is_delivered=True,
    charged_micros=12,
    receipt_id="e" * 64,
    failure=Failure("a_code", "A reason."),
)


class ImageJobsContract:
    """Subclassed once per store; `jobs` is empty at first."""

    @pytest.mark.parametrize("job", [BARE, FULL], ids=["bare", "full"])
    async def test_a_job_comes_back_as_it_went(self, jobs: ImageJobStore, job: ImageJob) -> None:
        written = await jobs.create(job)

        found = await jobs.find(job.job_id)
        assert found is not None
        assert found.job == written.job == job
        assert await jobs.find(JobId("imgjob_2")) is None

    async def test_an_id_is_given_once(self, jobs: ImageJobStore) -> None:
        await jobs.create(BARE)

        with pytest.raises(JobsUnavailable):
            await jobs.create(FULL)

    async def test_only_what_was_read_is_written_over(self, jobs: ImageJobStore) -> None:
        """By version, whether it was read, created or replaced; a job that is gone is another one too."""
        created = await jobs.create(BARE)
        replaced = await jobs.replace(created, FULL)
        with pytest.raises(JobChanged):
            await jobs.replace(created, BARE)
        found = await jobs.find(BARE.job_id)
        assert found is not None
        assert found.job == FULL
        await jobs.replace(found, BARE)
        with pytest.raises(JobChanged):
            await jobs.replace(replaced, FULL)
        with pytest.raises(JobChanged):
            await jobs.replace(created, replace(BARE, job_id=JobId("imgjob_3")))

    @pytest.mark.parametrize("size", [1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7])
    async def test_a_picture_comes_back_whole(self, jobs: ImageJobStore, size: int) -> None:
        """However many documents it takes, also when it was kept twice."""
        content = bytes(index % 251 for index in range(size))
        picture = Picture("1-0", "image/png", size, chunks_of(content))
        for _ in range(2):
            await jobs.put_picture(BARE, picture, content, is_preview=False)

        assert await jobs.picture(BARE.job_id, picture) == content
        assert await jobs.picture(BARE.job_id, replace(picture, name="1-1")) is None


class TestMemory(ImageJobsContract):
    @pytest.fixture
    def jobs(self) -> ImageJobStore:
        return MemoryImageJobs()


class TestFirestore(ImageJobsContract):
    @pytest.fixture
    async def client(self, stack: Stack, project_id: str) -> AsyncIterator[firestore.AsyncClient]:
        async with firestore_at(stack.firestore_address, project_id) as client:
            yield client

    @pytest.fixture
    def jobs(self, client: firestore.AsyncClient) -> ImageJobStore:
        return FirestoreImageJobs(client)

    async def test_a_job_of_another_kind_is_none_of_ours(
        self, jobs: ImageJobStore, client: firestore.AsyncClient
    ) -> None:
        """Other jobs share the collection."""
        await client.document("jobs/other").set({"kind": "research", "owner": "ada"})

        assert await jobs.find(JobId("other")) is None

    async def test_what_is_kept_says_when_it_is_deleted(
        self, jobs: ImageJobStore, client: firestore.AsyncClient
    ) -> None:
        """In the field that Firestore's own deletion goes by."""
        await jobs.create(BARE)
        await jobs.put_picture(BARE, Picture("1-0", "image/png", 1, 1), b"x", is_preview=True)

        for path in (f"jobs/{BARE.job_id}", f"jobs/{BARE.job_id}/chunks/1-0-0"):
            stored = (await client.document(path).get()).get("delete_at")
            assert stored.astimezone(UTC).timestamp() * 1_000 == BARE.delete_at_ms

    async def test_a_store_that_does_not_answer_is_unavailable(self, project_id: str) -> None:
        async with firestore_at("127.0.0.1:9", project_id) as client:
            with pytest.raises(JobsUnavailable):
                await FirestoreImageJobs(client).find(BARE.job_id)
