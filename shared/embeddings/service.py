"""Embeddings from request to charge, in OpenAI's wire format."""

from typing import Any

from shared.base.units import Unit
from shared.calls.models import Answered, Asking
from shared.calls.service import Calls, told_cost
from shared.catalog.allowed import check_allowed
from shared.catalog.models import Modality
from shared.catalog.service import Catalog
from shared.embeddings import rules
from shared.embeddings.models import EmbeddingRequest
from shared.metering.models import Usage
from shared.providers.errors import UpstreamUnavailable
from shared.providers.gateway import Upstreams
from shared.providers.models import Provider


class Embeddings:
    """Embeds texts and charges for them."""

    def __init__(self, catalog: Catalog, upstreams: Upstreams, calls: Calls) -> None:
        self._catalog = catalog
        self._upstreams = upstreams
        self._calls = calls

    async def answer(self, asking: Asking, request: EmbeddingRequest) -> Answered:
        """All embeddings, charged by the token. Nothing is charged when this raises."""
        await self._catalog.refresh()
        model, price = self._catalog.model_for(request.model, {Modality.EMBEDDING}, {Unit.PROMPT_TOKEN}, "embeddings")
        check_allowed(model, asking.models_allowed)
        rules.check(request, model)

        async def ask(provider: Provider, upstream_model: str, timeout_s: float) -> dict[str, Any]:
            payload = rules.upstream_payload(request, upstream_model)
            answer = await self._upstreams.embeddings(provider, payload, timeout_s=timeout_s)
            try:
                return {**answer, "data": rules.in_form(answer, request)}
            except ValueError:
                raise UpstreamUnavailable(provider.name, "garbled its answer") from None

        def count(answer: dict[str, Any]) -> Usage:
            return rules.usage_of(answer, request)

        answered = await self._calls.answer(asking, model, rules.quote_of(request, model, price), ask, count)
        tokens = count(answered.body).prompt_tokens
        usage = {"prompt_tokens": tokens, "total_tokens": tokens, **told_cost(answered.charge)}
        body = {**answered.body, "object": "list", "model": model.id, "usage": usage}
        return Answered(body, answered.charge, answered.headers)
