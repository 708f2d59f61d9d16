"""Videos over Google's wire: what Veo is asked, what its operations say, and where its files may be fetched."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from shared.base.secret import Secret
from shared.providers.errors import Fault, UpstreamBusy, UpstreamRefused, UpstreamUnavailable
from shared.providers.gateway import Upstreams
from shared.providers.google_videos import file_of, moved, to_predict, video_of
from shared.providers.models import Call, DisconnectPolicy, Provider, Video, VideoState, Wire
from shared.providers.videos import REASON_CHARS_MAX, VIDEO_BYTES_MAX
from tests.providers import fake as says
from tests.providers.fake import KEY, FakeProvider, Reply, serve_provider

MODEL = "veo-3.1-generate-preview"
NAME = f"models/{MODEL}/operations/abc123"
PAYLOAD = {"model": MODEL, "prompt": "A cat sleeps.", "seconds": "8", "size": "1280x720"}
URI = "https://generativelanguage.googleapis.com/v1beta/files/f1le:download?alt=media"
FILE_PATH = "/v1beta/files/f1le:download?alt=media"
MP4 = b"\x00\x00\x00\x1cftypmp42"


@pytest.fixture
async def google() -> AsyncIterator[FakeProvider]:
    async with serve_provider("google") as served:
        served.wire = Wire.GOOGLE
        yield served


def operation(**fields: object) -> dict[str, Any]:
    """An operation as Google tells it."""
    return {"name": NAME, **fields}


def done(**made: object) -> dict[str, Any]:
    """One that is done, with what came of it."""
    response = {"@type": "type.googleapis.com/google.ai.generativelanguage.v1beta.PredictLongRunningResponse"}
    return operation(done=True, response={**response, "generateVideoResponse": made})


def filmed(uri: object = URI) -> dict[str, Any]:
    """One that made a video."""
    return done(generatedSamples=[{"video": {"uri": uri}}])


def redirect(location: str) -> Reply:
    """A redirect, as Google's files answer with."""

    async def reply(_: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"location": location})

    return reply


def call_of(url: str = "https://generativelanguage.googleapis.com/v1beta") -> Call:
    provider = Provider("google", url, Secret(KEY), DisconnectPolicy.DRAIN, wire=Wire.GOOGLE)
    return Call(provider, Secret(KEY), 10.0, 10.0)


async def test_a_video_is_asked_for_in_googles_words_and_keyed_by_a_header(
    upstreams: Upstreams, google: FakeProvider
) -> None:
    """No idempotency key is sent: Google knows none."""
    google.replies.append(says.whole(operation()))

    video = await upstreams.video_begin(google.provider, PAYLOAD, key="job:film")

    assert video == Video(NAME, VideoState.WAITING)
    (asked,) = google.asked
    assert asked.path == f"/v1beta/models/{MODEL}:predictLongRunning"
    assert asked.payload == {
        "instances": [{"prompt": "A cat sleeps."}],
        "parameters": {"aspectRatio": "16:9", "resolution": "720p", "durationSeconds": 8},
    }
    assert asked.headers["x-goog-api-key"] == f"{KEY}-google"
    assert not {"Authorization", "idempotency-key"} & set(asked.headers)


def test_sizes_become_ratios_and_others_are_refused() -> None:
    assert to_predict({**PAYLOAD, "size": "720x1280"})["parameters"]["aspectRatio"] == "9:16"
    with pytest.raises(UpstreamRefused, match="1280x720 or 720x1280"):
        to_predict({**PAYLOAD, "size": "1920x1080"})


@pytest.mark.parametrize(
    ("said", "state", "reason"),
    [
        (operation(), VideoState.WAITING, ""),
        (operation(done=False, metadata={}), VideoState.WAITING, ""),
        (filmed(), VideoState.COMPLETED, ""),
        (operation(done=True, error={"code": 3, "message": "No." * 200}), VideoState.FAILED, "No." * 100),
        (operation(done=True, error={"code": 8, "message": "Your account."}), VideoState.FAILED, ""),
        (done(raiMediaFilteredCount=1, raiMediaFilteredReasons=["Unsafe."]), VideoState.FAILED, "Unsafe."),
        (done(raiMediaFilteredCount=1, raiMediaFilteredReasons=[7]), VideoState.FAILED, ""),
        (done(), VideoState.FAILED, ""),
        (operation(done=True), VideoState.FAILED, ""),
    ],
)
def test_what_an_operation_says_of_a_video(said: dict[str, Any], state: VideoState, reason: str) -> None:
    """One that was filtered failed; of an error, only words about the request are passed on."""
    video = video_of(said, "google")

    assert (video.video_id, video.state, video.reason) == (NAME, state, reason)
    assert len(video.reason) <= REASON_CHARS_MAX


@pytest.mark.parametrize(
    "name",
    ["", 7, None, "models/../operations/a", "files/a", f"{NAME}/../..", "operations/a?x=1", "operations/" + "a" * 201],
)
def test_what_is_no_operation_is_refused(name: object) -> None:
    """A name becomes a part of an address, with our key sent there."""
    with pytest.raises(UpstreamUnavailable):
        video_of({"name": name}, "google")


