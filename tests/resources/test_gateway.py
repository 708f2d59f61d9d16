"""A provider is asked at its own address, shown the key in a header, and nothing of its answer tells the key on."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from msgspec.structs import replace

from shared.base.secret import Secret
from shared.providers.errors import Fault, UpstreamBusy, UpstreamUnavailable
from shared.providers.models import Provider, Wire
from shared.resources.gateway import LIMIT_HEADERS_MAX, ProviderProbe
from shared.resources.models import Probed
from tests.providers.fake import FakeProvider, completion, serve_provider

CANARY = Secret("sk-canary-0123456789abcdef")
NAMES = {"ours/one": "theirs-one", "ours/two": "theirs-two"}
CHATS = frozenset(NAMES)
Says = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with serve_provider("acme") as served:
        yield served


@pytest.fixture
async def probe() -> AsyncIterator[ProviderProbe]:
    made = ProviderProbe()
    yield made
    await made.close()


def named(fake: FakeProvider, name: str, wire: Wire = Wire.OPENAI) -> Provider:
    """The fake, taken for a provider that we know. Our own key for it must never be sent."""
    return replace(fake.provider, name=name, base_url=fake.url, wire=wire)


def says(body: object, status: int = 200, **headers: str) -> Says:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status, headers=headers)

    return answer


@pytest.mark.parametrize(
    ("name", "wire", "path", "header", "shown", "listed"),
    [
        (
            "openai",
            Wire.OPENAI,
            "/v1/models",
            "Authorization",
            f"Bearer {CANARY.reveal()}",
            {"data": [{"id": "theirs-one"}]},
        ),
        (
            "anthropic",
            Wire.ANTHROPIC,
            "/v1/models?limit=1000",
            "x-api-key",
            CANARY.reveal(),
            {"data": [{"id": "theirs-one"}]},
        ),
        (
            "google",
            Wire.GOOGLE,
            "/v1/models?pageSize=1000",
            "x-goog-api-key",
            CANARY.reveal(),
            {"models": [{"name": "models/theirs-one"}]},
        ),
    ],
)
async def test_a_list_of_models_says_what_a_key_may_call(
    fake: FakeProvider, probe: ProviderProbe, name: str, wire: Wire, path: str, header: str, shown: str, listed: object
) -> None:
    fake.replies.append(says(listed))

    assert await probe.probe(named(fake, name, wire), CANARY, NAMES, CHATS) == Probed(("ours/one",))

    [asked] = fake.asked
    assert asked.path == path
    assert {key.lower(): value for key, value in asked.headers.items()}[header.lower()] == shown


async def test_limits_are_taken_from_the_headers_and_never_with_the_key(
    fake: FakeProvider, probe: ProviderProbe
) -> None:
    headers = {f"x-ratelimit-limit-{number:02}": str(number) for number in range(LIMIT_HEADERS_MAX + 4)}
    headers |= {
        "x-ratelimit-account": CANARY.reveal(),
        "x-ratelimit-a-part": f"of {CANARY.reveal()[3:15]}",
        "x-ratelimit-long": "x" * 100,
        "x-other": "1",
    }
    fake.replies.append(says({"data": []}, **headers))

    probed = await probe.probe(named(fake, "openai"), CANARY, NAMES, CHATS)

    assert len(probed.limits) == LIMIT_HEADERS_MAX
    assert probed.limits[0] == ("x-ratelimit-limit-00", "0")
    assert CANARY.reveal()[3:15] not in repr(probed)


@pytest.mark.parametrize(
    ("left", "micros"), [(2, 300_000_000), (0.5, 75_000_000), (0, 0), (-1, 0), (None, None), ("2", None), (True, None)]
)
async def test_openrouter_says_what_is_left_of_a_keys_own_limit(
    fake: FakeProvider, probe: ProviderProbe, left: object, micros: int | None
) -> None:
    fake.replies.extend([says({"data": {"limit_remaining": left}}), says({"data": [{"id": "theirs-two"}]})])

    probed = await probe.probe(named(fake, "openrouter"), CANARY, NAMES, CHATS)

    assert (probed.models, probed.limit_micros) == (("ours/two",), micros)
    assert [asked.path for asked in fake.asked] == ["/v1/key", "/v1/models"]


async def test_who_shows_its_list_to_everybody_is_asked_for_a_word_of_each_model(
    fake: FakeProvider, probe: ProviderProbe
) -> None:
    fake.replies.extend([says(completion("ok")), says({"error": {"message": "no such model"}}, 404)])

    probed = await probe.probe(named(fake, "huggingface"), CANARY, NAMES, CHATS)

    assert len(probed.models) == 1
    assert {asked.payload["model"] for asked in fake.asked} == set(NAMES.values())
    assert all(asked.payload["max_tokens"] == 16 for asked in fake.asked)


async def test_a_model_that_could_not_be_asked_just_now_is_not_taken_from_the_key(
    fake: FakeProvider, probe: ProviderProbe
) -> None:
    """Later tries ask of those alone that are left, so it would never come back."""
    fake.replies.extend([says(completion("ok")), says({}, 500)])

    probed = await probe.probe(named(fake, "huggingface"), CANARY, NAMES, CHATS)

    assert probed.models == tuple(NAMES)


@pytest.mark.parametrize(
    ("statuses", "fault"), [((404, 404), Fault.DENIED), ((402, 404), Fault.DENIED), ((404, 500), Fault.DOWN)]
)
async def test_a_key_with_which_no_model_answers_is_denied_unless_one_could_not_be_asked(
    fake: FakeProvider, probe: ProviderProbe, statuses: tuple[int, int], fault: Fault
) -> None:
    """So that one that served before cools first, as with a provider that lists its models."""
    fake.replies.extend(says({"error": {"message": "no"}}, status) for status in statuses)

    with pytest.raises(UpstreamUnavailable) as caught:
        await probe.probe(named(fake, "huggingface"), CANARY, NAMES, CHATS)

    assert caught.value.fault is fault


@pytest.mark.parametrize("name", ["openai", "openrouter", "huggingface"])
async def test_a_key_that_is_not_known_is_named_so_and_never_repeated(
    fake: FakeProvider, probe: ProviderProbe, name: str
) -> None:
    """Providers quote the key in their refusal."""
    refusal = {"error": {"message": f"Incorrect API key provided: {CANARY.reveal()}."}}
    fake.replies.extend([says(refusal, 401, **{"x-ratelimit-key": CANARY.reveal()})] * 2)

    with pytest.raises(UpstreamUnavailable) as caught:
        await probe.probe(named(fake, name), CANARY, NAMES, CHATS)

    error: BaseException | None = caught.value
    assert caught.value.fault is Fault.KEY
    while error is not None:
        assert CANARY.reveal() not in f"{error} {error!r} {vars(error)}"
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("name", ["openai", "huggingface"])
async def test_a_provider_that_redirects_is_not_followed(fake: FakeProvider, probe: ProviderProbe, name: str) -> None:
    """A host that was taken over, or a gateway that was set wrongly, gets no key sent on to another host."""
    async with serve_provider("evil") as evil:

        async def redirect(_: web.Request) -> web.StreamResponse:
            return web.Response(status=307, headers={"location": f"{evil.url}/models"})

        fake.replies.extend([redirect, redirect])
        with pytest.raises(UpstreamUnavailable) as caught:
            await probe.probe(named(fake, name), CANARY, NAMES, CHATS)

    assert caught.value.fault is Fault.DOWN
    assert evil.asked == []


async def test_a_provider_that_is_busy_or_down_says_nothing_of_a_key(fake: FakeProvider, probe: ProviderProbe) -> None:
    fake.replies.extend([says({}, 429), says({}, 500), says({}, 500)])
    with pytest.raises(UpstreamBusy):
        await probe.probe(named(fake, "openai"), CANARY, NAMES, CHATS)
    with pytest.raises(UpstreamUnavailable):
        await probe.probe(named(fake, "huggingface"), CANARY, NAMES, CHATS)


@pytest.mark.parametrize(
    "listed", [{}, {"data": "theirs-one"}, {"data": [1, None, {}, {"id": 7}]}, {"data": {"id": "theirs-one"}}]
)
async def test_a_list_that_is_none_names_no_model(fake: FakeProvider, probe: ProviderProbe, listed: object) -> None:
    fake.replies.append(says(listed))

    assert (await probe.probe(named(fake, "openai"), CANARY, NAMES, CHATS)).models == ()


async def test_a_custom_endpoint_inside_is_not_reached_where_others_named_it(probe: ProviderProbe) -> None:
    """In production custom endpoints are guarded: an address that leads inside gets no key."""
    async with serve_provider("inside") as inside:
        guarded = replace(named(inside, "custom"), guarded=True)
        with pytest.raises(UpstreamUnavailable):
            await probe.probe(guarded, CANARY, NAMES, CHATS)

    assert inside.asked == []
