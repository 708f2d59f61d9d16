"""A client that leaves while a whole answer is awaited: whom that stops, and what is owed then."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
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

    Once the client has left, nobody else is asked. A provider at work is stopped only where that saves what it would
    bill; any other is read to its end, and its answer charged as what the client set going.
    """

    def __init__(self, left: Callable[[], Awaitable[None]] | None, *, may_stop: bool) -> None:
        """`may_stop` is false for work that is billed by what goes in, of which leaving saves nothing."""
        self._left = left
        self._may_stop = may_stop
        self._at_work: Stopped | None = None
        self.is_over = False
        """True once the client has gone."""
        self.stopped: Stopped | None = None
        self._cancelled = False

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
        """What the work comes to. Raise ClientLeft when it was stopped, or would have had to ask somebody else.

        The work runs in the caller's own task, as under `asyncio.timeout`, for most clients stay and a task costs.
        """
        working = asyncio.current_task()
        if self._left is None or working is None:
            return await work
        cancelling = working.cancelling()
        leaving = asyncio.ensure_future(self._left())
        over = partial(self._client_left, working)
        leaving.add_done_callback(over)
        try:
            return await work
        except asyncio.CancelledError:
            # Whoever else cancelled the task, as a server does that shuts down, is still heard.
            if self._cancelled and working.cancelling() <= cancelling + 1:
                raise ClientLeft from None
            raise
        finally:
            leaving.remove_done_callback(over)
            leaving.cancel()
            if self._cancelled:
                working.uncancel()

    def _client_left(self, working: "asyncio.Task[Any]", leaving: "asyncio.Future[None]") -> None:
        if leaving.cancelled() or leaving.exception() is not None:
            return
        self.is_over = True
        if self._at_work is None or self._stops(self._at_work.provider):
            self.stopped = self._at_work
            self._cancelled = True
            working.cancel()

    def _stops(self, provider: Provider) -> bool:
        return self._may_stop and provider.disconnect_whole is not DisconnectPolicy.DRAIN
