"""How providers' answers are read: whatever they send, an answer or one of three clear refusals."""

import asyncio
import time
from email.utils import formatdate
from typing import Any

import pytest

from shared.base.errors import CredenceError
from shared.base.secret import Secret
from shared.providers.errors import Fault, UpstreamBusy, UpstreamRefused, UpstreamUnavailable
from shared.providers.gateway import Upstreams
from shared.providers.models import DisconnectPolicy, Provider
from tests.providers import fake as says
from tests.providers.conftest import PAYLOAD, stream_of
from tests.providers.fake import FakeProvider, Reply


async def test_request_goes_out_as_it_was_given(upstreams: Upstreams, fake: FakeProvider) -> None:
    """The key in its header, the payload as JSON, at the provider's own address."""
    fake.replies.append(says.whole(says.completion()))

    answer = await upstreams.chat(upstreams["acme"], PAYLOAD)

    (asked,) = fake.asked
    assert answer == says.completion()
    assert (asked.path, asked.payload) == ("/v1/chat/completions", PAYLOAD)
    assert asked.headers["Authorization"] == f"Bearer {fake.provider.key.reveal()}"


REFUSALS: list[tuple[int, type[CredenceError]]] = [
    (201, UpstreamUnavailable),
    (204, UpstreamUnavailable),
    (301, UpstreamUnavailable),
    (307, UpstreamUnavailable),
    (400, UpstreamRefused),
    (401, UpstreamUnavailable),
    (402, UpstreamUnavailable),
    (403, UpstreamUnavailable),
    (404, UpstreamUnavailable),
    (408, UpstreamUnavailable),
    (413, UpstreamRefused),
    (422, UpstreamRefused),
    (429, UpstreamBusy),
    (500, UpstreamUnavailable),
    (502, UpstreamUnavailable),
    (503, UpstreamUnavailable),
    (529, UpstreamUnavailable),
]


@pytest.mark.parametrize(("status", "kind"), REFUSALS)
async def test_each_status_is_one_of_three_refusals(
    upstreams: Upstreams, fake: FakeProvider, status: int, kind: type[CredenceError]
) -> None:
    """Streamed or not, asked once, and without the key in it even if the provider quotes it."""
    words = f"Something about {fake.provider.key.reveal()} and Bearer"
    body = b"" if status == 204 else words
    headers = {"location": "http://127.0.0.1:1/elsewhere"} if status in (301, 307) else {}

    for ask in (upstreams.chat, upstreams.chat_stream):
        fake.asked.clear()
        fake.replies.append(says.refuse(status, body, headers))
        with pytest.raises(kind) as refusal:
            await ask(fake.provider, PAYLOAD)
        assert says.KEY not in refusal.value.message + repr(refusal.value)
        assert len(fake.asked) == 1


async def test_a_refusal_of_the_request_is_told_in_the_providers_words(
    upstreams: Upstreams, fake: FakeProvider
) -> None:
    """The client can mend it only if it is told; at most so many words."""
    for body, told in (
        ("temperature is too high", "temperature is too high"),
        (b'{"error": "flat"}', "flat"),
        (b"<html>no JSON</html>", "status 400"),
        (b'{"error": {}}', "status 400"),
        (b"[]", "status 400"),
        (b'{"error": "half a \\ud800"}', "half a ?"),
        ("x" * 10_000, "x" * 500),
        (b'{"error":"' + b"x" * 100_000 + b'"}', "status 400"),
        (b"[" * 10_000, "status 400"),
    ):
        fake.replies.append(says.refuse(400, body))
        with pytest.raises(UpstreamRefused) as refusal:
            await upstreams.chat(fake.provider, PAYLOAD)
        assert refusal.value.message.endswith(f": {told}")


async def test_every_providers_way_to_word_a_refusal_is_understood(upstreams: Upstreams, fake: FakeProvider) -> None:
    """Mistral's, FastAPI's and Cloudflare's differ from OpenAI's."""
    for body, told in (
        ({"object": "error", "message": "too hot", "type": "invalid_request_error"}, "too hot"),
        ({"message": {"detail": [{"msg": "Extra inputs"}]}}, '{"detail": [{"msg": "Extra inputs"}]}'),
        ({"detail": "Not Found"}, "Not Found"),
        ({"success": False, "errors": [{"code": 5006, "message": "no such model"}]}, "no such model"),
        ({"errors": [7]}, "status 400"),
    ):
        fake.replies.append(says.whole(body, 400))
        with pytest.raises(UpstreamRefused) as refusal:
            await upstreams.chat(fake.provider, PAYLOAD)
        assert refusal.value.message.endswith(f": {told}")


