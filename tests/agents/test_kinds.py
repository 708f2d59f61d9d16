"""Each kind in the real engine: over the emulators, asking the stand-in, running what it wrote in the sandbox."""

import json
from typing import Any

import pytest
from msgspec import convert
from msgspec.structs import replace

from shared.agents.desk import ArtifactRef
from shared.agents.limits import FILM_MS_MAX
from shared.agents.models import Job, JobState
from tests.agents.yard import ACCOUNT, FUNDS_MICROS, Process, Yard
from tests.providers import fake as says
from tests.providers.fake import serve_provider

IMAGES, VIDEO = "black-forest-labs/flux-schnell", "google/veo-3.1-fast-generate-001"
VIDEO_SECOND_MICROS = 15_000_000
MP4 = b"\x00\x00\x00\x1cftypmp42"
SALES = "month,credits,calls\n1,10,2\n2,20.5,3\n"


async def artifacts_of(yard: Yard, done: Job) -> dict[str, bytes]:
    """What a finished job gives, by name."""
    assert done.result is not None, done.failure
    found = {}
    for fields in done.result["artifacts"]:
        ref = convert({name: value for name, value in fields.items() if name != "index"}, ArtifactRef)
        found[ref.name] = await yard.app.job_store.artifact_bytes(done.job_id, ref) or b""
    return found


async def steps_of(yard: Yard) -> list[str]:
    return [step for step, _ in await yard.charges()]


async def test_code_is_written_tested_and_repaired(yard: Yard) -> None:
    done = await yard.finish(await yard.start("code", task="Count the words of a text."))

    assert done.state is JobState.SUCCEEDED, done.failure
    assert done.result is not None
    assert (done.result["passed"], done.result["tests"], done.result["repairs"]) == (True, 2, 1)
    files = await artifacts_of(yard, done)
    assert b"def counted" in files["solution.py"]
    assert b"[1:]" not in files["solution.py"]
    assert await steps_of(yard) == ["repair-1", "write"]
    kinds = [event.kind for event in await yard.events(done)]
    assert kinds == ["writing", "tested", "repairing", "tested", "finished", "succeeded"]
    assert {trace.step for trace in await yard.traces(done)} == {"write", "test-0", "repair-1", "test-1"}


async def test_code_that_no_repair_helps_is_given_and_said_to_fail(yard: Yard) -> None:
    done = await yard.finish(await yard.start("code", task="[[hopeless]] Count.", repairs_max=1))

    assert done.state is JobState.SUCCEEDED
    assert done.result is not None
    assert (done.result["passed"], done.result["failed"], len(done.result["artifacts"])) == (False, 1, 2)


async def test_tables_are_computed_and_told(yard: Yard) -> None:
    done = await yard.finish(await yard.start("data", question="What is sold in all?", tables={"sales.csv": SALES}))

    assert done.state is JobState.SUCCEEDED, done.failure
    assert done.result is not None
    files = await artifacts_of(yard, done)
    assert {"column": "credits", "total": 30.5} in json.loads(files["totals.json"])
    assert files["totals.png"].startswith(b"\x89PNG")
    assert b"<svg" in files["totals.svg"]
    assert "total of credits: 30.5" in done.result["text"]
    assert await steps_of(yard) == ["plan", "repair-1", "tell"]


async def test_a_batch_is_painted_around_a_picture_that_is_refused(yard: Yard) -> None:
    done = await yard.finish(
        await yard.start("images", prompts=["a cat", "[[refused]]", "a dog"], model=IMAGES, size="512x512")
    )

    assert done.state is JobState.SUCCEEDED, done.failure
    assert done.result is not None
    assert [image["index"] for image in done.result["artifacts"]] == [0, 2]
    assert [failed["index"] for failed in done.result["failed"]] == [1]
    assert await steps_of(yard) == ["paint-0", "paint-2"]
    assert await yard.held_micros() == 0


async def test_a_video_is_ordered_once_and_charged_by_the_second_once_it_is_there(yard: Yard) -> None:
    """Each look at it is a task of its own, later and later."""
    job = await yard.start("video", ceiling_micros=500_000_000, **film(4))

    done = await yard.finish(job)

    assert done.state is JobState.SUCCEEDED, done.failure
    assert await yard.charges() == [("film", 4 * VIDEO_SECOND_MICROS)]
    assert FUNDS_MICROS - await yard.spendable_micros() == done.spent_micros == 4 * VIDEO_SECOND_MICROS
    assert (await artifacts_of(yard, done))["film.mp4"][4:8] == b"ftyp"
    assert done.leg >= 3
    waits = [at_ms for _, at_ms in yard.posted.tasks.values() if at_ms is not None]
    assert len(waits) >= 3
    kinds = [event.kind for event in await yard.events(done)]
    assert kinds[0] == "ordered"
    assert kinds[-2:] == ["finished", "succeeded"]


