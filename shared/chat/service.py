"""A chat from request to charge: quote, hold, provider, capture. OpenAI's wire format in and out."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeVar

from shared.base.errors import CredenceError
from shared.base.ids import RequestId
from shared.base.log import write_line
from shared.base.units import Unit
from shared.calls.models import Asking
from shared.calls.service import charge_headers, give_back, told_cost
from shared.catalog.allowed import check_allowed
from shared.catalog.models import Model, Route
from shared.catalog.service import Catalog
from shared.chat import rules
from shared.chat.models import ChatAnswer, ChatRequest, Tally
from shared.chat.tally import count_chunk, tally_of, usage_of
from shared.metering.models import Charge, Outcome, Usage, UsageSource
from shared.metering.service import Meter, MeteredCall
from shared.providers.errors import UpstreamUnavailable
from shared.providers.gateway import CALL_TIMEOUT_S, Upstreams, UpstreamStream
from shared.providers.models import DisconnectPolicy
from shared.routing.service import Ask, Routed, Router

Answer = TypeVar("Answer")
USAGE_WAIT_S = 5.0
"""How long we wait for the usage of an answer that is finished, when its client did not."""


class Chats:
    """Answers chats and charges for them."""

    def __init__(
        self,
        catalog: Catalog,
        router: Router,
        upstreams: Upstreams,
        meter: Meter,
        *,
        call_timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        self._catalog = catalog
        self._router = router
        self._upstreams = upstreams
        self._meter = meter
        self._call_timeout_s = call_timeout_s

    async def answer(self, asking: Asking, request: ChatRequest) -> ChatAnswer:
        """The whole answer, charged. Nothing is charged when this raises."""
        model, call = await self._begin(asking, request)

        async def ask(route: Route, timeout_s: float) -> dict[str, Any]:
            payload = rules.upstream_payload(request, route.model, call.quote)
            return await self._upstreams.chat(self._upstreams[route.provider], payload, timeout_s=timeout_s)

        routed = await self._first_answer(ask, model, request, call, asking)
        try:
            tally = tally_of(routed.answer)
            usage = usage_of(tally, request, model)
            facts = _facts(model, routed, asking.request_id, Outcome.FINISHED)
            charge = await (call.capture(usage, facts) if usage else call.release())
        except BaseException:
            await give_back(call)
            raise
        finally:
            await routed.close()
        body = {**routed.answer, "usage": _usage_with_cost(tally, usage, charge)}
        return ChatAnswer(body, {"x-credence-model": model.id, **routed.headers, **charge_headers(charge)})

    async def stream(self, asking: Asking, request: ChatRequest) -> "ChatStream":
        """An answer under way. Raises like `answer` until the provider has begun; afterwards the stream tells."""
        model, call = await self._begin(asking, request)

        async def ask(route: Route, timeout_s: float) -> UpstreamStream:
            payload = rules.upstream_payload(request, route.model, call.quote)
            return await self._upstreams.chat_stream(self._upstreams[route.provider], payload, timeout_s=timeout_s)

        routed = await self._first_answer(ask, model, request, call, asking)
        return ChatStream(request, call, routed, model=model, request_id=asking.request_id)

    async def _first_answer(
        self, ask: Ask[Answer], model: Model, request: ChatRequest, call: MeteredCall, asking: Asking
    ) -> Routed[Answer]:
        try:
            return await self._router.first_answer(
                model,
                ask,
                timeout_s=self._call_timeout_s,
                preference=asking.preference,
                needs=rules.needs_of(request),
                # A stream is there when it begins, a whole answer when it is written.
                times_first_byte=bool(request.stream),
            )
        except BaseException:
            await give_back(call)
            raise

    async def _begin(self, asking: Asking, request: ChatRequest) -> tuple[Model, MeteredCall]:
        await self._catalog.refresh()
        model, price = self._catalog.chat_model(request.model)
        check_allowed(model, asking.models_allowed)
        rules.check_payload(request, model)
        self._router.check(model, preference=asking.preference, needs=rules.needs_of(request))
        quote = rules.quote_of(request, model, price)
        return model, await self._meter.begin(asking.account_id, asking.request_id, quote)


class ChatStream:
    """An answer being relayed. Whoever iterates `events` must call `close` in the end, whatever happened."""

    def __init__(
        self,
        request: ChatRequest,
        call: MeteredCall,
        routed: Routed[UpstreamStream],
        *,
        model: Model,
        request_id: RequestId,
    ) -> None:
        self._request = request
        self._call = call
        self._routed = routed
        self._upstream = routed.answer
        self._model = model
        self._request_id = request_id
        self._incoming = self._upstream.events()
        self._tally = Tally()
        self._resolved = False
        self.headers = {"x-credence-model": model.id, **routed.headers, "x-credence-receipt": call.receipt_id}

    async def events(self) -> AsyncIterator[bytes]:
        """The provider's events as they come; the charge is made before the last one is sent."""
        last: dict[str, Any] = {}
        try:
            async for event in self._incoming:
                if event.data is None:
                    break
                count_chunk(self._tally, event.data)
                if event.data.get("error"):
                    raise UpstreamUnavailable(self._upstream.provider.name, "failed in the middle of its answer")
                if event.data.get("choices"):
                    last = {name: value for name, value in event.data.items() if name != "usage"}
                    # The usage that we tell bears our cost; a provider's own, with theirs, is none of the client's.
                    yield _event(last) if event.data.get("usage") else event.raw
            if not self._tally.finished:
                raise UpstreamUnavailable(self._upstream.provider.name, "ended its answer without finishing it")
            usage, charge = await self._resolve(Outcome.FINISHED)
        except CredenceError as error:
            if isinstance(error, UpstreamUnavailable):
                self._routed.broke_off()
            yield await self._failure(last, error)
        else:
            options = self._request.stream_options
            if options and options.include_usage:
                yield _event({**last, "choices": [], "usage": _usage_with_cost(self._tally, usage, charge)})
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
            await self._routed.close()

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
        facts = _facts(self._model, self._routed, self._request_id, outcome)
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
        return _event({**last, "object": "chat.completion.chunk", "choices": ending, "error": fault})


def _facts(model: Model, routed: Routed[Any], request_id: RequestId, outcome: Outcome) -> dict[str, str | int]:
    return {"model": model.id, "outcome": outcome.value, "request_id": request_id, **routed.facts}


def _usage_with_cost(tally: Tally, usage: Usage | None, charge: Charge) -> dict[str, Any]:
    """The counts that were charged, with our cost beside them: credits as a number for tools, and exact micros."""
    told = dict(tally.reported or {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})
    if usage and usage.source is UsageSource.ESTIMATED:
        completion_tokens = usage.count(Unit.COMPLETION_TOKEN)
        told |= {"prompt_tokens": usage.prompt_tokens, "completion_tokens": completion_tokens}
        told["total_tokens"] = usage.prompt_tokens + completion_tokens
    return {**told, **told_cost(charge)}


def _event(data: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"