async def test_an_account_without_money_is_not_a_limit_of_the_rate(upstreams: Upstreams, fake: FakeProvider) -> None:
    """OpenAI answers 429 to it, which no waiting mends."""
    error = {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"}
    fake.replies.append(says.whole({"error": error}, 429))

    with pytest.raises(UpstreamUnavailable, match="does not accept our account"):
        await upstreams.chat(fake.provider, PAYLOAD)


@pytest.mark.parametrize("url", ["https://127.0.0.1/v1", "http://localhost:8000/v1", "https://169.254.169.254/v1"])
async def test_a_guarded_provider_is_called_at_public_addresses_only(url: str, fake: FakeProvider) -> None:
    """Wherever its address came from; to the caller it is a provider that cannot be reached."""
    provider = Provider("theirs", url, Secret(says.KEY), DisconnectPolicy.FREE, guarded=True)
    upstreams = Upstreams([provider])

    for guarded in (provider, Provider("x", fake.url, Secret(says.KEY), DisconnectPolicy.FREE, guarded=True)):
        with pytest.raises(UpstreamUnavailable, match="could not be reached"):
            await upstreams.chat(guarded, PAYLOAD)

    assert not fake.asked
    await upstreams.close()


@pytest.mark.parametrize(
    ("headers", "details"),
    [
        ({"retry-after": "7"}, {"retry_after_ms": 7_000}),
        ({"retry-after-ms": "1500", "retry-after": "9"}, {"retry_after_ms": 1_500}),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, {"retry_after_ms": 0}),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 -9999"}, {}),
        ({"retry-after": "soon"}, {}),
        ({"retry-after": "-1"}, {}),
        ({"retry-after": "9" * 50}, {}),
        ({}, {}),
    ],
)
async def test_a_busy_provider_says_when_to_come_back(
    upstreams: Upstreams, fake: FakeProvider, headers: dict[str, str], details: dict[str, int]
) -> None:
    """When it can be understood."""
    fake.replies.append(says.refuse(429, headers=headers))

    with pytest.raises(UpstreamBusy) as refusal:
        await upstreams.chat(fake.provider, PAYLOAD)

    assert refusal.value.details() == details


async def test_a_date_says_when_to_come_back(upstreams: Upstreams, fake: FakeProvider) -> None:
    """The other form of RFC 9110; a failing provider uses it too."""
    for status in (429, 503):
        fake.replies.append(says.refuse(status, headers={"retry-after": formatdate(time.time() + 60, usegmt=True)}))
        with pytest.raises((UpstreamBusy, UpstreamUnavailable)) as refusal:
            await upstreams.chat(fake.provider, PAYLOAD)
        assert 50_000 < int(refusal.value.details()["retry_after_ms"]) <= 60_000


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (401, Fault.KEY),
        (402, Fault.DENIED),
        (403, Fault.DENIED),
        (404, Fault.DENIED),
        (429, Fault.BUSY),
        (500, Fault.DOWN),
    ],
)
async def test_a_refusal_says_whose_trouble_it_is(
    upstreams: Upstreams, fake: FakeProvider, status: int, fault: Fault
) -> None:
    """It decides when the provider is asked again."""
    fake.replies.append(says.refuse(status))

    with pytest.raises((UpstreamBusy, UpstreamUnavailable)) as refusal:
        await upstreams.chat(fake.provider, PAYLOAD)

    assert refusal.value.fault is fault


OPENROUTER = {"message": "Your input was flagged.", "code": 403, "metadata": {"reasons": ["x"], "flagged_input": "y"}}
TOO_LARGE = (
    "Request too large for gpt-4o in organization org-secret on tokens per min (TPM): Limit 30000, Requested 60000."
)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, OPENROUTER),
        (404, {"message": "No endpoints found that support tool use. To learn more, visit https://x", "code": 404}),
        (429, {"message": TOO_LARGE, "type": "tokens", "param": None, "code": "rate_limit_exceeded"}),
    ],
)
async def test_what_is_wrong_with_one_request_is_no_trouble_of_ours(
    upstreams: Upstreams, fake: FakeProvider, status: int, error: dict[str, object]
) -> None:
    """Else one client's words, features or length would rest the route for everybody. Told in our own words."""
    fake.replies.append(says.whole({"error": error}, status))

    with pytest.raises(UpstreamUnavailable) as refusal:
        await upstreams.chat(fake.provider, PAYLOAD)

    assert refusal.value.fault is Fault.UNFIT
    assert "org-secret" not in refusal.value.message