@pytest.mark.parametrize(("prompt", "why"), [("[[video-fails]]", "could not make"), ("[[refused]]", "not allowed")])
async def test_a_video_that_fails_costs_nothing(yard: Yard, prompt: str, why: str) -> None:
    done = await yard.finish(await yard.start("video", ceiling_micros=500_000_000, **film(4, prompt)))

    assert (done.state, done.spent_micros) == (JobState.FAILED, 0)
    assert done.failure is not None
    assert why in done.failure.message
    assert await yard.charges() == []
    assert (await yard.held_micros(), await yard.spendable_micros()) == (0, FUNDS_MICROS)


async def test_a_video_that_is_never_done_fails_at_its_deadline(yard: Yard) -> None:
    """However often it was looked at until then."""
    job = await yard.start("video", ceiling_micros=500_000_000, **film(4, "[[video-stuck]]"))
    for _ in range(20):
        waiting = await yard.deliver(job)
    assert waiting.state is JobState.QUEUED
    assert await yard.held_micros() == 4 * VIDEO_SECOND_MICROS

    yard.wall.ahead_ms += FILM_MS_MAX + 1_000
    done = await yard.finish(job)

    assert (done.state, done.failure and done.failure.code) == (JobState.FAILED, "video_failed")
    assert (await yard.held_micros(), await yard.spendable_micros()) == (0, FUNDS_MICROS)


async def test_a_video_that_is_cancelled_costs_nothing(yard: Yard) -> None:
    job = await yard.start("video", ceiling_micros=500_000_000, **film(4, "[[video-stuck]]"))
    await yard.deliver(job)

    await yard.app.jobs.cancel(job.job_id, account_id=ACCOUNT, uid=None)
    done = await yard.finish(job)

    assert (done.state, done.spent_micros, await yard.held_micros()) == (JobState.CANCELLED, 0, 0)


async def test_a_video_is_made_over_googles_wire_and_one_that_its_filters_stop_costs_nothing(yard: Yard) -> None:
    made = {"generatedSamples": [{"video": {"uri": "https://google.example/v1beta/files/f1le:download?alt=media"}}]}
    stopped = {"raiMediaFilteredCount": 1, "raiMediaFilteredReasons": ["It is not suitable."]}
    async with serve_provider("google") as google:
        key = google.provider.key
        settings = replace(yard.settings, google_base_url=f"{google.url}beta", google_api_key=key, standin_url=None)
        process = Process(settings, yard.posted, yard.pace, yard.wall)
        google.replies.extend(map(says.whole, [operation(), operation(stopped)]))
        failed = await yard.finish(await yard.start("video", ceiling_micros=500_000_000, **film(4)), process)
        looks = [operation(), operation(), operation(made), operation(made)]
        google.replies.extend([*map(says.whole, looks), says.whole(MP4)])
        done = await yard.finish(await yard.start("video", ceiling_micros=500_000_000, **film(4)), process)
        await process.upstreams.close()

    assert (failed.state, failed.spent_micros) == (JobState.FAILED, 0)
    assert failed.failure is not None
    assert "It is not suitable." in failed.failure.message
    assert done.state is JobState.SUCCEEDED, done.failure
    assert await artifacts_of(yard, done) == {"film.mp4": MP4}
    assert await yard.charges() == [("film", 4 * VIDEO_SECOND_MICROS)]
    assert await yard.held_micros() == 0
    orders = [asked.payload["parameters"] for asked in google.asked if asked.payload]
    assert orders == [{"aspectRatio": "16:9", "resolution": "720p", "durationSeconds": 4}] * 2


async def test_a_length_that_its_model_no_longer_makes_is_refused_before_anything_is_held(yard: Yard) -> None:
    job = await yard.start("video", ceiling_micros=500_000_000, **film(4))
    kept = await yard.kept(job)
    await yard.app.job_store.write(kept, replace(kept.job, params=film(5)))

    done = await yard.finish(job)

    assert (done.state, done.failure and done.failure.code) == (JobState.FAILED, "invalid_request")
    assert done.failure is not None
    assert "4, 6, 8" in done.failure.message
    assert await steps_of(yard) == []


def operation(made: dict[str, Any] | None = None) -> dict[str, Any]:
    """Google's, done once there is what was made."""
    said = {"name": "models/veo-3.1-fast-generate-preview/operations/abc123"}
    return {**said, "done": True, "response": {"generateVideoResponse": made}} if made else said


def film(seconds: int, prompt: str = "A cat sleeps.") -> dict[str, Any]:
    """What a video's job is asked."""
    return {"prompt": prompt, "model": VIDEO, "seconds": seconds}
