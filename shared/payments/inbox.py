"""Where providers' events arrive: proved, made a task of, and answered at once. The queue keeps them."""

from collections.abc import Mapping

from shared.base.clock import Clock
from shared.base.log import write_line
from shared.payments.models import PAYMENT_APPLY, PaymentApply
from shared.payments.rails import EventReader
from shared.tasks.service import Tasks


class Inbox:
    """Receives the events of one rail."""

    def __init__(self, reader: EventReader, tasks: Tasks, clock: Clock) -> None:
        self._reader = reader
        self._tasks = tasks
        self._clock = clock

    async def receive(self, raw: bytes, headers: Mapping[str, str]) -> None:
        """Have an event applied. Of what is nothing to us only the log tells.

        Raise EventRefused; RailUnavailable or TasksUnavailable, and the provider sends it again.
        """
        now_ms = self._clock()
        await self._reader.prepare(headers, now_ms=now_ms)
        event = self._reader.read(raw, headers, now_ms=now_ms)
        if event.subject is not None:
            apply = PaymentApply(event=event, received_at_ms=now_ms)
            await self._tasks.post(PAYMENT_APPLY, apply, name_key=f"{event.rail.value}:{event.event_id}")
        write_line("INFO", "payment_event", event=event.event_id, kind=event.kind, ours=event.subject is not None)
