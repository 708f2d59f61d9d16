"""What people decide of payouts: operators let a first one go, or have one tried again that was tried too often, or
refuse any; earners take back what was not sent yet.

A decision is written down before anything is done about it. Who sends at the same moment finds the payout changed.
"""

from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.ids import UserId
from shared.base.log import write_line
from shared.payouts import rules
from shared.payouts.errors import PayoutAbsent, PayoutRefused
from shared.payouts.models import PAYOUT_SEND, Payout, PayoutId, PayoutSend, PayoutState
from shared.payouts.ports import PayoutStore
from shared.tasks.service import Tasks


class Decisions:
    """Decides, and has a task carry it out. Raise PaymentsUnavailable, TasksUnavailable or PayoutBusy; then repeat."""

    def __init__(self, store: PayoutStore, tasks: Tasks, clock: Clock) -> None:
        self._store = store
        self._tasks = tasks
        self._clock = clock

    async def approve(self, payout_id: PayoutId, *, operator: str, reason: str) -> Payout:
        """Let a payout go on, with who said so and why on its record. Raise PayoutAbsent or PayoutRefused."""
        payout = await self._get(payout_id)
        if payout.is_recalled or payout.state in rules.OVER:
            raise PayoutRefused("refused_before")
        if rules.is_approval_awaited(payout):
            payout = await self._decided(payout, rules.approved(payout, operator=operator, reason=reason), "approved")
        await self._carry_out(payout)
        return payout

    async def refuse(self, payout_id: PayoutId, *, operator: str, reason: str) -> Payout:
        """Have the credits given back, and fetched back first what was sent and returned. Raise PayoutAbsent, or
        PayoutRefused while the money is on its way or where it belongs.
        """
        payout = await self._get(payout_id)
        if not payout.is_recalled and payout.state not in rules.OVER:
            if payout.state not in (PayoutState.HELD, PayoutState.FAILED):
                raise PayoutRefused("not_held")
            recalled = replace(payout, is_recalled=True, waits_for="recalled", reason=f"{operator}: {reason}")
            payout = await self._decided(payout, recalled, "refused")
        await self._carry_out(payout)
        return payout

    async def cancel(self, owner: UserId, payout_id: PayoutId) -> Payout:
        """Take back one's own payout of which nothing was sent. Raise PayoutAbsent, for another's as for none, or
        PayoutRefused.
        """
        payout = await self._get(payout_id)
        if payout.owner != owner:
            raise PayoutAbsent
        if not payout.is_recalled and payout.state is not PayoutState.REFUSED:
            if payout.state is not PayoutState.HELD or payout.attempt > 1:
                raise PayoutRefused("not_held")
            recalled = replace(payout, is_recalled=True, waits_for="recalled", reason="taken back")
            payout = await self._decided(payout, recalled, "taken back")
        await self._carry_out(payout)
        return payout

    async def _decided(self, before: Payout, after: Payout, what: str) -> Payout:
        await self._store.replace(before, after)
        write_line("WARNING", "payout_decided", payout=after.payout_id, decision=what, at_ms=self._clock())
        return after

    async def _carry_out(self, payout: Payout) -> None:
        # If we die before it, a repeat or the timer posts it.
        name_key = f"{payout.payout_id}:{'recalled' if payout.is_recalled else 'approved'}:{payout.attempt}"
        await self._tasks.post(PAYOUT_SEND, PayoutSend(payout_id=payout.payout_id), name_key=name_key)

    async def _get(self, payout_id: PayoutId) -> Payout:
        payout = await self._store.find(payout_id)
        if payout is None:
            raise PayoutAbsent
        return payout
