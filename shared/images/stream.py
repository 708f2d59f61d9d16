"""A picture that is shown while it is painted."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from shared.base.errors import CredenceError
from shared.base.log import write_line
from shared.base.units import Unit
from shared.calls.models import Asking
from shared.calls.service import call_facts, told_cost
from shared.catalog.models import Model
from shared.images.rules import is_picture
from shared.metering.models import Charge, Outcome, Usage, UsageSource
from shared.metering.service import MeteredCall
from shared.providers.errors import UpstreamUnavailable
from shared.providers.gateway import UpstreamStream
from shared.providers.models import DisconnectPolicy
from shared.routing.service import Routed

COMPLETED, PARTIAL = "image_generation.completed", "image_generation.partial_image"


class ImageStream:
    """A picture being relayed. Whoever iterates `events` must call `close` in the end, whatever happened."""

    def __init__(self, asking: Asking, model: Model, call: MeteredCall, routed: Routed[UpstreamStream]) -> None:
        self._asking = asking
        self._model = model
        self._call = call
        self._routed = routed
        self._upstream = routed.answer
        self._incoming = self._upstream.events()
        self._shown = False
        """True once a partial picture was sent: the last one of several is nearly the picture itself."""
        self._finished = False
        self._resolved = False
        self.headers = {"x-credence-model": model.id, **routed.headers, "x-credence-receipt": call.receipt_id}

    async def events(self) -> AsyncIterator[bytes]:
        """Partial pictures as they come, and the finished one, which is charged before it is sent."""
        try:
            async for event in self._incoming:
                if event.data is None:
                    break
                kind = event.data.get("type")
                if event.data.get("error") or kind == "error":
                    raise UpstreamUnavailable(self._upstream.provider.name, "failed in the middle of its picture")
                if kind == PARTIAL and is_picture(event.data):
                    self._shown = True
                    yield b"event: " + PARTIAL.encode() + b"\n" + event.raw
                if kind == COMPLETED and is_picture(event.data):
                    self._finished = True
                    yield await self._completed(event.data)
                    return
            raise UpstreamUnavailable(self._upstream.provider.name, "ended its answer without a picture")
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

    async def _completed(self, data: Mapping[str, Any]) -> bytes:
        charge = await self._resolve(Outcome.FINISHED)
        reported = data.get("usage")
        usage = {**(reported if isinstance(reported, dict) else {}), Unit.IMAGE.value: 1, **told_cost(charge)}
        return _event(COMPLETED, {**data, "usage": usage})

    async def _drain(self) -> None:
        """Read on to the finished picture. A provider that breaks off has made none."""
        try:
            async for event in self._incoming:
                if event.data is None:
                    return
                if event.data.get("type") == COMPLETED and is_picture(event.data):
                    self._finished = True
                    return
        except UpstreamUnavailable:
            return

    async def _resolve(self, outcome: Outcome) -> Charge:
        """Capture or release, once. If we die in here, either the charge stands or the hold expires.

        A finished picture is charged. Who was shown an unfinished one and left pays for it where the provider bills
        what it had painted; if it were free, partial pictures would be a way to have every picture for nothing.
        """
        self._resolved = True
        policy = self._upstream.provider.disconnect
        left_with_one = outcome is Outcome.ABANDONED and self._shown and policy is not DisconnectPolicy.FREE
        if not self._finished and not left_with_one:
            return await self._call.release()
        facts = call_facts(self._model, self._routed.facts, self._asking.request_id, outcome)
        if outcome is Outcome.ABANDONED:
            facts["disconnect_policy"] = policy.value
        source = UsageSource.REPORTED if self._finished else UsageSource.ESTIMATED
        return await self._call.collect(Usage({Unit.IMAGE: 1}, source), facts)

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
        return _event("error", {"type": "error", "error": fault})


def _event(kind: str, data: Mapping[str, Any]) -> bytes:
    said = json.dumps(data, separators=(",", ":")).encode()
    return b"event: " + kind.encode() + b"\ndata: " + said + b"\n\n"