@pytest.mark.parametrize(
    ("status", "message", "fault"),
    [
        (404, "No endpoints found for a/model.", Fault.DENIED),
        (404, "No endpoints found matching your data policy", Fault.DENIED),
        (429, "Rate limit reached for gpt-4o: Limit 30000, Used 29000, Requested 2000.", Fault.BUSY),
    ],
)
async def test_what_is_about_us_stays_so(
    upstreams: Upstreams, fake: FakeProvider, status: int, message: str, fault: Fault
) -> None:
    """The words are alike."""
    fake.replies.append(says.refuse(status, message))

    with pytest.raises((UpstreamBusy, UpstreamUnavailable)) as refusal:
        await upstreams.chat(fake.provider, PAYLOAD)

    assert refusal.value.fault is fault


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"7",
        b"{}",
        b'{"choices": null}',
        b'{"choices": {}}',
        b'{"choices": []}',
        b'{"choices": [null]}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": "hi"}]}',
        b'{"error": {"message": "failed with status 200"}}',
        b'{"choices": [], "x": NaN}',
        b'{"choices": [], "x": -Infinity}',
        b'{"choices": [], "x": 1e999}',
        b'{"choices": [], "x": "\\ud800"}',
        b'{"choices": [], "x": "\xff"}',
        b'{"choices": [], "x": ' + b"9" * 5_000 + b"}",
        b'{"choices": ' + b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:30]),
)
async def test_an_answer_that_could_not_be_passed_on_is_a_failure(
    upstreams: Upstreams, fake: FakeProvider, body: bytes
) -> None:
    """Found now, before anything is charged, and not when it is written to the client."""
    fake.replies.append(says.whole(body))

    with pytest.raises(UpstreamUnavailable):
        await upstreams.chat(fake.provider, PAYLOAD)


async def test_silence_of_a_stream_is_a_failure(fake: FakeProvider) -> None:
    """Before the answer, and in the middle of it."""
    impatient = Upstreams([fake.provider], silence_timeout_s=0.05)
    for reply in (says.mute, says.hang()):
        fake.replies.append(reply)
        with pytest.raises(UpstreamUnavailable):
            await impatient.chat_stream(fake.provider, PAYLOAD)
    with pytest.raises(UpstreamUnavailable, match="broke off"):
        await stream_of(impatient, fake, says.hang(says.event(says.chunk("x"))))
    await impatient.close()


async def test_a_whole_answer_may_take_all_the_time_of_its_call_in_silence(fake: FakeProvider) -> None:
    """It says nothing until it is there, and a long one is minutes in the making."""
    impatient = Upstreams([fake.provider], silence_timeout_s=0.05)
    fake.replies.append(says.after(0.3, says.whole(says.completion())))

    assert await impatient.chat(fake.provider, PAYLOAD, timeout_s=10) == says.completion()
    await impatient.close()


async def test_a_call_keeps_to_the_time_that_is_left(upstreams: Upstreams, fake: FakeProvider) -> None:
    """The caller says how much of the whole call's time there still is."""
    for reply in (says.mute, says.hang()):
        fake.replies.append(reply)
        with pytest.raises(UpstreamUnavailable):
            await upstreams.chat(fake.provider, PAYLOAD, timeout_s=0.05)
    with pytest.raises(UpstreamUnavailable, match="broke off"):
        await stream_of(upstreams, fake, says.hang(says.event(says.chunk("x"))), timeout_s=0.05)


async def test_nobody_there_is_a_failure(upstreams: Upstreams, fake: FakeProvider) -> None:
    """No listener, no such host, a hang-up."""
    for url in ("http://127.0.0.1:1/v1", "http://nobody.invalid/v1"):
        provider = Provider("gone", url, Secret(says.KEY), DisconnectPolicy.FREE)
        with pytest.raises(UpstreamUnavailable) as failure:
            await upstreams.chat(provider, PAYLOAD)
        assert url not in failure.value.message
    fake.replies.append(says.drop)
    with pytest.raises(UpstreamUnavailable):
        await upstreams.chat(fake.provider, PAYLOAD)


async def test_a_proxy_of_the_environment_never_sees_a_key(
    upstreams: Upstreams, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys go to their own provider's host and nowhere else."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    fake.replies.append(says.whole(says.completion()))

    await upstreams.chat(fake.provider, PAYLOAD)

    assert len(fake.asked) == 1


async def test_connections_are_kept_for_the_next_call(upstreams: Upstreams, fake: FakeProvider) -> None:
    """Refusals and whole answers leave theirs usable; a closed stream drops its own."""
    peers: set[Any] = set()

    def noting(reply: Reply) -> Reply:
        async def noted(request: Any) -> Any:
            peers.add(request.transport.get_extra_info("peername"))
            return await reply(request)

        return noted

    for _ in range(3):
        fake.replies.append(noting(says.whole(says.completion())))
        await upstreams.chat(fake.provider, PAYLOAD)
        fake.replies.append(noting(says.refuse(429)))
        with pytest.raises(UpstreamBusy):
            await upstreams.chat(fake.provider, PAYLOAD)

    assert len(peers) == 1


async def test_closing_a_stream_hangs_up_on_the_provider(upstreams: Upstreams, fake: FakeProvider) -> None:
    """A provider that notices stops writing, and stops billing."""
    fake.replies.append(says.hang(says.event(says.chunk("x"))))
    stream = await upstreams.chat_stream(fake.provider, PAYLOAD)

    stream.close()

    async with asyncio.timeout(5):
        while not fake.written:
            await asyncio.sleep(0.005)


def test_a_provider_is_written_without_its_key() -> None:
    """In logs and tracebacks too."""
    provider = Provider("acme", "https://example.com", Secret(says.KEY), DisconnectPolicy.DRAIN)

    assert says.KEY not in repr(provider)
