"""Has what we missed looked at: an event that never came is made up for by a look, which is harmless if it did."""

from collections.abc import Iterable, Mapping

from shared.base.clock import Clock
from shared.payments.models import PAYMENT_APPLY, Event, PaymentApply, RailName
from shared.reconciliation.days import day_of
from shared.reconciliation.models import Compared, TicketKind
from shared.reconciliation.statements import Statements
from shared.tasks.service import Tasks

EVENT_KIND = "reconciliation"
HEALED = (TicketKind.MISSING_HERE, TicketKind.PAID_TWICE)
"""What a look may mend, or put before a person."""


class Healing:
    """Posts looks at what lines are about. Raise TasksUnavailable; a repeat of the same day posts the same task."""

    def __init__(self, statements: Mapping[RailName, Statements], tasks: Tasks, clock: Clock) -> None:
        self._statements = statements
        self._tasks = tasks
        self._clock = clock

    async def heal(self, rail: RailName, found: Iterable[Compared]) -> None:
        """Have every line looked at of which something is missing here."""
        now_ms = self._clock()
        for compared in found:
            subject = self._statements[rail].subject_of(compared.line)
            if subject is None or all(one.kind not in HEALED for one in compared.differences):
                continue
            event_id = f"{EVENT_KIND}-{compared.line.line_id}-{day_of(now_ms)}"
            event = Event(rail=rail, event_id=event_id, kind=EVENT_KIND, subject=subject, body_sha256="")
            apply = PaymentApply(event=event, received_at_ms=now_ms)
            await self._tasks.post(PAYMENT_APPLY, apply, name_key=f"{rail.value}:{event_id}")
