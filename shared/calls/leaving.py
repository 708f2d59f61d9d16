"""A client that leaves while a whole answer is awaited: whom that stops, and what is owed then."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from msgspec import Struct

from shared.base.errors import ClientLeft
from shared.providers.models import DisconnectPolicy, Provider

T = TypeVar("T")
AskProvider = Callable[[Provider, str, float], Awaitable[T]]
"""Asks a provider, under its own name for the model, within so many seconds."""


class Stopped(Struct, frozen=True):
    """A provider that was left in the middle of its work, and its name for the model."""

    provider: Provider
    model: str


class Vigil:
    """Watches the client of one call while providers are asked for it.

    Who leaves is asked nobody else for. A provider at work is stopped only where that saves what it would bill; any
    other is read to its end, and its answer charged as what the client set going.
    """

    def __init__(self, left: Callable[[], Awaitable[None]] | None, *, may_stop: bool) -> None:
        """`may_stop` is false for work that is billed by what goes in, of which leaving saves nothing."""
        self._left = left
        self._may_stop = may_stop
        self._at_work: Stopped | None = None
        self.is_over = False
        """True once the client has gone."""
        self.stopped: Stopped | None = None

    def watched(self, ask: AskProvider[T]) -> AskProvider[T]:
        """The same, but nobody is asked for a client that has gone."""

        async def ask_unless_left(provider: Provider, model: str, timeout_s: float) -> T:
            if self.is_over:
                raise ClientLeft
            self._at_work = Stopped(provider, model)
            try:
                return await ask(provider, model, timeout_s)
            finally:
                self._at_work = None

        return ask_unless_left

    async def keep(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work comes to. Raise ClientLeft when it was stopped, or would have had to ask somebody else."""
        if self._left is None:
            return await work
        working = asyncio.ensure_future(work)
        leaving = asyncio.ensure_future(self._left())
        try:
            await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                self.is_over = True
                if self._at_work is None or self._stops(self._at_work.provider):
                    self.stopped = self._at_work
                    raise ClientLeft
            return await working
        finally:
            leaving.cancel()
            if not working.done():
                working.cancel()
                await asyncio.wait((working,))

    def _stops(self, provider: Provider) -> bool:
        return self._may_stop and provider.disconnect_whole is not DisconnectPolicy.DRAIN
