"""A work that is shown while it is made, a picture or a text out of a recording, and charged before it is handed over.

Not for chats, whose words are each worth something: a work is charged as one.
"""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from shared.base.errors import CredenceError
from shared.base.log import write_line
from shared.calls.models import Asking
from shared.calls.service import call_facts, rate_headers
from shared.catalog.models import Model
from shared.metering.models import Charge, Outcome, Usage
from shared.metering.service import MeteredCall
from shared.providers.errors import UpstreamUnavailable
from shared.providers.gateway import UpstreamStream
from shared.providers.models import DisconnectPolicy
from shared.routing.service import Routed

ERROR = "error"


class Work(Protocol):
    """One kind of work: which events show it, and what it is worth."""

    noun: str
    partial: str
    """The type of the events that show it unfinished."""
    finished: str
    """The type of the one that hands it over."""
    owed_unseen: bool
    """Whether a client that leaves before any of it was shown owes it: true where providers bill what goes in."""

    def holds(self, event: Mapping[str, Any]) -> bool:
        """Whether an event of either type has in it what it should."""
        ...

    def shown(self, event: Mapping[str, Any]) -> None:
        """Take note of a part that is about to be sent."""
        ...

    def usage(self, finished: Mapping[str, Any] | None) -> Usage | None:
        """What to charge for: the finished work, or with None the one that was only shown. None is free."""
        ...

    def told(self, finished: Mapping[str, Any], usage: Usage | None, charge: Charge) -> dict[str, Any]:
        """The event that hands it over, with what it cost."""
        ...


class WorkStream:
    """A work being relayed. Whoever iterates `events` must call `close` in the end, whatever happened."""

    def __init__(
        self, asking: Asking, model: Model, call: MeteredCall, routed: Routed[UpstreamStream], work: Work
    ) -> None:
        self._asking = asking
        self._model = model
        self._call = call
        self._routed = routed
        self._work = work
        self._upstream = routed.answer
        self._incoming = self._upstream.events()
        self._shown = False
        """True once a part was sent: the last one of several is nearly the work itself."""
        self._finished: Mapping[str, Any] | None = None
        self._resolved = False
        receipt = {"x-credence-receipt": call.receipt_id}
        self.headers = {"x-credence-model": model.id, **routed.headers, **receipt, **rate_headers(call)}

    async def events(self) -> AsyncIterator[bytes]:
        """The parts as they come, and the finished work, which is charged before it is sent."""
        name, noun = self._upstream.provider.name, self._work.noun
        try:
            async for event in self._incoming:
                if event.data is None:
                    break
                kind = event.data.get("type")
                if event.data.get(ERROR) or kind == ERROR:
                    raise UpstreamUnavailable(name, f"failed in the middle of its {noun}")
                if kind == self._work.partial and self._work.holds(event.data):
                    self._shown = True
                    self._work.shown(event.data)
                    yield b"event: " + self._work.partial.encode() + b"\n" + event.raw
                if kind == self._work.finished and self._work.holds(event.data):
                    self._finished = event.data
                    usage, charge = await self._resolve(Outcome.FINISHED)
                    yield told_event(self._work.told(event.data, usage, charge))
                    return
            raise UpstreamUnavailable(name, f"ended its answer without a {noun}")
        except CredenceError as error:
            if isinstance(error, UpstreamUnavailable):
                self._routed.broke_off()
            yield await self._failure(error)

    async def close(self) -> None:
        """Settle a stream whose client left, as the provider's policy says, and let the provider go."""
        try:
            if not self._resolved:
                if self._upstream.provider.disconnect is DisconnectPolicy.DRAIN:
                    await self._drain()
                await self._resolve(Outcome.ABANDONED)
        finally:
            self._upstream.close()
            await self._routed.close()

    async def _drain(self) -> None:
        """Read on to the finished work. A provider that breaks off has made none."""
        try:
            async for event in self._incoming:
                if event.data is None:
                    return
                if event.data.get("type") == self._work.finished and self._work.holds(event.data):
                    self._finished = event.data
                    return
        except UpstreamUnavailable:
            return

    async def _resolve(self, outcome: Outcome) -> tuple[Usage | None, Charge]:
        """Capture or release, once. If we die in here, either the charge stands or the hold expires.

        A finished work is charged. A client that was shown an unfinished one and left pays for it where the provider
        bills what it had made; if it were free, leaving before the end would be a way to have nearly every work for
        nothing.
        """
        self._resolved = True
        policy = self._upstream.provider.disconnect
        billed = (self._shown or self._work.owed_unseen) and policy is not DisconnectPolicy.FREE
        owed = self._finished is not None or (outcome is Outcome.ABANDONED and billed)
        usage = self._work.usage(self._finished) if owed else None
        if usage is None:
            return None, await self._call.release()
        facts = call_facts(self._model, self._routed.facts, self._asking.request_id, outcome)
        if outcome is Outcome.ABANDONED:
            facts["disconnect_policy"] = policy.value
        return usage, await self._call.collect(usage, facts)

    async def _failure(self, error: CredenceError) -> bytes:
        """Give the hold back, and say what failed in OpenAI's form."""
        message = error.message
        try:
            if self._resolved:
                raise error
            await self._resolve(Outcome.CUT)
        except CredenceError as failed:
            # The charge may or may not stand. If it does not, its hold expires by itself.
            write_line("ERROR", "charge_failed", request_id=self._asking.request_id, code=failed.code)
            message = message.replace(" Nothing was charged.", "")
        fault = {"message": message, "type": "api_error", "param": None, "code": error.code}
        return told_event({"type": ERROR, "error": fault})


def told_event(data: Mapping[str, Any]) -> bytes:
    """One event that says its type twice, as OpenAI's do."""
    said = json.dumps(data, separators=(",", ":"))
    return f"event: {data['type']}\ndata: {said}\n\n".encode()
