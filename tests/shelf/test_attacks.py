"""Ways to get at a contributed key: each ends with the key at its provider's own host, or nowhere."""

import contextlib
import json
from typing import Any

import pytest
from msgspec.structs import replace

from shared.base.errors import CredenceError
from shared.base.ids import UserId
from shared.base.secret import Secret
from shared.providers.errors import UpstreamRefused
from shared.providers.gateway import Upstreams
from shared.providers.models import Provider
from shared.resources.models import KeyId
from shared.resources.rules import host_of
from shared.vault.models import Binding
from tests.chat.builders import image, request_of, says
from tests.providers import fake
from tests.providers.fake import KEY
from tests.shelf.conftest import SECRET, Library, asked_with

ANSWERED = fake.whole(fake.completion(usage=fake.usage(400, 600)))
EVIL = "second"
"""The other provider of the shop plays the host that wants the key."""


def evil_heard(library: Library) -> str:
    """Everything that the other host was sent."""
    return str([(asked.path, dict(asked.headers), asked.payload) for asked in library.shop.second.asked])


async def answer(library: Library, **fields: Any) -> CredenceError | None:
    """One chat; why it failed, if it did."""
    try:
        await library.shop.chats().answer(library.shop.asking(), request_of(**fields))
    except CredenceError as error:
        return error
    return None


@pytest.mark.parametrize(
    "aimed",
    [
        lambda url: {"base_url": url},
        lambda url: {"api_base": url, "custom_llm_provider": "openai"},
        lambda url: {"extra_body": {"base_url": url}, "extra_headers": {"host": "evil.example"}},
        lambda url: {"metadata": {"api_base": url}, "user": url},
        lambda url: {"provider": {"order": ["second"], "base_url": url}},
        lambda url: {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"api_base": url}}}]},
        lambda url: {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"$ref": url}}}},
    ],
)
async def test_no_field_of_a_request_sends_the_key_elsewhere(library: Library, aimed: Any) -> None:
    """At the top or nested: a field is refused, or it is text in the body that the provider's own host gets."""
    await library.add()
    library.shop.first.replies.append(ANSWERED)

    with contextlib.suppress(TypeError):
        await answer(library, **aimed(library.shop.second.url))

    assert SECRET not in evil_heard(library)
    assert all(asked_with(asked) == f"{SECRET}-key1" for asked in library.shop.first.asked)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(library: Library, status: int) -> None:
    await library.add()
    library.shop.first.replies.append(fake.refuse(status, headers={"location": library.shop.second.url}))
    library.shop.second.replies.append(ANSWERED)

    await answer(library)

    assert SECRET not in evil_heard(library)


async def test_a_host_that_resolves_to_the_inside_is_not_connected_to(library: Library) -> None:
    """DNS rebinding: what a guarded name leads to is checked when the connection is made, and not before."""
    shop = library.shop
    rebound = shop.first.url.replace("http://127.0.0.1", "https://localhost")
    provider = replace(shop.first.provider, base_url=rebound, guarded=True)
    key = await library.vault.open(await library.vault.seal(Secret(SECRET), _binding(provider)), _binding(provider))
    upstreams = Upstreams([provider])
    shop.upstreams.append(upstreams)

    with pytest.raises(CredenceError) as refusal:
        await upstreams.chat(replace(provider, key=key), {"model": "m", "messages": [says()]}, timeout_s=5)

    assert refusal.value.code == "upstream_unavailable"
    assert not shop.first.asked


def _binding(provider: Provider) -> Binding:
    return Binding(owner="grace", provider=provider.name, host=host_of(provider.base_url))


async def test_a_provider_that_moved_is_another_host(library: Library) -> None:
    """An operator, or whoever has the settings, points the provider's name elsewhere: the old keys do not go along."""
    key = await library.add()
    library.store.put(replace(key, host=host_of(library.shop.second.url)))
    await library.shelf.refresh()
    library.shop.first.replies.append(ANSWERED)

    await answer(library)

    assert [asked_with(asked) for asked in library.shop.first.asked] == [f"{KEY}-first"]


