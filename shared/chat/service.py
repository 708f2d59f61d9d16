"""A chat from request to charge: quote, hold, provider, capture. OpenAI's wire format in and out."""

from typing import Any

from shared.answers.models import KeptAnswer
from shared.answers.service import Answers
from shared.base.ids import RequestId
from shared.calls.models import Asking
from shared.calls.service import Calls, call_facts, charge_headers, give_back, rate_headers
from shared.catalog.allowed import check_allowed
from shared.catalog.models import Model, Price, Route
from shared.catalog.service import Catalog
from shared.chat import again, rules
from shared.chat.again import Keeper, Lookup, StreamAgain
from shared.chat.models import ChatAnswer, ChatRequest, Tally
from shared.chat.stream import ChatStream
from shared.chat.tally import count_chunk, usage_of, used
from shared.chat.told import ChatTeller, Teller, usage_with_cost
from shared.metering.models import Outcome, Quote, Usage
from shared.metering.service import MeteredCall
from shared.providers.gateway import Upstreams, UpstreamStream
from shared.providers.models import Provider


class Chats:
    """Answers chats and charges for them."""

    def __init__(self, catalog: Catalog, upstreams: Upstreams, calls: Calls, answers: Answers) -> None:
        self._catalog = catalog
        self._upstreams = upstreams
        self._calls = calls
        self._answers = answers

    async def answer(self, asking: Asking, request: ChatRequest) -> ChatAnswer:
        """The whole answer, charged. Nothing is charged when this raises anything but ClientLeft."""
        model, call, lookup = await self._begin(asking, request)
        if kept := lookup.found:
            told, headers = await _charge_again(kept, model, call, asking.request_id)
            return ChatAnswer(again.body_again(kept, asking.request_id, told), headers | lookup.headers)

        async def ask(provider: Provider, upstream_model: str, timeout_s: float) -> dict[str, Any]:
            payload = rules.upstream_payload(request, upstream_model, call.quote)
            return await self._upstreams.chat(provider, payload, timeout_s=timeout_s)

        tally = Tally()

        def count(answer: dict[str, Any]) -> Usage | None:
            count_chunk(tally, answer)
            return usage_of(tally, request, model)

        whole = await self._calls.whole_answer(
            asking,
            model,
            call,
            ask,
            count,
            needs=rules.needs_of(request),
            read_only=lambda: used(Tally(), request, model),
        )
        if keeper := self._keeper(lookup, whole.route):
            keeper.add(whole.body)
            await keeper.keep(tally, whole.usage, call.quote)
        body = {**whole.body, "usage": usage_with_cost(tally, whole.usage, whole.charge)}
        return ChatAnswer(body, {"x-credence-model": model.id, **whole.headers, **lookup.headers})

    async def stream(
        self, asking: Asking, request: ChatRequest, teller: Teller | None = None
    ) -> ChatStream | StreamAgain:
        """An answer under way, in chat's words unless another `teller` is given.

        Raises like `answer` until the provider has begun; afterwards the stream tells.
        """
        if teller is None:
            options = request.stream_options
            teller = ChatTeller(tells_usage=bool(options and options.include_usage))
        model, call, lookup = await self._begin(asking, request)
        if kept := lookup.found:
            told, headers = await _charge_again(kept, model, call, asking.request_id)
            headers |= lookup.headers
            return StreamAgain(kept, asking.request_id, usage=told, headers=headers, teller=teller)

        async def ask(provider: Provider, upstream_model: str, timeout_s: float) -> UpstreamStream:
            payload = rules.upstream_payload(request, upstream_model, call.quote)
            return await self._upstreams.chat_stream(provider, payload, timeout_s=timeout_s)

        needs = rules.needs_of(request)
        routed = await self._calls.first_answer(asking, model, call, ask, needs=needs, begun=True)
        keeper = self._keeper(lookup, routed.route)
        stream = ChatStream(
            request, call, routed, model=model, request_id=asking.request_id, teller=teller, keeper=keeper
        )
        stream.headers |= lookup.headers
        return stream

    async def quote(self, asking: Asking, request: ChatRequest) -> Quote:
        """What the request would be held for now. Holds nothing; raise what `answer` refuses requests for."""
        model, price = await self._checked(asking, request)
        return await self._calls.quoted(model, rules.quote_of(request, model, price))

    async def _checked(self, asking: Asking, request: ChatRequest) -> tuple[Model, Price]:
        await self._catalog.refresh()
        model, price = self._catalog.chat_model(request.model)
        check_allowed(model, asking.models_allowed)
        rules.check_payload(request, model)
        self._calls.check(asking, model, rules.needs_of(request))
        return model, price

    async def _begin(self, asking: Asking, request: ChatRequest) -> tuple[Model, MeteredCall, Lookup]:
        model, price = await self._checked(asking, request)
        lookup = await self._look_up(asking, request)
        if lookup.found:
            rates = rules.rates_of(request, price)
            quote = again.quote_again(lookup.found, rates, price_version=model.price_version)
        else:
            quote = rules.quote_of(request, model, price)
        return model, await self._calls.hold(asking, model, quote), lookup

    async def _look_up(self, asking: Asking, request: ChatRequest) -> Lookup:
        """One read for a client that asked for it, none for others."""
        if not again.may_be_kept(request):
            return Lookup()
        identity = again.identity_of(request)
        place = self._answers.place_of(asking.account_id, identity, isolated=asking.isolated)
        return Lookup(place, await self._answers.find(place))

    def _keeper(self, lookup: Lookup, route: Route) -> Keeper | None:
        return Keeper(self._answers, lookup.place, route) if lookup.place else None


async def _charge_again(
    kept: KeptAnswer, model: Model, call: MeteredCall, request_id: RequestId
) -> tuple[dict[str, Any], dict[str, str]]:
    """Charge for an answer of before; its usage and headers as they are told."""
    usage, route = again.usage_again(kept), again.route_of(kept)
    made_by: dict[str, str | int] = {"provider": route.provider, "upstream_model": route.model, "cache": "hit"}
    try:
        charge = await call.capture(usage, call_facts(model, made_by, request_id, Outcome.FINISHED))
    except BaseException:
        await give_back(call)
        raise
    told = usage_with_cost(Tally(reported=kept.reported), usage, charge)
    headers = {"x-credence-model": model.id, "x-credence-provider": route.provider, **charge_headers(charge)}
    return told, headers | rate_headers(call)
