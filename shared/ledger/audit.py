"""The audit, called by the timer `ledger_audit`: walk what was posted since the last time, raise alarms for what fails.

Each account is continued from a mark, so a run costs what was posted since the last one. What a run cannot see: any
edit of an account that has not posted since; an entry before the mark edited without touching what came after; a
document that is in no walk because its `seq` is no number. `run_full` sees all of them. A mark is a note, not a proof:
whoever can forge entries can forge a mark, so a walk from the first entry overrules it. In one respect a mark sees
more than a walk: a chain cut back to before it, and rewritten neatly, no longer holds the mark's entry.

Safe to run twice at once and to kill anywhere: every note says what was true when it was written, a mark or cursor
that falls back only costs a second look, and a cursor passes an account only after its mark or alarm was written.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum

from msgspec import Struct, field
from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.ids import AccountId
from shared.base.log import write_line
from shared.base.together import all_of, both
from shared.ledger.archive import Changes, LedgerArchive, Stamp
from shared.ledger.documents import BANDS, Document, lanes_of
from shared.ledger.errors import ChainBroken
from shared.ledger.marks import START, Alarm, AuditMarks, Mark, mark_of, resume
from shared.ledger.models import Head
from shared.ledger.store import VISIBLE_WITHIN_S
from shared.ledger.verify import ACCOUNTS_AT_ONCE, check_count, head_of, in_groups, walk_entries

CURSOR_MARGIN = timedelta(seconds=VISIBLE_WITHIN_S)
"""How far behind the server's time a cursor stays. `posted_at` is the time at which a commit was received, and the
commit becomes visible later; a cursor that ran ahead would pass an account whose
older commit shows up behind it, until that account is posted to again. The cursor alone waits: what lies in the margin
is audited at once and looked at again, because an account that is posted to all the time is never older than that."""
ALARMS_MAX = 200
"""Open alarms looked at again in one run. With more of them than that, nobody waits for the audit to say so."""


class AuditLimits(Struct, frozen=True):
    """What bounds one run: about a minute's work, well within a timer function's time."""

    accounts_max: int = 2_000
    entries_max: int = 50_000
    account_entries_max: int = 3_000
    """Of one account, so that a busy one does not starve the rest; the next run goes on from its mark. As many as are
    walked side by side (ACCOUNTS_AT_ONCE) each set this much of `entries_max` aside while they are walked."""
    page_accounts_max: int = 200
    """Accounts of one query."""


class End(Enum):
    """How looking at one account ended."""

    WHOLE = "whole"
    PART = "part"
    BROKEN = "broken"


class AuditReport(Struct, frozen=True):
    """What a run did. `finished`: nothing known was left for the next run."""

    accounts: int
    entries: int
    broken: tuple[Alarm, ...]
    finished: bool


class _Run(Struct):
    """What is counted while a run goes on, and the alarms that are open."""

    accounts_left: int
    entries_left: int
    accounts: int = 0
    entries: int = 0
    finished: bool = True
    alarms: dict[AccountId, Alarm] = field(default_factory=dict)

    def report(self) -> AuditReport:
        return AuditReport(self.accounts, self.entries, tuple(self.alarms.values()), self.finished)


class Audit:
    """Walks what changed, and remembers how far."""

    def __init__(
        self, archive: LedgerArchive, marks: AuditMarks, clock: Clock, limits: AuditLimits | None = None
    ) -> None:
        self._archive = archive
        self._marks = marks
        self._clock = clock
        self._limits = limits or AuditLimits()

    async def run(self) -> AuditReport:
        """Look again at what is broken, then walk what was posted since the last run, within the bounds above.

        Raise StoreUnavailable when the store does not answer; what was done until then is remembered.
        """
        run = _Run(self._limits.accounts_max, self._limits.entries_max)
        alarms, cursors = await both(self._marks.open_alarms(ALARMS_MAX), self._marks.cursors(BANDS))
        await self._recheck(run, alarms)
        at_ms = self._clock()
        # What is said to have been read before it can have been posted was not read: that note is not ours.
        cursors = {band: stamp for band, stamp in cursors.items() if not stamp.lies_ahead(at_ms)}
        # Another band goes first each minute, so that no band always meets a run that is used up.
        first = at_ms // 60_000 % BANDS
        bands = (*range(first, BANDS), *range(first))
        # Most runs are quiet; asking for all bands together makes those short.
        pages = await all_of(self._changed_after(band, cursors.get(band)) for band in bands)
        for band, changes in zip(bands, pages, strict=True):
            await self._audit_band(run, band, cursors.get(band), changes)
        return run.report()

    async def run_full(self) -> AuditReport:
        """Walk every account from its first entry, whatever its mark says. Unbounded: for a job, not for a timer."""
        run = _Run(self._limits.accounts_max, self._limits.entries_max)
        await self._recheck(run, await self._marks.open_alarms(ALARMS_MAX))
        async for group in in_groups(self._archive.account_ids(), ACCOUNTS_AT_ONCE):
            await all_of(self._audit_whole(run, account_id) for account_id in group)
        return run.report()

    async def _recheck(self, run: _Run, alarms: Sequence[Alarm]) -> None:
        """Go on from where each broken account was last whole. Only an account that verifies again loses its alarm."""
        run.alarms = {alarm.account_id: alarm for alarm in alarms}
        run.finished = len(alarms) < ALARMS_MAX
        for alarm in alarms:
            head, count = await self._archive.head_and_count(alarm.account_id)
            end, reached = await self._look(run, alarm.account_id, alarm.good, head, count)
            if end is End.WHOLE:
                await self._marks.put_mark(alarm.account_id, reached)
                await self._marks.clear_alarm(alarm.account_id)
                del run.alarms[alarm.account_id]
            elif end is End.PART:
                await self._marks.put_alarm(replace(alarm, good=reached))

    async def _changed_after(self, band: int, after: Stamp | None) -> Changes:
        return await self._archive.changed_after(lanes_of(band), after, self._limits.page_accounts_max)

    async def _audit_band(self, run: _Run, band: int, before: Stamp | None, changes: Changes) -> None:
        """Audit the accounts of a band that changed after its cursor, then move the cursor over those that are done."""
        cursor = before
        advancing = True
        while True:
            stamps = changes.stamps[: run.accounts_left]
            for at in range(0, len(stamps), ACCOUNTS_AT_ONCE):
                group = stamps[at : at + ACCOUNTS_AT_ONCE]
                account_ids = [stamp.account_id for stamp in group]
                # The marks are read before the heads: none is then ahead of an honest head, whoever else is auditing.
                marks = await self._marks.marks_of(account_ids)
                heads = await self._archive.head_documents(account_ids)
                ends = await all_of(
                    self._audit_changed(run, name, marks.get(name, START), heads.get(name)) for name in account_ids
                )
                for stamp, end in zip(group, ends, strict=True):
                    advancing = advancing and end is not End.PART and may_pass(stamp, changes.read_at)
                    cursor = stamp if advancing else cursor
            if len(stamps) < len(changes.stamps):
                run.finished = False
                break
            if len(stamps) < self._limits.page_accounts_max:
                break
            changes = await self._changed_after(band, stamps[-1])
        if cursor is not None and cursor != before:
            # If we die before this, the next run looks at the same accounts and finds their marks at their heads.
            await self._marks.put_cursor(band, cursor)

    async def _audit_changed(self, run: _Run, account_id: AccountId, mark: Mark, head: Document | None) -> End:
        """Go on from the mark. An account with an open alarm was just looked at, and its alarm remembers it."""
        run.accounts_left -= 1
        if account_id in run.alarms:
            return End.BROKEN
        end, reached = await self._look(run, account_id, mark, head, None)
        if end is not End.BROKEN and reached != mark:
            await self._marks.put_mark(account_id, reached)
        return end

    async def _audit_whole(self, run: _Run, account_id: AccountId) -> None:
        """Check what follows the mark and then what leads to it."""
        if account_id in run.alarms:
            return
        mark = await self._marks.mark(account_id)
        head, count = await self._archive.head_and_count(account_id)
        end, reached = await self._look(run, account_id, mark, head, count, bounded=False)
        if end is End.WHOLE and mark != START:
            end = await self._look_before(run, account_id, mark)
        if end is End.WHOLE:
            await self._marks.put_mark(account_id, reached)

    async def _look(
        self,
        run: _Run,
        account_id: AccountId,
        start: Mark,
        document: Document | None,
        count: int | None,
        *,
        bounded: bool = True,
    ) -> tuple[End, Mark]:
        """Walk an account from `start` to its head, and say how that ended and how far it came.

        `document` is the head as it was just read, `count` the number of its entry documents where that is checked.
        """
        walk = resume(account_id, start)
        # Reserved before and given back after, so that accounts walked side by side share one bound.
        reserved = min(self._limits.account_entries_max, run.entries_left) if bounded else 0
        run.entries_left -= reserved
        run.accounts += 1
        try:
            if document is None:
                check_never_opened(account_id, start, count)
                return End.WHOLE, start
            head = head_of(account_id, document)
            check_reaches(head, start)
            await walk_entries(self._archive, walk, head.seq, entries_max=reserved if bounded else None)
            if walk.seq < head.seq:
                run.finished = False
                return End.PART, mark_of(walk)
            walk.finish(head)
            if count is not None:
                check_count(head, count)
        except ChainBroken as error:
            await self._raise_alarm(run, error, mark_of(walk))
            return End.BROKEN, mark_of(walk)
        finally:
            run.entries += walk.seq - start.seq
            run.entries_left += max(0, reserved - (walk.seq - start.seq))
        return End.WHOLE, mark_of(walk)

    async def _look_before(self, run: _Run, account_id: AccountId, mark: Mark) -> End:
        """Walk from the first entry to a mark whose own entry was just seen to stand."""
        walk = resume(account_id, START)
        try:
            await walk_entries(self._archive, walk, mark.seq)
            run.entries += walk.seq
            if mark_of(walk) != mark:
                reason = f"the audit's mark at entry {mark.seq} is not what the entries up to it fold to"
                raise ChainBroken(reason, account_id=account_id)
        except ChainBroken as error:
            good = START if walk.seq == mark.seq else mark_of(walk)
            await self._raise_alarm(run, error, good)
            return End.BROKEN
        return End.WHOLE

    async def _raise_alarm(self, run: _Run, error: ChainBroken, good: Mark) -> None:
        account_id = AccountId(error.account_id)
        if known := run.alarms.get(account_id):
            # It was walked from there just now; a later point would vouch for what was not walked before.
            good = known.good
        alarm = Alarm(account_id, error.reason, error.seq, error.entry_id, good)
        run.alarms[account_id] = alarm
        write_line(
            "CRITICAL", "ledger_broken", account=account_id, seq=error.seq, entry=error.entry_id, reason=error.reason
        )
        await self._marks.put_alarm(alarm)


def may_pass(stamp: Stamp, read_at: datetime | None) -> bool:
    """Whether nothing that has yet to become visible can lie before `stamp`."""
    return read_at is not None and stamp.posted_at <= read_at - CURSOR_MARGIN


def check_never_opened(account_id: AccountId, start: Mark, count: int | None) -> None:
    """Raise ChainBroken when an account without a head shows that it had one."""
    if start.seq or count:
        raise ChainBroken("its head is gone", account_id=account_id)


def check_reaches(head: Head, start: Mark) -> None:
    """Raise ChainBroken when the head lies before what was audited."""
    if head.seq < start.seq:
        reason = f"it was cut back: the audit had reached entry {start.seq}, the head is at {head.seq}"
        raise ChainBroken(reason, account_id=head.account_id)
