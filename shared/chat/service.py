"""A chat from request to charge: quote, hold, provider, capture. OpenAI's wire format in and out."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol, TypeVar

from shared.answers.models import KeptAnswer
from shared.answers.service import Answers
from shared.base.errors import CredenceError, Kind
from shared.base.ids import AccountId, RequestId
from shared.base.log import write_line
from shared.catalog.models import Model, Route
from shared.catalog.service import Catalog
from shared.chat import again, rules
from shared.chat.again import Keeper, Lookup, StreamAgain
from shared.chat.models import ChatAnswer, ChatRequest, Tally
from shared.chat.tally import count_chunk, tally_of, usage_of
from shared.chat.told import charge_headers, told_event, usage_with_cost
from shared.metering.models import Charge, Outcome, Usage
from shared.metering.service import Meter, MeteredCall
from shared.pricing.demand import DemandSource
from shared.providers.errors import UpstreamUnavailable
from shared.providers.gateway import CALL_TIMEOUT_S, Upstreams, UpstreamStream
from shared.providers.models import DisconnectPolicy, Provider

ROUTES_TRIED_MAX = 3
"""Providers tried for one call, all inside its one hold and its one CALL_TIMEOUT_S."""
USAGE_WAIT_S = 5.0
"""How long we wait for the usage of an answer that is finished, when its client did not."""

Answered = TypeVar("Answered", covariant=True)


class _Ask(Protocol[Answered]):
    """One of the two ways to ask a provider."""

    async def __call__(self, provider: Provider, payload: Mapping[str, Any], *, timeout_s: float) -> Answered: ...


class Chats:
    """Answers chats and charges for them."""

    def __init__(
        self,
        catalog: Catalog,
        upstreams: Upstreams,
        meter: Meter,
        *,
        demand: DemandSource,
        answers: Answers,
        call_timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        self._catalog = catalog
        self._upstreams = upstreams
        self._meter = meter
        self._demand = demand
        self._answers = answers
        self._call_timeout_s = call_timeout_s

    async def answer(self, account_id: AccountId, request_id: RequestId, request: ChatRequest) -> ChatAnswer:
        """The whole answer, charged. Nothing is charged when this raises."""
        model, call, lookup = await self._begin(account_id, request_id, request)
        try:
            if kept := lookup.found:
                told, headers = await _charge_again(kept, model, call, request_id)
                return ChatAnswer(again.body_again(kept, request_id, told), headers | lookup.headers)
            route, body = await self._first_route(self._upstreams.chat, model, request, call)
            tally = tally_of(body)
            usage = usage_of(tally, request, model)
            facts = _facts(model, route, request_id, Outcome.FINISHED)
            charge = await (call.capture(usage, facts) if usage else call.release())
        except BaseException:
            await _give_back(call)
            raise
        if keeper := self._keeper(lookup, route):
            keeper.add(body)
            await keeper.keep(tally, usage, call.quote)
        body["usage"] = usage_with_cost(tally, usage, charge)
        return ChatAnswer(body, {**_route_headers(model, route), **charge_headers(charge), **lookup.headers})

    async def stream(
        self, account_id: AccountId, request_id: RequestId, request: ChatRequest
    ) -> "ChatStream | StreamAgain":
        """An answer under way. Raises like `answer` until the provider has begun; afterwards the stream tells."""
        model, call, lookup = await self._begin(account_id, request_id, request)
        try:
            if kept := lookup.found:
                told, headers = await _charge_again(kept, model, call, request_id)
                usage = told if request.stream_options and request.stream_options.include_usage else None
                return StreamAgain(kept, request_id, usage=usage, headers=headers | lookup.headers)
            route, upstream = await self._first_route(self._upstreams.chat_stream, model, request, call)
        except BaseException:
            await _give_back(call)
            raise
        stream = ChatStream(request, call, upstream, model=model, route=route, request_id=request_id)
        stream.headers |= lookup.headers
        stream.keeper = self._keeper(lookup, route)
        return stream

    async def _begin(
        self, account_id: AccountId, request_id: RequestId, request: ChatRequest
    ) -> tuple[Model, MeteredCall, Lookup]:
        model, price = self._catalog.chat_model(request.model)
        rules.check_payload(request, model)
        lookup = await self._look_up(account_id, request)
        demand_ppm = (await self._demand.of(model.id)).demand_ppm
        if lookup.found:
            quote = again.quote_again(lookup.found, rules.rates_of(request, price), demand_ppm=demand_ppm)
        else:
            quote = rules.quote_of(request, model, price, demand_ppm=demand_ppm)
        return model, await self._meter.begin(account_id, request_id, quote), lookup

    async def _look_up(self, account_id: AccountId, request: ChatRequest) -> Lookup:
        """One read for a client that asked for it, none for others."""
        if not again.may_be_kept(request):
            return Lookup()
        place = self._answers.place_of(account_id, again.identity_of(request))
        return Lookup(place, await self._answers.find(place))

    def _keeper(self, lookup: Lookup, route: Route) -> Keeper | None:
        return Keeper(self._answers, lookup.place, route) if lookup.place else None

    async def _first_route(
        self, ask: _Ask[Answered], model: Model, request: ChatRequest, call: MeteredCall
    ) -> tuple[Route, Answered]:
        """The first route that answers. One that has begun to is never left for another."""
        loop = asyncio.get_running_loop()
        ends_at_s = loop.time() + self._call_timeout_s
        refusal: CredenceError | None = None
        for route in self._catalog.routes(model)[:ROUTES_TRIED_MAX]:
            if (left_s := ends_at_s - loop.time()) <= 0:
                break
            payload = rules.upstream_payload(request, route.model, call.quote)
            try:
                return route, await ask(self._upstreams[route.provider], payload, timeout_s=left_s)
            except CredenceError as error:
                refusal = _or_raise(error)
        raise refusal or UpstreamUnavailable("none", "is configured")


class ChatStream:
    """An answer being relayed. Whoever iterates `events` must call `close` in the end, whatever happened."""

    def __init__(
        self,
        request: ChatRequest,
        call: MeteredCall,
        upstream: UpstreamStream,
        *,
        model: Model,
        route: Route,
        request_id: RequestId,
    ) -> None:
        self._request = request
        self._call = call
        self._upstream = upstream
        self._model = model
        self._route = route
        self._request_id = request_id
        self._incoming = upstream.events()
        self._tally = Tally()
        self._resolved = False
        self.headers = {**_route_headers(model, route), "x-credence-receipt": call.receipt_id}
        self.keeper: Keeper | None = None

    async def events(self) -> AsyncIterator[bytes]:
        """The provider's events as they come; the charge is made before the last one is sent."""
        last: dict[str, Any] = {}
        try:
            async for event in self._incoming:
                if event.data is None:
                    break
                count_chunk(self._tally, event.data)
                if self.keeper:
                    self.keeper.add(event.data)
                if event.data.get("error"):
                    raise UpstreamUnavailable(self._route.provider, "failed in the middle of its answer")
                if event.data.get("choices"):
                    last = {name: value for name, value in event.data.items() if name != "usage"}
                    # The usage that we tell bears our cost; a provider's own, with theirs, is none of the client's.
                    yield told_event(last) if event.data.get("usage") else event.raw
            if not self._tally.finished:
                raise UpstreamUnavailable(self._route.provider, "ended its answer without finishing it")
            usage, charge = await self._resolve(Outcome.FINISHED)
        except CredenceError as error:
            yield await self._failure(last, error)
        else:
            options = self._request.stream_options
            if options and options.include_usage:
                yield told_event({**last, "choices": [], "usage": usage_with_cost(self._tally, usage, charge)})
            if self.keeper:
                await self.keeper.keep(self._tally, usage, self._call.quote)
        yield b"data: [DONE]\n\n"

    async def close(self) -> None:
        """Settle a stream whose client left, as the provider's policy says, and let the provider go."""
        try:
            if not self._resolved:
                if self._upstream.provider.disconnect is DisconnectPolicy.DRAIN:
                    await self._drain()
                elif self._tally.finished:
                    # Nothing is saved by leaving now: the provider has written it all, and is about to say how much.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(USAGE_WAIT_S):
                            await self._drain()
                await self._resolve(Outcome.ABANDONED)
        finally:
            self._upstream.close()

    async def _drain(self) -> None:
        """Read on to the provider's own count. A provider that breaks off leaves us with ours."""
        try:
            async for event in self._incoming:
                if event.data is None:
                    return
                count_chunk(self._tally, event.data)
        except UpstreamUnavailable:
            return

    async def _resolve(self, outcome: Outcome) -> tuple[Usage | None, Charge]:
        """Capture or release, once. If we die in here, either the charge stands or the hold expires."""
        self._resolved = True
        usage = usage_of(self._tally, self._request, self._model)
        policy = self._upstream.provider.disconnect
        # An answer that was written to its end is billed by every provider; leaving before `[DONE]` makes it no gift.
        free = outcome is Outcome.ABANDONED and policy is DisconnectPolicy.FREE and not self._tally.finished
        if usage is None or free:
            return usage, await self._call.release()
        facts = _facts(self._model, self._route, self._request_id, outcome)
        if outcome is Outcome.ABANDONED:
            facts["disconnect_policy"] = policy.value
        return usage, await self._call.collect(usage, facts)

    async def _failure(self, last: Mapping[str, Any], error: CredenceError) -> bytes:
        """Settle for what was delivered before the failure, and say what failed in OpenAI's form."""
        message = error.message
        try:
            if self._resolved:
                raise error
            _, charge = await self._resolve(Outcome.CUT)
            if charge.amount_micros:
                message = message.replace("Nothing was charged.", "Only what was delivered was charged.")
        except CredenceError as failed:
            # The charge may or may not stand. If it does not, its hold expires by itself.
            write_line("ERROR", "charge_failed", request_id=self._request_id, code=failed.code)
            message = message.replace(" Nothing was charged.", "")
        fault = {"message": message, "type": "api_error", "param": None, "code": error.code}
        ending = [{"index": 0, "delta": {}, "finish_reason": "error"}]
        return told_event({**last, "object": "chat.completion.chunk", "choices": ending, "error": fault})


