"""Complaints about calls that contributed keys served, and what operators decide of them.

Whoever paid for a call may complain of it once. The key is tried at its provider again, and trusted less; that is one
commit with the complaint, so a repeat after a death changes nothing more.
"""

from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.economy import DAY_MS
from shared.base.ids import AccountId, EntryId, UserId
from shared.base.log import write_line
from shared.base.periods import Period, period_start_ms
from shared.ledger.service import Ledger
from shared.resources import health, rules
from shared.resources.complaint_store import ComplaintStore, Past
from shared.resources.errors import (
    ComplaintAbsent,
    ComplaintJudged,
    ComplaintLate,
    ComplaintMade,
    ContributionAbsent,
    ContributionBusy,
    NotContributed,
    TooManyComplaints,
)
from shared.resources.models import Complaint, ComplaintId, Defect, HealthEvent, Judgement, KeyId, KeyStatus
from shared.resources.queue import post_validation
from shared.resources.returns import CHANGES_MAX
from shared.resources.store import KeptKey, KeyChanged, KeyStore
from shared.tasks.service import Tasks

DAYS_MAX = 7
"""How long after a call somebody may complain of it. Later nobody can tell any more what its key was like then."""
COMPLAINTS_DAY_MAX = 5
"""Of one person in a day. Whoever has more to complain of should call other models."""


class Complaints:
    """Takes complaints and decisions. Every verb may be repeated."""

    def __init__(self, store: ComplaintStore, keys: KeyStore, ledger: Ledger, tasks: Tasks, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self._ledger = ledger
        self._tasks = tasks
        self._clock = clock

    async def complain(self, account_id: AccountId, by: UserId, receipt_id: EntryId, defect: Defect) -> Complaint:
        """Keep what somebody says of a call that the account paid for, and have the key tried.

        Raise EntryAbsent, NotContributed, ComplaintLate, ComplaintMade, TooManyComplaints, ContributionAbsent,
        ContributionBusy, TasksUnavailable or ContributionsUnavailable.
        """
        entry = await self._ledger.entry(account_id, receipt_id)
        key_id, now_ms = rules.key_served(entry), self._clock()
        if key_id is None:
            raise NotContributed
        if entry.at_ms < now_ms - DAYS_MAX * DAY_MS:
            raise ComplaintLate(DAYS_MAX)
        asked = Complaint(
            id=rules.complaint_id_of(account_id, receipt_id),
            key_id=key_id,
            receipt_id=receipt_id,
            account_id=account_id,
            by=by,
            defect=defect,
            counts=False,
            at_ms=now_ms,
        )
        for _ in range(CHANGES_MAX):
            kept = await self._found(key_id)
            if (made := await self._store.find(asked.id)) is not None:
                if made.complaint.defect is not defect:
                    raise ComplaintMade
                # An earlier try may have died before it posted this; the same task is one.
                await self._have_tried(kept)
                return made.complaint
            past = await self._store.past(key_id, by, period_start_ms(Period.DAY, now_ms))
            if past.complaints >= COMPLAINTS_DAY_MAX:
                raise TooManyComplaints(COMPLAINTS_DAY_MAX)
            try:
                return await self._keep(kept, asked, past)
            except KeyChanged:
                continue
        raise ContributionBusy

    async def open(self, after: ComplaintId | None) -> list[Complaint]:
        """A page of complaints that nobody has decided of, in the order of their ids, beginning behind `after`."""
        return await self._store.open(after=after)

    async def judge(self, complaint_id: ComplaintId, *, upheld: bool, reason: str, by: str) -> Complaint:
        """Decide of a complaint for good: one that is dismissed lowers no trust any more, one that is upheld does.

        Raise ComplaintAbsent, ComplaintJudged, ContributionAbsent, ContributionBusy or ContributionsUnavailable.
        """
        for _ in range(CHANGES_MAX):
            found = await self._store.find(complaint_id)
            if found is None:
                raise ComplaintAbsent
            complaint = found.complaint
            if (judgement := complaint.judgement) is not None:
                if judgement.upheld is not upheld:
                    raise ComplaintJudged
                return complaint
            judgement = Judgement(upheld=upheld, reason=reason, by=by, at_ms=self._clock())
            kept = await self._found(complaint.key_id)
            after = health.judged(kept.key, complaint, upheld=upheld, at_ms=judgement.at_ms)
            judged = replace(complaint, judgement=judgement, counts=upheld)
            event = HealthEvent(what="judged", why="upheld" if upheld else "dismissed", at_ms=judgement.at_ms)
            try:
                await self._store.judge(found, judged, kept, after, event)
            except KeyChanged:
                continue
            write_line("INFO", "complaint_judged", complaint=complaint_id, upheld=upheld, by=by)
            return judged
        raise ContributionBusy

    async def _keep(self, kept: KeptKey, asked: Complaint, past: Past) -> Complaint:
        """Raise KeyChanged when the key, or what this person has said so far, is not as it was read."""
        complaint = replace(asked, counts=health.takes_more_complaints(kept.key) and not past.of_key)
        after = health.complained_of(kept.key, asked.at_ms, counts=complaint.counts)
        event = HealthEvent(what="disputed", why=asked.defect.value, at_ms=asked.at_ms)
        await self._store.create(kept, after, complaint, past, event)
        write_line("INFO", "call_complained_of", key_id=asked.key_id, complaint=asked.id, why=asked.defect.value)
        # If we die before this, the timer has the key tried.
        await self._have_tried(await self._found(asked.key_id))
        return complaint

    async def _have_tried(self, kept: KeptKey) -> None:
        if kept.key.status is KeyStatus.COOLING:
            await post_validation(self._tasks, kept.key, at_ms=kept.key.cool_until_ms)

    async def _found(self, key_id: KeyId) -> KeptKey:
        kept = await self._keys.find(key_id)
        if kept is None:
            raise ContributionAbsent
        return kept