@pytest.mark.parametrize("changed", ["host", "owner", "provider", "sealed"])
async def test_a_record_that_somebody_changed_opens_nothing(library: Library, changed: str) -> None:
    """Whoever can write the record can still not aim the secret: the binding is of where it would be sent."""
    key = await library.add()
    other = await library.add("other", at=library.shop.second, owner="hopper")
    moved = {
        "host": replace(key, host=host_of(library.shop.second.url), provider=EVIL),
        "owner": replace(key, owner=UserId("mallory")),
        "provider": replace(key, provider=EVIL, host=host_of(library.shop.second.url)),
        "sealed": replace(other, sealed=key.sealed),
    }[changed]
    library.store.keys.clear()
    library.store.put(moved)
    await library.shelf.refresh()
    library.shop.first.replies.append(fake.refuse(503))
    library.shop.first.replies.append(fake.refuse(503))
    library.shop.second.replies.append(ANSWERED)

    await answer(library)
    await library.shelf.told()

    heard = [asked_with(asked) for asked in (*library.shop.first.asked, *library.shop.second.asked)]
    assert heard
    assert not any(bearer.startswith(SECRET) for bearer in heard)
    assert [payload.key_id for _, payload, _ in library.posted.tasks] == [moved.id]


async def test_an_image_by_its_address_is_asked_for_without_the_key(library: Library) -> None:
    """The address goes to the provider as text; nobody of ours calls it with a key."""
    await library.add(models=("maker/eyes",))
    library.shop.first.replies.append(ANSWERED)
    url = "https://steal.example/pixel.png?key={key}"
    message = {"role": "user", "content": [{"type": "text", "text": "what is it"}, image(url)]}

    await library.shop.chats().answer(library.shop.asking(), request_of(message, model="maker/eyes"))

    assert [asked_with(asked) for asked in library.shop.first.asked] == [f"{SECRET}-key1"]
    assert not library.shop.second.asked
    assert SECRET not in json.dumps(library.shop.first.asked[0].payload)


@pytest.mark.parametrize(
    "echo", [f"{SECRET}-key1", f"{SECRET}-key1"[:-6], f"{SECRET}-key1"[10:], f"Bearer {SECRET}-key1 is odd"]
)
async def test_a_refusal_that_quotes_the_key_or_a_part_of_it_does_not_reach_the_client(
    library: Library, echo: str
) -> None:
    await library.add()
    library.shop.first.replies.append(fake.refuse(400, f"bad request with key {echo}"))

    refusal = await answer(library)

    assert isinstance(refusal, UpstreamRefused)
    assert "0123456789" not in refusal.message
    assert SECRET[:12] not in refusal.message


async def test_a_stream_that_fails_with_the_key_in_its_words_does_not_tell_it(library: Library) -> None:
    await library.add()
    error = {"error": {"message": f"key {SECRET}-key1 was revoked", "code": f"{SECRET}-key1"}}
    said = [fake.event(fake.chunk("", role="assistant")), fake.event(fake.chunk("He")), fake.event(error)]
    library.shop.first.replies.append(fake.stream(*said))
    stream = await library.shop.stream(request_of(stream=True))

    told = b"".join([event async for event in stream.events()])
    await stream.close()

    assert b"He" in told
    assert SECRET.encode() not in told


async def test_headers_and_receipts_name_a_key_by_its_public_id_only(library: Library) -> None:
    await library.add()
    library.shop.first.replies.append(ANSWERED)

    told = await library.shop.chats().answer(library.shop.asking(), request_of())

    assert SECRET not in str(told.headers) + str(told.body) + str(library.shop.captures())
    assert dict(library.shop.captures()[-1].facts)["contributed_key"] == KeyId("key1")
