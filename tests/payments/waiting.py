"""What waits, over the store of payments in memory."""

from collections.abc import Sequence

from shared.payments.errors import ReviewResolved
from shared.payments.models import Event
from shared.payments.reviews import PAGE_REVIEWS_MAX, Decision, KeptReview
from shared.payments.sweep import EVENTS_MAX, WaitingEvent
from tests.ledger.builders import NOW
from tests.payments.memory import MemoryPayments


class MemoryReviews:
    """Reviews, and what was decided of them."""

    def __init__(self, store: MemoryPayments) -> None:
        self._store = store
        self.decisions = store.decisions

    async def open(self, after: str | None) -> Sequence[KeptReview]:
        names = sorted(name for name in self._store.reviews if name > (after or "") and name not in self.decisions)
        return [self._kept(name) for name in names[:PAGE_REVIEWS_MAX]]

    async def find(self, review_id: str) -> KeptReview | None:
        return self._kept(review_id) if review_id in self._store.reviews else None

    async def decide(self, review_id: str, decision: Decision) -> None:
        if review_id not in self._store.reviews or self.decisions.setdefault(review_id, decision) != decision:
            raise ReviewResolved

    def _kept(self, review_id: str) -> KeptReview:
        return KeptReview(
            review_id=review_id,
            review=self._store.reviews[review_id],
            found_at_ms=NOW,
            decision=self.decisions.get(review_id),
        )


class MemoryWaitingEvents:
    """Kept events that nobody has looked at."""

    def __init__(self, store: MemoryPayments) -> None:
        self._store = store
        self._sweeps: dict[str, int] = {}

    async def due(self, *, at_ms: int) -> Sequence[WaitingEvent]:
        found = []
        for (rail, event_id), due_ms in sorted(self._store.waiting.items(), key=lambda one: one[1]):
            kept = self._store.events[rail, event_id]
            event = Event(rail=rail, event_id=event_id, kind="x", subject=kept.subject, body_sha256="")
            name = f"{rail.value}:{event_id}"
            if due_ms <= at_ms:
                sweeps = self._sweeps.get(name, 0)
                found.append(WaitingEvent(name=name, event=event, received_at_ms=NOW, sweeps=sweeps))
        return found[:EVENTS_MAX]

    async def swept(self, name: str, *, sweeps: int, due_ms: int | None) -> None:
        self._sweeps[name] = sweeps
        for key in [key for key in self._store.waiting if f"{key[0].value}:{key[1]}" == name]:
            if due_ms is None:
                del self._store.waiting[key]
            else:
                self._store.waiting[key] = due_ms
