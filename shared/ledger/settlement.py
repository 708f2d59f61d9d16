"""Settlement, called by the timer `ledger_settle`: post to deferred accounts what closed windows owe them.

A window is closed once nothing can be committed into it any more. Its entries never change, so folding it again gives
the same postings under the same keys: a run that is killed anywhere, or runs twice at once, changes nothing about the
outcome. Only when all of a window's payees are posted to does the band's horizon move over it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from msgspec import Struct

from shared.base.clock import Clock
from shared.base.log import write_line
from shared.base.together import all_of
from shared.ledger.documents import BANDS
from shared.ledger.engine import Engine
from shared.ledger.errors import AccountAbsent, ChainBroken, KeyReused
from shared.ledger.models import Entry
from shared.ledger.operation import Posted
from shared.ledger.postings import OpenAccount
from shared.ledger.settling import (
    Fold,
    Folded,
    Settle,
    Window,
    unsettled_micros,
    window_of,
)
from shared.ledger.store import VISIBLE_WITHIN_S
from shared.ledger.verify import entry_of
from shared.ledger.windows import Horizons, LedgerWindows

MARGIN = timedelta(seconds=VISIBLE_WITHIN_S)
"""How long after its end a window counts as closed."""
PAYEES_AT_ONCE = 16
IDLE = timedelta(hours=1)
"""How far behind the horizon of a band may lie that has nothing to settle: whoever asks what is pending reads all sales
since the oldest horizon."""
WINDOWS_MAX = 50
"""Windows settled in one run of the timer; the next run goes on."""


class SettlementReport(Struct, frozen=True):
    """What a run did. `finished`: no closed window was left for the next one."""

    windows: int = 0
    entries: int = 0
    postings: int = 0
    micros: int = 0
    """What the postings moved, amounts taken back subtracted."""
    finished: bool = True


class WindowReader(Protocol):
    """Somebody who keeps accounts of their own from what settlement reads anyway, instead of reading it again."""

    def wants(self, entry: Entry) -> bool:
        """Whether it is an entry to be told of."""
        ...

    async def settled(self, window: Window, entries: Sequence[Entry]) -> None:
        """Take in all such entries of a window that is settled.

        Until this has returned the window is not over, so it is told again after a death anywhere, and maybe twice at
        once. What it raises ends the run, which the timer repeats.
        """
        ...


class Settlement:
    """Folds closed windows and posts them."""

    def __init__(
        self, engine: Engine, windows: LedgerWindows, clock: Clock, readers: Sequence[WindowReader] = ()
    ) -> None:
        self._engine = engine
        self._windows = windows
        self._clock = clock
        self._readers = readers

    async def run(self) -> SettlementReport:
        """Settle closed windows, oldest first in each band; what was done stays done.

        Raise StoreUnavailable; or, once all other bands are settled, the ChainBroken or KeyReused that stopped one.
        """
        horizons = await self._windows.horizons()
        report = SettlementReport()
        broken: ChainBroken | KeyReused | None = None
        for band in range(BANDS):
            left = WINDOWS_MAX - report.windows
            try:
                done = await self._settle_band(band, horizons, left)
            except (ChainBroken, KeyReused) as error:
                write_line("CRITICAL", "settlement_stopped", band=band, reason=str(error))
                broken = broken or error
            else:
                report = _added(report, done)
        if broken:
            raise broken
        return report

    async def _settle_band(self, band: int, horizons: Horizons, windows_max: int) -> SettlementReport:
        closed_at = horizons.read_at - MARGIN
        since = horizons.settled_until.get(band)
        report = SettlementReport()
        while window := await self._next_window(band, since, closed_at):
            if report.windows == windows_max:
                return _added(report, SettlementReport(finished=False))
            report = _added(report, await self._settle(window))
            # If we die before this, the next run folds the window again and finds every posting done.
            since = window.ends_at
            await self._windows.put_horizon(band, since)
        empty_until = window_of(band, closed_at).starts_at
        if since is None or since < empty_until - IDLE:
            await self._windows.put_horizon(band, empty_until)
        return report

    async def _next_window(self, band: int, since: datetime | None, closed_at: datetime) -> Window | None:
        """The oldest window of the band that has entries, if it is closed."""
        first = await self._windows.first_committed_at(band, since)
        if first is None:
            return None
        window = window_of(band, first)
        return window if window.has_ended_by(closed_at) else None

    async def _settle(self, window: Window) -> SettlementReport:
        fold = Fold()
        entries = 0
        told: list[list[Entry]] = [[] for _ in self._readers]
        async for ref, document in self._windows.entries_between(window.band, window.starts_at, window.ends_at):
            entry = entry_of(*ref, document)
            fold.add(entry)
            entries += 1
            for reader, wanted in zip(self._readers, told, strict=True):
                if reader.wants(entry):
                    wanted.append(entry)
        folded = fold.folded()
        for at in range(0, len(folded), PAYEES_AT_ONCE):
            await all_of(self._post(window, one) for one in folded[at : at + PAYEES_AT_ONCE])
        for reader, wanted in zip(self._readers, told, strict=True):
            if wanted:
                await reader.settled(window, wanted)
        micros = unsettled_micros(dict(one.amounts) for one in folded)
        write_line(
            "INFO", "window_settled", band=window.band, start_s=window.start_s, entries=entries, payees=len(folded)
        )
        return SettlementReport(1, entries, len(folded), micros)

    async def _post(self, window: Window, folded: Folded) -> Posted:
        settle = Settle(account_id=folded.payee, window=window, folded=folded, at_ms=self._clock())
        try:
            return await self._engine.run(settle)
        except AccountAbsent:
            # A payee's first settlement. If we die in between, the account is open and empty, as it would have been.
            await self._engine.run(OpenAccount(account_id=folded.payee, at_ms=self._clock()))
            return await self._engine.run(settle)
        except KeyReused:
            # The window was settled before with other content: an entry appeared in it, changed or vanished since.
            write_line("CRITICAL", "settlement_differs", band=window.band, start_s=window.start_s, account=folded.payee)
            raise


def _added(one: SettlementReport, other: SettlementReport) -> SettlementReport:
    return SettlementReport(
        one.windows + other.windows,
        one.entries + other.entries,
        one.postings + other.postings,
        one.micros + other.micros,
        one.finished and other.finished,
    )