@pytest.mark.parametrize(
    "uri", ["", 7, None, "https://google.com/a.mp4", "https://x/files/..:download", "https://[/files/a"]
)
def test_a_video_without_a_file_that_can_be_named_is_refused(uri: object) -> None:
    with pytest.raises(UpstreamUnavailable):
        video_of(filmed(uri), "google")


def test_only_the_files_name_is_taken_from_its_address() -> None:
    """What host it names does not matter: ours is asked."""
    assert file_of(filmed("https://elsewhere.example/v1beta/files/f1le:download?alt=media"), "google") == "f1le"


async def test_a_look_tells_how_it_went_without_quoting_a_key(upstreams: Upstreams, google: FakeProvider) -> None:
    told = {"code": 3, "message": f"No: {KEY}-google"}
    google.replies.extend([says.whole(operation()), says.whole(operation(done=True, error=told))])

    waiting = await upstreams.video(google.provider, MODEL, NAME)
    failed = await upstreams.video(google.provider, MODEL, NAME)

    assert (waiting.state, failed) == (VideoState.WAITING, Video(NAME, VideoState.FAILED))
    assert [asked.path for asked in google.asked] == [f"/v1beta/{NAME}"] * 2


async def test_the_file_is_fetched_with_the_key_after_one_redirect_at_home(
    upstreams: Upstreams, google: FakeProvider
) -> None:
    google.replies.extend([says.whole(filmed()), redirect(f"/download{FILE_PATH}"), says.whole(MP4)])

    assert await upstreams.video_content(google.provider, MODEL, NAME) == MP4

    assert [asked.path for asked in google.asked] == [f"/v1beta/{NAME}", FILE_PATH, f"/download{FILE_PATH}"]
    assert all(asked.headers["x-goog-api-key"] == f"{KEY}-google" for asked in google.asked)


async def test_a_second_redirect_is_not_followed(upstreams: Upstreams, google: FakeProvider) -> None:
    google.replies.extend([says.whole(filmed()), redirect("/a"), redirect("/b")])

    with pytest.raises(UpstreamUnavailable):
        await upstreams.video_content(google.provider, MODEL, NAME)

    assert len(google.asked) == 3


async def test_a_redirect_to_another_host_is_not_followed(
    upstreams: Upstreams, google: FakeProvider, fake: FakeProvider
) -> None:
    """Another port is another host."""
    google.replies.extend([says.whole(filmed()), redirect(f"{fake.url}/a.mp4")])

    with pytest.raises(UpstreamUnavailable):
        await upstreams.video_content(google.provider, MODEL, NAME)

    assert fake.asked == []


def test_elsewhere_at_google_is_asked_without_the_key_and_behind_the_guard() -> None:
    there, path, headers = moved(call_of(), FILE_PATH, "https://storage.googleapis.com/bucket/a%2Fb.mp4?X-Sign=a%2Bb")

    assert (there.provider.base_url, there.provider.guarded) == ("https://storage.googleapis.com", True)
    assert (path, headers) == ("/bucket/a%2Fb.mp4?X-Sign=a%2Bb", {})


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/a",
        "https://evilgoogleapis.com/a",
        "https://generativelanguage.googleapis.com@evil.example/a",
        "https://storage.googleapis.com.evil.example/a",
        "http://storage.googleapis.com/a",
        "http://169.254.169.254/computeMetadata/v1/",
        "data:video/mp4,x",
        "https://[/a",
    ],
)
def test_no_other_place_is_asked(location: str) -> None:
    with pytest.raises(UpstreamUnavailable):
        moved(call_of(), FILE_PATH, location)


@pytest.mark.parametrize(
    ("status", "said", "error"),
    [(400, "Too long.", UpstreamRefused), (429, "Slow down.", UpstreamBusy), (404, "No model.", UpstreamUnavailable)],
)
async def test_refusals_are_those_of_every_wire(
    upstreams: Upstreams, google: FakeProvider, status: int, said: str, error: type[Exception]
) -> None:
    google.replies.append(says.refuse(status, said))

    with pytest.raises(error):
        await upstreams.video_begin(google.provider, PAYLOAD, key="k")


async def test_a_file_that_is_too_long_is_no_fault_of_the_route(upstreams: Upstreams, google: FakeProvider) -> None:
    google.replies.extend([says.whole(filmed()), says.whole(bytes(VIDEO_BYTES_MAX + 1))])

    with pytest.raises(UpstreamUnavailable) as refusal:
        await upstreams.video_content(google.provider, MODEL, NAME)

    assert refusal.value.fault is Fault.UNFIT


async def test_all_of_a_fetch_ends_in_its_time(upstreams: Upstreams, google: FakeProvider) -> None:
    """And not each of its requests alone."""
    google.replies.extend([says.after(0.3, says.whole(filmed())), says.after(0.3, redirect("/a")), says.mute])

    with pytest.raises(UpstreamUnavailable):
        await upstreams.video_content(google.provider, MODEL, NAME, timeout_s=0.5)

    assert len(google.asked) == 2
