"""Embeddings from request to charge, over providers that answer as scripted."""

import pytest

from shared.base.ids import RequestId
from shared.calls.models import Asking
from shared.catalog.errors import ModelNotAllowed, ModelUnknown
from shared.embeddings.errors import EmbeddingInvalid
from shared.metering.errors import CallUnaffordable
from shared.providers.errors import UpstreamRefused, UpstreamUnavailable
from tests.chat.conftest import ADA, FUNDS_MICROS, Shop
from tests.chat.test_demand import SetDemand
from tests.embeddings.builders import MODEL, embedded, embeddings_of, request_of
from tests.providers import fake

COUNTED = {"prompt_tokens": 12, "total_tokens": 12}
TEXTS_TOO_DEAR = FUNDS_MICROS // MODEL.context_tokens + 1


async def test_embeddings_are_charged_by_the_reported_token(shop: Shop) -> None:
    """The body as the provider gave it, under our name for the model, with the cost; the receipt says the same."""
    shop.first.replies.append(fake.whole(embedded([0.5, 1.0], [0.25, 0.0], usage=COUNTED)))

    answered = await embeddings_of(shop).answer(shop.asking(), request_of(["Hello", "there"], user="u"))

    (entry,) = shop.captures()
    facts = dict(entry.facts)
    details = {"charged_micros": 12, "receipt_id": entry.entry_id}
    assert answered.body == {
        **embedded([0.5, 1.0], [0.25, 0.0]),
        "model": MODEL.id,
        "usage": {**COUNTED, "cost": 0.000012, "cost_details": details},
    }
    assert answered.headers["x-credence-cost-micros"] == "12"
    assert answered.headers["x-credence-receipt"] == entry.entry_id
    assert answered.headers["x-credence-balance-micros"] == str(FUNDS_MICROS - 12)
    assert (facts["model"], facts["provider"], facts["upstream_model"]) == (MODEL.id, "first", "first/vectors")
    assert (facts["prompt_tokens"], facts["usage_source"], facts["price_version"]) == ("12", "reported", "7")
    assert shop.first.asked[0].path == "/v1/embeddings"
    assert shop.first.asked[0].payload == {"model": "first/vectors", "input": ["Hello", "there"], "user": "u"}


async def test_demand_is_held_and_charged_like_a_chats(shop: Shop) -> None:
    """All whole calls go the same way, so what holds here holds for pictures and recordings."""
    shop.demand = SetDemand(1_500_000)
    shop.first.replies.append(fake.whole(embedded([0.5], usage=COUNTED)))

    answered = await embeddings_of(shop).answer(shop.asking(), request_of())

    assert answered.charge.amount_micros == 18
    assert dict(shop.captures()[0].facts)["demand_ppm"] == "1500000"


async def test_a_report_beyond_the_quote_is_charged_as_the_quote(shop: Shop) -> None:
    """The client agreed to no more."""
    shop.first.replies.append(fake.whole(embedded([1.0], usage={"prompt_tokens": 10**15})))

    await embeddings_of(shop).answer(shop.asking(), request_of())

    (entry,) = shop.captures()
    assert -entry.delta_micros == int(dict(entry.facts)["held_micros"])
    assert dict(entry.facts)["capped_by"] == "hold"


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": 0}, {"prompt_tokens": -12}, "lots"])
async def test_embeddings_without_a_usable_usage_are_estimated_and_say_so(shop: Shop, usage: object) -> None:
    """The client is told the count that it was charged for."""
    shop.first.replies.append(fake.whole(embedded([1.0], usage=usage)))

    answered = await embeddings_of(shop).answer(shop.asking(), request_of("x" * 400))

    (entry,) = shop.captures()
    assert dict(entry.facts)["usage_source"] == "estimated"
    assert answered.body["usage"]["prompt_tokens"] == answered.charge.amount_micros == 100


async def test_tokens_are_embedded_as_texts_are(shop: Shop) -> None:
    """One list of them is one text."""
    shop.first.replies.append(fake.whole(embedded([1.0])))

    await embeddings_of(shop).answer(shop.asking(), request_of([1, 2, 3]))

    assert shop.first.asked[0].payload["input"] == [1, 2, 3]
    assert await shop.spent_micros() == 1


async def test_the_form_that_was_asked_for_is_answered(shop: Shop) -> None:
    """OpenAI's client asks for base64 unasked; many providers overlook that."""
    shop.first.replies.append(fake.whole(embedded([1.0, -2.0], usage=COUNTED)))
    shop.first.replies.append(fake.whole(embedded("AACAPwAAAMA=", usage=COUNTED)))
    service = embeddings_of(shop)

    packed = await service.answer(shop.asking(), request_of(encoding_format="base64"))
    plain = await service.answer(shop.asking(), request_of(encoding_format="float"))

    assert packed.body["data"][0]["embedding"] == "AACAPwAAAMA="
    assert plain.body["data"][0]["embedding"] == [1.0, -2.0]


async def test_another_route_is_asked_when_the_first_cannot_be_read(shop: Shop) -> None:
    """And only the one that answered is on the receipt."""
    shop.first.replies.extend([fake.whole(embedded("no base64!"))] * 4)
    shop.second.replies.append(fake.whole(embedded([1.0], usage=COUNTED)))

    answered = await embeddings_of(shop).answer(shop.asking(), request_of())

    assert answered.headers["x-credence-provider"] == "second"
    assert await shop.spent_micros() == 12


@pytest.mark.parametrize(
    "reply",
    [fake.refuse(500), fake.drop, fake.whole({"data": []}), fake.whole(embedded({"no": "list"})), fake.whole(b"no")],
)
async def test_a_failure_of_every_provider_is_free(shop: Shop, reply: fake.Reply) -> None:
    """The hold is given back at once."""
    shop.first.replies.extend([reply] * 10)
    shop.second.replies.extend([reply] * 10)

    with pytest.raises(UpstreamUnavailable):
        await embeddings_of(shop).answer(shop.asking(), request_of())

    assert await shop.spent_micros() == 0


async def test_a_request_at_fault_is_free_and_asked_of_nobody_else(shop: Shop) -> None:
    """Another provider would find the same."""
    shop.first.replies.append(fake.refuse(400))

    with pytest.raises(UpstreamRefused):
        await embeddings_of(shop).answer(shop.asking(), request_of())

    assert not shop.second.asked
    assert await shop.spent_micros() == 0


async def test_nobody_is_asked_for_what_cannot_be_paid_or_is_not_allowed(shop: Shop) -> None:
    """Each refusal comes before any provider, and holds nothing."""
    service = embeddings_of(shop)
    only = Asking(account_id=ADA, request_id=RequestId("req_only"), models_allowed=frozenset({"maker/other"}))

    with pytest.raises(CallUnaffordable) as unpaid:
        await service.answer(shop.asking(), request_of(["x" * MODEL.context_tokens] * TEXTS_TOO_DEAR))
    with pytest.raises(ModelNotAllowed):
        await service.answer(only, request_of())
    with pytest.raises(ModelUnknown):
        await service.answer(shop.asking(), request_of(model="maker/none"))
    with pytest.raises(EmbeddingInvalid):
        await service.answer(shop.asking(), request_of(""))

    assert "affordable_max_tokens" not in unpaid.value.details()
    assert not shop.first.asked
