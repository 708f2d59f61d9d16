"""Pictures from request to charge, over providers that answer as scripted."""

from typing import Any

import pytest

from shared.base.ids import RequestId
from shared.calls.models import Asking
from shared.catalog.errors import ModelNotAllowed, ModelUnknown
from shared.images.errors import ImageInvalid
from shared.metering.errors import CallUnaffordable
from shared.providers.errors import UpstreamRefused, UpstreamUnavailable
from tests.chat.conftest import ADA, FUNDS_MICROS, Shop
from tests.images.builders import MODEL, PICTURE_MICROS, PNG, images_of, painted, request_of
from tests.providers import fake


async def test_pictures_are_charged_by_the_piece(shop: Shop) -> None:
    """The body as the provider gave it, under our name for the model, with the cost; the receipt says the same."""
    shop.first.replies.append(fake.whole(painted(PNG, PNG, usage={"total_tokens": 9, "cost": 5})))

    answered = await images_of(shop).answer(shop.asking(), request_of(n=2))

    (entry,) = shop.captures()
    facts, charged = dict(entry.facts), 2 * PICTURE_MICROS
    details = {"charged_micros": charged, "receipt_id": entry.entry_id}
    usage = {"total_tokens": 9, "images": 2, "cost": 0.08, "cost_details": details}
    assert answered.body == {**painted(PNG, PNG), "model": MODEL.id, "usage": usage}
    assert answered.headers["x-credence-cost-micros"] == str(charged)
    assert answered.headers["x-credence-balance-micros"] == str(FUNDS_MICROS - charged)
    assert (facts["model"], facts["provider"], facts["upstream_model"]) == (MODEL.id, "first", "first/pictures")
    assert (facts["images"], facts["usage_source"], facts["price_version"]) == ("2", "reported", "7")
    assert shop.first.asked[0].path == "/v1/images/generations"


@pytest.mark.parametrize(
    ("data", "charged"),
    [
        ([{"b64_json": PNG}], 1),
        ([{"b64_json": PNG}, {"b64_json": ""}], 1),
        ([{"url": "https://example.com/1.png"}] * 7, 2),
        ([{"b64_json": ""}, {"url": ""}], 0),
    ],
)
async def test_what_was_not_delivered_or_not_asked_for_is_free(shop: Shop, data: list[Any], charged: int) -> None:
    """Two are asked for."""
    shop.first.replies.append(fake.whole({"data": data}))

    answered = await images_of(shop).answer(shop.asking(), request_of(n=2))

    assert await shop.spent_micros() == answered.charge.amount_micros == charged * PICTURE_MICROS
    assert answered.body["usage"]["images"] == charged
    assert answered.body["data"] == data


@pytest.mark.parametrize(
    "reply", [fake.refuse(500), fake.drop, fake.whole({"data": []}), fake.whole({"data": [{"b64_json": 5}]})]
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_failure_of_every_provider_is_free(shop: Shop, reply: fake.Reply, streamed: bool) -> None:
    """The hold is given back at once."""
    shop.first.replies.extend([fake.refuse(500) if streamed else reply] * 10)
    shop.second.replies.extend([fake.refuse(500) if streamed else reply] * 10)
    service = images_of(shop)

    with pytest.raises(UpstreamUnavailable):
        await (service.stream if streamed else service.answer)(shop.asking(), request_of(stream=streamed))

    assert await shop.spent_micros() == 0


async def test_a_request_at_fault_is_free_and_asked_of_nobody_else(shop: Shop) -> None:
    """Such as a prompt that the provider will not paint."""
    shop.first.replies.append(fake.refuse(400))

    with pytest.raises(UpstreamRefused):
        await images_of(shop).answer(shop.asking(), request_of())

    assert not shop.second.asked


async def test_nobody_is_asked_for_what_cannot_be_paid_or_is_not_allowed(shop: Shop) -> None:
    """Each refusal comes before any provider, and holds nothing."""
    service = images_of(shop)
    only = Asking(account_id=ADA, request_id=RequestId("req_only"), models_allowed=frozenset({"maker/other"}))
    await shop.ledger.debit(ADA, FUNDS_MICROS - PICTURE_MICROS, key="most of it", facts={})

    with pytest.raises(CallUnaffordable) as unpaid:
        await service.answer(shop.asking(), request_of(n=2))
    with pytest.raises(ModelNotAllowed):
        await service.answer(only, request_of())
    with pytest.raises(ModelUnknown):
        await service.answer(shop.asking(), request_of(model="maker/none"))
    with pytest.raises(ImageInvalid):
        await service.answer(shop.asking(), request_of(size="2048x2048"))

    assert unpaid.value.details() == {"needed_micros": 2 * PICTURE_MICROS, "spendable_micros": PICTURE_MICROS}
    assert not shop.first.asked
