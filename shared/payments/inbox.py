"""Where providers' events arrive: proved, kept once, and left to a task. The provider is answered at once."""

from collections.abc import Mapping

from shared.base.clock import Clock
from shared.base.log import write_line
from shared.payments.models import PAYMENT_APPLY, PaymentApply
from shared.payments.rails import EventReader
from shared.payments.store import PaymentStore
from shared.tasks.service import Tasks


class Inbox:
    """Receives the events of one rail."""

    def __init__(self, reader: EventReader, store: PaymentStore, tasks: Tasks, clock: Clock) -> None:
        self._reader = reader
        self._store = store
        self._tasks = tasks
        self._clock = clock

    async def receive(self, raw: bytes, headers: Mapping[str, str]) -> None:
        """Keep an event and have it applied. A repeat is kept once and posted again, for the first may have died here.

        Raise EventRefused; RailUnavailable, PaymentsUnavailable or TasksUnavailable, and the provider sends it again.
        """
        now_ms = self._clock()
        await self._reader.prepare(headers, now_ms=now_ms)
        event = self._reader.read(raw, headers, now_ms=now_ms)
        is_new = await self._store.keep_event(event, at_ms=now_ms)
        # If we die here, the provider was not answered and sends it again.
        if event.subject is not None:
            apply = PaymentApply(rail=event.rail, event_id=event.event_id)
            await self._tasks.post(PAYMENT_APPLY, apply, name_key=f"{event.rail.value}:{event.event_id}")
        write_line("INFO", "payment_event", event=event.event_id, kind=event.kind, new=is_new)
