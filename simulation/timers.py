"""What a scheduler calls in production, run by every simulated process: settlement, checkpoints and the audit."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from shared.base.errors import CredenceError
from shared.ledger.audit import Audit, AuditLimits
from shared.ledger.settlement import Settlement
from shared.ledger.store import CommitFailed, StoreUnavailable
from shared.proof.checkpoint import CheckpointLimits, Checkpoints
from shared.proof.errors import CommitLost, SigningFailed, VaultUnavailable
from simulation.judge import UNKNOWN, Violation
from simulation.process import Process
from simulation.reach import (
    MINTED,
    ProcessArchive,
    ProcessLog,
    ProcessMarks,
    ProcessSigner,
    ProcessSums,
    ProcessVault,
    ProcessWindows,
)

SETTLE_INTERVAL_S = 100.0
CHECKPOINT_INTERVAL_S = 100.0
AUDIT_INTERVAL_S = 100.0
"""Of each process; of all of them together, about as often as in production."""
ON_THE_BEAT = 0.5
"""The share of pauses that end when those of the other processes do, so that runs overlap."""
LIMITS = CheckpointLimits(heads_max=8, page_accounts_max=2, commit_statements_max=2)
"""Bounds that a handful of accounts can meet. A band's changes are one page, as they are in production on most days."""
AUDIT_LIMITS = AuditLimits(accounts_max=6, entries_max=40, account_entries_max=8, page_accounts_max=2)
Job = Callable[[], Awaitable[object]]


class Timer(Struct, frozen=True):
    """A job that every process runs again and again.

    `build` makes the job once per process, over that process's reach, engine and clock.
    """

    name: str
    interval_s: float
    build: Callable[[Process], Job]


def settling(process: Process) -> Job:
    """The production settlement."""
    return Settlement(process.engine, ProcessWindows(process.reach), process.clock).run


def checkpointing(process: Process) -> Job:
    """The production checkpoint, and what each of its runs must come to."""
    reach = process.reach
    # Of an archive, checkpoints use what changed.
    archive: Any = ProcessArchive(reach)
    checkpoints = Checkpoints(
        ledger=process.store,
        archive=archive,
        log=ProcessLog(reach),
        sums=ProcessSums(reach),
        signer=ProcessSigner(reach),
        vault=ProcessVault(reach),
        clock=process.clock,
        limits=LIMITS,
    )

    async def run() -> None:
        minted: list[bool] = []
        MINTED.set(minted)
        report = await checkpoints.run()
        # More than one sums where a lost commit made it begin anew; then any of them may have been the last one used.
        if report.refused not in {"epoch_unbalanced" if one else None for one in minted}:
            raise Violation(f"a checkpoint ended with {report.refused} over sums that were minted: {minted}")

    return run


def auditing(process: Process) -> Job:
    """The production audit. Nothing was tampered with, so it has nothing to say."""
    # The audit of a timer asks for a part of what archives and notes offer.
    archive: Any = ProcessArchive(process.reach)
    marks: Any = ProcessMarks(process.reach)
    audit = Audit(archive, marks, process.clock, AUDIT_LIMITS)

    async def run() -> None:
        report = await audit.run()
        if report.broken:
            raise Violation(f"an audit ended with {report.broken}")

    return run


TIMERS: list[Timer] = [
    Timer("settle", SETTLE_INTERVAL_S, settling),
    Timer("checkpoint", CHECKPOINT_INTERVAL_S, checkpointing),
    Timer("audit", AUDIT_INTERVAL_S, auditing),
]
"""What they promise is in `books.py`, `log_books.py` and `audit_books.py`."""


async def run_timer(process: Process, timer: Timer, chance: random.Random, found: Callable[[Violation], None]) -> None:
    """Run a timer until the process dies. When a server gives no answer, it is tried again next time.

    Nothing else may come out of a job: who calls it in production would not know what to do about it either.
    """
    job = timer.build(process)
    while True:
        pause_s = timer.interval_s * chance.uniform(0.5, 1.5)
        if chance.random() < ON_THE_BEAT:
            pause_s = timer.interval_s - asyncio.get_running_loop().time() % timer.interval_s + chance.uniform(0, 0.1)
        await asyncio.sleep(pause_s)
        process.reach.note("runs {}", timer.name)
        process.timers_running += 1
        try:
            await job()
        except (CommitFailed, CommitLost, SigningFailed, StoreUnavailable, VaultUnavailable):
            continue
        except CredenceError as refusal:
            if refusal.code not in UNKNOWN:
                found(Violation(f"the timer {timer.name} was refused: {refusal.code}"))
        except Violation as violation:
            found(violation)
        except Exception as error:  # noqa: BLE001 - whatever else comes out is what we look for
            found(Violation(f"the timer {timer.name} ended in {error!r}"))
        finally:
            process.timers_running -= 1
