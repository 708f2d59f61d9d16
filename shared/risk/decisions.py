"""What was decided of a purchase, a person or an account, by whom and why. A record is only ever added to."""

import asyncio
import random

from shared.base.ids import UserId
from shared.base.log import write_line
from shared.risk import rules
from shared.risk.errors import RiskBusy
from shared.risk.models import Decision, DecisionRecord, Subject
from shared.risk.store import RiskChanged, RiskStore

TRIES_MAX = 20
"""Of one change against others of the same documents at the same moment."""
PAUSE_S_MAX = 0.1
"""Between two tries, at random, so that those who collided do not do so again."""


class Decisions:
    """Records of decisions. Their subject's owner may read them."""

    def __init__(self, store: RiskStore) -> None:
        self._store = store

    async def of(self, subject: Subject) -> tuple[Decision, ...]:
        """What was decided so far, oldest first. Raise RiskUnavailable."""
        kept = await self._store.record(subject)
        return kept.record.decisions if kept.record else ()

    async def add(self, subject: Subject, owner: UserId, decision: Decision) -> DecisionRecord:
        """The record with the decision on it, once by its id. Raise RiskBusy or RiskUnavailable."""
        for _ in range(TRIES_MAX):
            kept = await self._store.record(subject)
            before = kept.record or DecisionRecord(owner=owner)
            after = rules.added(before, decision)
            if after == before:
                return after
            try:
                await self._store.write_record(subject, kept, after)
            except RiskChanged:
                await pause()
            else:
                told = {"rule": decision.rule, "outcome": decision.outcome, "by": decision.by}
                write_line("INFO", "decision", subject=subject, **told)
                return after
        raise RiskBusy


async def pause() -> None:
    """Let whoever was in the way finish."""
    await asyncio.sleep(random.uniform(0, PAUSE_S_MAX))  # noqa: S311 - spreads tries; nobody gains by guessing it
