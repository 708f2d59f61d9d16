"""Every kind of call is served by contributed keys, for all of them go the same way."""

import pytest

from shared.ledger.models import HOUSE_REVENUE
from shared.resources.models import KEY_FACT
from tests.embeddings import builders as embeddings
from tests.images import builders as images
from tests.providers import fake
from tests.shelf.conftest import SECRET, Library, asked_with
from tests.speech import builders as speech


async def embed(library: Library) -> None:
    library.shop.first.replies.append(fake.whole(embeddings.embedded([0.5], usage={"prompt_tokens": 1_000})))
    await embeddings.embeddings_of(library.shop).answer(library.shop.asking(), embeddings.request_of())


async def paint(library: Library) -> None:
    library.shop.first.replies.append(fake.whole(images.painted(images.PNG)))
    await images.images_of(library.shop).answer(library.shop.asking(), images.request_of())


async def hear(library: Library) -> None:
    library.shop.first.replies.append(fake.whole(speech.heard(duration=2.5)))
    await speech.speech_of(library.shop).transcribe(library.shop.asking(), speech.request_of())


@pytest.mark.parametrize("call", [embed, paint, hear])
async def test_a_contributed_key_serves_it_and_its_owner_is_paid(library: Library, call: object) -> None:
    await library.add(models=(embeddings.MODEL.id, images.MODEL.id, speech.MODEL.id))

    await call(library)  # type: ignore[operator]

    assert [asked_with(asked) for asked in library.shop.first.asked] == [f"{SECRET}-key1"]
    (entry,) = library.shop.captures()
    shares = {str(leg.account_id): leg.amount_micros for leg in entry.legs}
    assert dict(entry.facts)[KEY_FACT] == "key1"
    assert sum(shares.values()) == -entry.delta_micros
    assert abs(shares["earn:grace"] * 1_000 + entry.delta_micros * 765) < 1_000
    assert shares.keys() == {"earn:grace", HOUSE_REVENUE}