async def _charge_again(
    kept: KeptAnswer, model: Model, call: MeteredCall, request_id: RequestId
) -> tuple[dict[str, Any], dict[str, str]]:
    """Charge for an answer of before; its usage and headers as they are told."""
    usage, route = again.usage_again(kept), again.route_of(kept)
    facts = {**_facts(model, route, request_id, Outcome.FINISHED), "cache": "hit"}
    charge = await call.capture(usage, facts)
    told = usage_with_cost(Tally(reported=kept.reported), usage, charge)
    return told, {**_route_headers(model, route), **charge_headers(charge)}


async def _give_back(call: MeteredCall) -> None:
    """Release the hold of a call that failed. If that fails too, the hold expires by itself."""
    try:
        await call.release()
    except CredenceError as error:
        write_line("ERROR", "release_failed", receipt=call.receipt_id, code=error.code)


def _or_raise(error: CredenceError) -> CredenceError:
    """Another provider may do better when this one is down or busy; what is wrong with the request stays wrong."""
    if error.kind not in (Kind.UNAVAILABLE, Kind.BUSY):
        raise error
    return error


def _facts(model: Model, route: Route, request_id: RequestId, outcome: Outcome) -> dict[str, str | int]:
    return {
        "model": model.id,
        "outcome": outcome.value,
        "provider": route.provider,
        "request_id": request_id,
        "upstream_model": route.model,
    }


def _route_headers(model: Model, route: Route) -> dict[str, str]:
    return {"x-credence-model": model.id, "x-credence-provider": route.provider}
