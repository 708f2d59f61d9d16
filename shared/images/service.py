"""Pictures from request to charge, in OpenAI's wire format."""

from collections.abc import Mapping
from typing import Any

from shared.base.units import Unit
from shared.calls.models import Answered, Asking
from shared.calls.service import Calls, told_cost
from shared.calls.stream import WorkStream
from shared.catalog.allowed import check_allowed
from shared.catalog.models import Modality, Model, Price
from shared.catalog.service import Catalog
from shared.images import rules
from shared.images.models import ImageRequest
from shared.images.stream import Painting
from shared.metering.models import Charge, Usage
from shared.providers.gateway import Upstreams, UpstreamStream
from shared.providers.models import Provider


class Images:
    """Has pictures made and charges for them."""

    def __init__(self, catalog: Catalog, upstreams: Upstreams, calls: Calls) -> None:
        self._catalog = catalog
        self._upstreams = upstreams
        self._calls = calls

    async def answer(self, asking: Asking, request: ImageRequest) -> Answered:
        """All pictures, charged by the piece. Nothing is charged when this raises."""
        model, price = await self.checked(asking, request)

        async def ask(provider: Provider, upstream_model: str, timeout_s: float) -> dict[str, Any]:
            payload = rules.upstream_payload(request, upstream_model)
            return await self._upstreams.images(provider, payload, timeout_s=timeout_s)

        def count(answer: dict[str, Any]) -> Usage | None:
            return rules.usage_of(answer, request)

        answered = await self._calls.answer(asking, model, rules.quote_of(request, model, price), ask, count)
        usage = count(answered.body)
        told = told_usage(answered.body.get("usage"), usage.count(Unit.IMAGE) if usage else 0, answered.charge)
        return Answered({**answered.body, "model": model.id, "usage": told}, answered.charge, answered.headers)

    async def stream(self, asking: Asking, request: ImageRequest) -> WorkStream:
        """A picture under way. Raises like `answer` until the provider has begun; afterwards the stream tells."""
        model, price = await self.checked(asking, request)

        async def ask(provider: Provider, upstream_model: str, timeout_s: float) -> UpstreamStream:
            payload = rules.upstream_payload(request, upstream_model)
            return await self._upstreams.images_stream(provider, payload, timeout_s=timeout_s)

        quote = rules.quote_of(request, model, price)
        needs = rules.needs_of(request)
        self._calls.check(asking, model, needs)
        call = await self._calls.hold(asking, model, quote)
        routed = await self._calls.first_answer(asking, model, call, ask, needs=needs, begun=True)
        return WorkStream(asking, model, call, routed, Painting())

    async def checked(self, asking: Asking, request: ImageRequest) -> tuple[Model, Price]:
        """Raise what a request is refused for, before anything is held for it."""
        await self._catalog.refresh()
        model, price = self._catalog.model_for(request.model, {Modality.IMAGE}, {Unit.IMAGE}, "images")
        check_allowed(model, asking.models_allowed)
        rules.check(request, model)
        return model, price


def told_usage(reported: object, images: int, charge: Charge) -> dict[str, Any]:
    """What the provider says it used, with the pictures that were charged and their cost beside it."""
    told: Mapping[str, Any] = reported if isinstance(reported, dict) else {}
    return {**told, Unit.IMAGE.value: images, **told_cost(charge)}
