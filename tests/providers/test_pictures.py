"""Images by their address, for providers that stand on the inside."""

from typing import Any

import pytest
from msgspec.structs import replace

from shared.providers.errors import UpstreamRefused
from shared.providers.gateway import Upstreams
from shared.providers.models import Provider
from tests.providers import fake as says
from tests.providers.fake import FakeProvider
from tests.providers.shelf import Shelf

CAT = "https://example.com/cat.png"
DATA = "data:image/png;base64,Y2F0"


def chat(*parts: Any) -> dict[str, Any]:
    """A chat with these parts."""
    return {"model": "m", "messages": [{"role": "user", "content": "hi"}, {"role": "user", "content": list(parts)}]}


def inside(fake: FakeProvider) -> Provider:
    return replace(fake.provider, inside=True)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_provider_on_the_inside_gets_the_image_and_not_its_address(fake: FakeProvider, streamed: bool) -> None:
    """It would follow the address to wherever that leads. What else the part says stays."""
    upstreams = Upstreams([], fetcher=Shelf(cat=b"cat"))
    fake.replies.append(says.stream(*says.hello()) if streamed else says.whole(says.completion()))
    asked = chat(
        "a word",
        {"type": "text", "text": CAT},
        {"type": "image_url", "image_url": {"url": CAT, "detail": "low"}},
        {"type": "image_url", "image_url": CAT},
        {"type": "image_url", "image_url": {"url": DATA}},
    )

    if streamed:
        (await upstreams.chat_stream(inside(fake), asked)).close()
    else:
        await upstreams.chat(inside(fake), asked)

    assert fake.asked[0].payload["messages"][1]["content"] == [
        "a word",
        {"type": "text", "text": CAT},
        {"type": "image_url", "image_url": {"url": DATA, "detail": "low"}},
        {"type": "image_url", "image_url": DATA},
        {"type": "image_url", "image_url": {"url": DATA}},
    ]
    await upstreams.close()


@pytest.mark.parametrize(
    "address", ["https://169.254.169.254/latest", "https://localhost/", "https://[::1]/", "https://a@example.com/x"]
)
async def test_no_address_of_the_inside_reaches_a_provider_there(fake: FakeProvider, address: str) -> None:
    """The real guard, with nothing put in its place."""
    upstreams = Upstreams([])

    with pytest.raises(UpstreamRefused, match="cannot be used"):
        await upstreams.chat(inside(fake), chat({"type": "image_url", "image_url": {"url": address}}))

    assert not fake.asked
    await upstreams.close()


async def test_other_providers_read_addresses_themselves(fake: FakeProvider) -> None:
    """They stand on the outside, where every address is anybody's."""
    upstreams = Upstreams([], fetcher=(shelf := Shelf()))
    fake.replies.append(says.whole(says.completion()))
    asked = chat({"type": "image_url", "image_url": {"url": CAT}})

    await upstreams.chat(fake.provider, asked)

    assert fake.asked[0].payload == asked
    assert not shelf.asked
    await upstreams.close()
