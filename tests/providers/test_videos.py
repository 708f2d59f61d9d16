"""Videos over OpenAI's wire: asked for, looked at, fetched; from a scripted provider and from the stand-in."""

import asyncio

import pytest
from aiohttp import web

from local.stack import Stack
from shared.base.secret import Secret
from shared.providers.errors import Fault, UpstreamUnavailable
from shared.providers.gateway import Upstreams
from shared.providers.models import DisconnectPolicy, Provider, Video, VideoState, Wire
from shared.providers.videos import REASON_CHARS_MAX, VIDEO_BYTES_MAX, video_of
from tests.providers.fake import KEY, FakeProvider

PAYLOAD = {"model": "sora-2", "prompt": "A cat sleeps.", "seconds": "4", "size": "1280x720"}


def told(**fields: object) -> dict[str, object]:
    """A video as a provider tells it."""
    return {"id": "video_1", "object": "video", "status": "queued", **fields}


@pytest.fixture
def answers(fake: FakeProvider) -> list[tuple[int, object]]:
    """What the provider answers, in order; JSON, or bytes as they are."""
    scripted: list[tuple[int, object]] = []

    async def reply(_: web.Request) -> web.StreamResponse:
        status, body = scripted.pop(0)
        if isinstance(body, bytes):
            return web.Response(status=status, body=body, content_type="video/mp4")
        return web.json_response(body, status=status)

    fake.replies.extend([reply] * 10)
    return scripted


async def test_a_video_is_asked_for_with_its_key(
    fake: FakeProvider, upstreams: Upstreams, answers: list[tuple[int, object]]
) -> None:
    answers.append((200, told()))

    video = await upstreams.video_begin(fake.provider, PAYLOAD, key="job:film")

    assert video == Video("video_1", VideoState.WAITING)
    (asked,) = fake.asked
    assert (asked.path, asked.payload) == ("/v1/videos", PAYLOAD)
    assert asked.headers["idempotency-key"] == "job:film"
    assert asked.headers["Authorization"] == f"Bearer {KEY}-acme"


def test_what_a_provider_says_of_a_video() -> None:
    assert video_of(told(status="in_progress", progress=33), "acme") == Video("video_1", VideoState.WAITING, 33)
    assert video_of(told(status="completed", progress=900), "acme").percent == 100
    failed = video_of(told(status="failed", error={"code": "x", "message": "No." * 200}), "acme")
    assert (failed.state, len(failed.reason)) == (VideoState.FAILED, REASON_CHARS_MAX)
    assert video_of(told(status="failed", error="no"), "acme").reason == ""


@pytest.mark.parametrize("fields", [{"id": "../keys"}, {"id": ""}, {"id": 7}, {"status": None}, {"id": "a" * 201}])
def test_what_is_no_video_is_refused(fields: dict[str, object]) -> None:
    """An id becomes a part of an address, with our key sent there."""
    with pytest.raises(UpstreamUnavailable):
        video_of(told(**fields), "acme")


async def test_another_wire_offers_no_videos(upstreams: Upstreams, fake: FakeProvider) -> None:
    fake.wire = Wire.ANTHROPIC

    with pytest.raises(UpstreamUnavailable):
        await upstreams.video_begin(fake.provider, PAYLOAD, key="k")

    assert fake.asked == []


@pytest.fixture
async def standin(stack: Stack) -> Provider:
    return Provider("standin", stack.standin_url, Secret("none"), DisconnectPolicy.DRAIN)


async def video_after(looks: int, standin: Provider, prompt: str, key: str) -> tuple[Upstreams, Video]:
    upstreams = Upstreams([standin])
    video = await upstreams.video_begin(standin, {**PAYLOAD, "prompt": prompt}, key=key)
    for _ in range(looks):
        video = await upstreams.video(standin, "sora-2", video.video_id)
    return upstreams, video


async def test_the_stand_in_makes_a_video_in_a_few_looks(standin: Provider) -> None:
    """And the same one for the same key."""
    upstreams, video = await video_after(3, standin, "A cat", "one")

    assert (video.state, video.percent) == (VideoState.COMPLETED, 100)
    assert (await upstreams.video_content(standin, "sora-2", video.video_id))[4:8] == b"ftyp"
    again = await upstreams.video_begin(standin, PAYLOAD, key="one")
    other = await upstreams.video_begin(standin, PAYLOAD, key="two")
    assert again.video_id == video.video_id != other.video_id
    with pytest.raises(UpstreamUnavailable):
        await upstreams.video_content(standin, "sora-2", other.video_id)
    await upstreams.close()


@pytest.mark.parametrize(
    ("prompt", "state"), [("[[video-fails]]", VideoState.FAILED), ("[[video-stuck]]", VideoState.WAITING)]
)
async def test_the_stand_in_misbehaves_on_a_word(standin: Provider, prompt: str, state: VideoState) -> None:
    upstreams, video = await video_after(9, standin, prompt, prompt)

    assert video.state is state
    await upstreams.close()


async def test_a_video_that_is_too_long_to_be_kept_is_no_fault_of_the_route(upstreams: Upstreams) -> None:
    app = web.Application()

    async def content(_: web.Request) -> web.Response:
        return web.Response(body=bytes(VIDEO_BYTES_MAX + 1), content_type="video/mp4")

    app.router.add_get("/v1/videos/video_1/content", content)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider = Provider("p", f"http://127.0.0.1:{runner.addresses[0][1]}/v1", Secret("k"), DisconnectPolicy.DRAIN)

    with pytest.raises(UpstreamUnavailable) as refusal:
        await asyncio.wait_for(upstreams.video_content(provider, "sora-2", "video_1"), 20)

    assert refusal.value.fault is Fault.UNFIT
    await runner.cleanup()
