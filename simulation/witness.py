"""Stands beside the servers: judges whatever took effect on them before anything else happens."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from shared.base.ids import AccountId
from shared.ledger.marks import Alarm, Mark
from shared.ledger.models import Entry
from shared.ledger.store import HeadWrite
from shared.ledger.verify import verify_ledger
from simulation import books
from simulation.audit_books import AuditBooks
from simulation.books import Books
from simulation.judge import Judge, Violation
from simulation.log_books import LogBooks
from simulation.network import Note
from simulation.request import Attempt
from simulation.servers import Servers


class _Inside(Struct):
    """What a commit does, as the trace names it."""

    attempts: Sequence[Attempt | None]

    def __str__(self) -> str:
        return "; ".join(f"#{one.number} {one.request}" if one else "a timer's" for one in self.attempts)


class Witness:
    """Everything that is checked in one seed."""

    def __init__(
        self, servers: Servers, accounts: Iterable[AccountId], note: Note, fail: Callable[[Violation], None]
    ) -> None:
        self.judge = Judge(accounts)
        self.books = Books(servers.ledger.heads, servers.ledger.entries)
        self.books.settled.horizons = servers.windows.settled_until
        log = servers.log
        self.log_books = LogBooks(
            self.books, lambda: log.state_fields, log.tile_bytes, log.heads, log.stated, servers.vault.notes
        )
        self.audit_books = AuditBooks(self.books, servers.marks.stamps)
        self._servers = servers
        self._judging = _Judging(fail)
        self._note = note

    def committed(
        self, who: str, attempts: Sequence[Attempt | None], heads: Sequence[HeadWrite], entries: Sequence[Entry]
    ) -> None:
        """A commit took effect. Those of timers have no attempt."""
        ledger = self._servers.ledger
        accounts = [write.head.account_id for write in heads]
        refs = [(entry.account_id, entry.entry_id) for entry in entries]
        self._note("commit {} by {}: {}", self.judge.position + 1, who, _Inside(attempts))
        with self._judging:
            if not all(ref in ledger.entries for ref in refs):
                raise Violation("a commit was confirmed and its entries are not there")
            late = [attempt.request.account_id for attempt in attempts if attempt and attempt.request.late]
            books.see_commit(self.books, books.Commit(accounts, refs, late))
            self.judge.see_commit(
                [attempt for attempt in attempts if attempt],
                {account_id: ledger.heads[account_id] for account_id in accounts},
                {ref: ledger.entries[ref] for ref in refs},
                ledger.entries,
            )
            self.judge.check_durable(ledger.entries)

    def settled(self, band: int, until: datetime) -> None:
        """A band's horizon moved."""
        self._note("band {} is settled until {:%H:%M}", band, until)
        with self._judging:
            books.see_horizon(self.books, band, until)

    def appended(self) -> None:
        """The log grew."""
        with self._judging:
            self.log_books.see_append()
        self._note("the log has {} leaves, {} signed", len(self.log_books.leaves), self.log_books.last_size)

    def published(self, size: int) -> None:
        """A note was put into the vault."""
        self._note("the vault has the note of size {}", size)
        with self._judging:
            self.log_books.see_published(size)

    def marked(self, account_id: AccountId, mark: Mark) -> None:
        """The audit noted how far it came with an account."""
        self._note("{} is audited up to {}", account_id, mark.seq)
        with self._judging:
            self.audit_books.see_mark(account_id, mark)

    def accused(self, alarm: Alarm) -> None:
        """The audit found fault with an account."""
        with self._judging:
            self.audit_books.see_alarm(alarm)

    def answered(self, attempt: Attempt, answer: Any) -> None:
        """A process said something."""
        with self._judging:
            self.judge.see_answer(attempt, answer, self._servers.ledger.entries)

    async def ended(self, *, timed: bool) -> None:
        """Nothing happens any more. Raise Violation; where timers ran, all is settled, signed and published too."""
        books.see_end(self.books)
        self.judge.check_durable(self._servers.ledger.entries)
        if timed:
            pending = [key for key in self.books.settled.owed if key not in self.books.settled.settled]
            if pending:
                raise Violation(f"although the faults have stopped, nobody settled {pending}")
            self.log_books.see_end()
            self.audit_books.see_end()
            if raised := [name for name, alarm in self._servers.log.alarms.items() if alarm["raised"]]:
                raise Violation(f"although the faults have stopped, alarms stay: {raised}")
        report = await verify_ledger(self._servers.archive, self._servers.windows.settled_until)
        if not report.intact:
            raise Violation(f"the ledger does not verify: drift {report.drift_micros}, {report.broken}")


class _Judging:
    """Whatever is found in here ends the run. A server's step itself goes on as if nobody had looked."""

    def __init__(self, fail: Callable[[Violation], None]) -> None:
        self._fail = fail

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, Violation):
            return False
        self._fail(error)
        return True
