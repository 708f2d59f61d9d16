"""A chat's answer relayed as it is written, and charged before its end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from shared.base.errors import CredenceError
from shared.base.ids import RequestId
from shared.base.log import write_line
from shared.calls.service import call_facts, rate_headers
from shared.catalog.models import Capability, Model
from shared.chat.again import Keeper
from shared.chat.models import ChatRequest, Tally
from shared.chat.repeats import Repeats
from shared.chat.tally import count_chunk, usage_of, used
from shared.chat.told import Teller, usage_with_cost
from shared.metering.models import Charge, Outcome, Usage
from shared.metering.service import MeteredCall
from shared.providers.errors import UpstreamUnavailable
from shared.providers.gateway import UpstreamStream
from shared.providers.models import KNOWN, DisconnectPolicy, Wire
from shared.routing.service import Routed

USAGE_WAIT_S = 5.0
"""How long we wait for the usage of an answer that is finished, when its client did not."""


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
        teller: Teller,
        keeper: Keeper | None = None,
    ) -> None:
        """`keeper` keeps the answer once it is whole and charged, to be told again."""
        self._request = request
        self._call = call
        self._routed = routed
        self._upstream = routed.answer
        self._model = model
        self._request_id = request_id
        self._teller = teller
        self._keeper = keeper
        self._tally = Tally()
        # Where chunks are passed on as they came, and nothing else is made of them, most need not be parsed.
        relays = teller.relays and keeper is None and self._upstream.provider.wire is Wire.OPENAI
        self._repeats = Repeats(self._tally) if relays else None
        self._incoming = self._upstream.events(self._repeats.count if self._repeats else None)
        self._resolved = False
        receipt = {"x-credence-receipt": call.receipt_id}
        self.headers = {"x-credence-model": model.id, **routed.headers, **receipt, **rate_headers(call)}

    async def events(self) -> AsyncIterator[bytes]:
        """The provider's events as they come, told by the teller; the charge is made before the last one is sent."""
        try:
            if beginning := self._teller.begin():
                yield beginning
            async for event in self._incoming:
                if event.data is KNOWN:
                    yield event.raw
                    continue
                if event.data is None:
                    break
                count_chunk(self._tally, event.data)
                if self._repeats:
                    self._repeats.learn(event)
                if self._keeper:
                    self._keeper.add(event.data)
                if event.data.get("error"):
                    raise UpstreamUnavailable(self._upstream.provider.name, "failed in the middle of its answer")
                if event.data.get("choices") and (told := self._teller.tell(event)):
                    yield told
            if not self._tally.finished:
                raise UpstreamUnavailable(self._upstream.provider.name, "ended its answer without finishing it")
            usage, charge = await self._resolve(Outcome.FINISHED)
        except CredenceError as error:
            if isinstance(error, UpstreamUnavailable):
                self._routed.broke_off()
            yield await self._failure(error)
        else:
            if ending := self._teller.end(usage_with_cost(self._tally, usage, charge)):
                yield ending
            if self._keeper:
                await self._keeper.keep(self._tally, usage, self._call.quote)
        if self._teller.last:
            yield self._teller.last

    async def close(self) -> None:
        """Settle a stream whose client left, as the provider's policy says, and let the provider go."""
        try:
            if not self._resolved:
                if self._policy is DisconnectPolicy.DRAIN:
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

    @property
    def _policy(self) -> DisconnectPolicy:
        """The provider's, but that a model which thinks is read to its end wherever leaving is estimated: its thoughts
        are billed, nobody is shown them, and only the end tells how many there were.
        """
        policy = self._upstream.provider.disconnect
        thinks = Capability.REASONING in self._model.capabilities
        return DisconnectPolicy.DRAIN if thinks and policy is DisconnectPolicy.ESTIMATE else policy

    async def _drain(self) -> None:
        """Read on to the provider's own count. A provider that breaks off leaves us with ours."""
        try:
            async for event in self._incoming:
                if event.data is None:
                    return
                # A known one is in the tally already, and KNOWN weighs nothing.
                count_chunk(self._tally, event.data)
        except UpstreamUnavailable:
            return

    async def _resolve(self, outcome: Outcome) -> tuple[Usage | None, Charge]:
        """Capture or release, once. If we die in here, either the charge stands or the hold expires."""
        self._resolved = True
        usage = usage_of(self._tally, self._request, self._model)
        policy = self._policy
        if usage is None and outcome is Outcome.ABANDONED and policy is DisconnectPolicy.ESTIMATE:
            # It has read the prompt, and bills that. If leaving before the first word were free, so were filling a
            # provider's cache with a prompt whose next reading then costs a tenth.
            usage = used(self._tally, self._request, self._model)
        # An answer that was written to its end is billed by every provider; leaving before `[DONE]` makes it no gift.
        free = outcome is Outcome.ABANDONED and policy is DisconnectPolicy.FREE and not self._tally.finished
        if usage is None or free:
            return usage, await self._call.release()
        facts = call_facts(self._model, self._routed.facts, self._request_id, outcome)
        if outcome is Outcome.ABANDONED:
            facts["disconnect_policy"] = policy.value
        return usage, await self._call.collect(usage, facts)

    async def _failure(self, error: CredenceError) -> bytes:
        """Settle for what was delivered before the failure, and say what failed and what that cost."""
        message, told = error.message, None
        try:
            if self._resolved:
                raise error
            usage, charge = await self._resolve(Outcome.CUT)
            if charge.amount_micros:
                message = message.replace("Nothing was charged.", "Only what was delivered was charged.")
                told = usage_with_cost(self._tally, usage, charge)
        except CredenceError as failed:
            # The charge may or may not stand. If it does not, its hold expires by itself.
            write_line("ERROR", "charge_failed", request_id=self._request_id, code=failed.code)
            message = message.replace(" Nothing was charged.", "")
        return self._teller.fail(message, error.code, told)
