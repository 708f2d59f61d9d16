"""Events whose task was given up, called by the timer `payment_sweep`: posted again, in the end put before a person.

A kept event has `look_due_ms` until its object was looked at. Looking once more is always harmless, so an event whose
task is merely slow loses nothing by it.
"""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from shared.base.clock import Clock
from shared.base.log import write_line
from shared.payments.models import PAYMENT_APPLY, Event, PaymentApply, Review
from shared.payments.store import EVENT_LOOK_MS, PaymentStore
from shared.tasks.service import Tasks

EVENTS_MAX = 200
"""Of one run. The next one finds what is left, oldest first."""
SWEEPS_MAX = 4
"""Times that an event is posted again, so a day in all; then a person looks."""
NEVER_APPLIED = "event_never_applied"


class WaitingEvent(Struct, frozen=True, kw_only=True):
    """A kept event whose object was not looked at in time."""

    name: str
    """Of its document."""
    event: Event
    received_at_ms: int
    sweeps: int


class SweepDone(Struct, frozen=True):
    """What a run did."""

    posted: int = 0
    given_up: int = 0
    finished: bool = True


class WaitingEvents(Protocol):
    """Where events wait. All raise PaymentsUnavailable."""

    async def due(self, *, at_ms: int) -> Sequence[WaitingEvent]:
        """At most EVENTS_MAX events that ought to have been looked at by now, those that wait longest first."""

    async def swept(self, name: str, *, sweeps: int, due_ms: int | None) -> None:
        """Remember how often it was posted again, and when it is due next; never, once a person has it."""


class Sweep:
    """Goes through waiting events. Raise PaymentsUnavailable or TasksUnavailable; a repeat goes on."""

    def __init__(self, waiting: WaitingEvents, store: PaymentStore, tasks: Tasks, clock: Clock) -> None:
        self._waiting = waiting
        self._store = store
        self._tasks = tasks
        self._clock = clock

    async def run(self) -> SweepDone:
        """Post again what waits, or put it before a person."""
        now_ms = self._clock()
        due = await self._waiting.due(at_ms=now_ms)
        given_up = 0
        for one in due:
            if one.sweeps >= SWEEPS_MAX:
                await self._store.keep_review(_review_of(one), at_ms=now_ms)
                # If we die here, the next run keeps the same review.
                await self._waiting.swept(one.name, sweeps=one.sweeps, due_ms=None)
                write_line("WARNING", "payment_review", reason=NEVER_APPLIED, rail=one.event.rail.value, order=None)
                given_up += 1
                continue
            apply = PaymentApply(event=one.event, received_at_ms=one.received_at_ms)
            # If we die after it, the next run posts the task of the same name.
            await self._tasks.post(PAYMENT_APPLY, apply, name_key=f"{one.name}:sweep-{one.sweeps}")
            await self._waiting.swept(one.name, sweeps=one.sweeps + 1, due_ms=now_ms + EVENT_LOOK_MS)
        return SweepDone(len(due) - given_up, given_up, len(due) < EVENTS_MAX)


def _review_of(one: WaitingEvent) -> Review:
    subject = one.event.subject
    return Review(
        rail=one.event.rail,
        reason=NEVER_APPLIED,
        subject=subject.object_id if subject else one.event.event_id,
        order_id=None,
        expected=subject.kind if subject else "",
        found=one.event.event_id,
    )
