"""Renewing the multipliers from what the ledger says was sold. Called by the timer `price_refresh`."""

from datetime import UTC, datetime

from msgspec import Struct

from shared.base.log import write_line
from shared.base.together import all_of
from shared.ledger.documents import BANDS
from shared.ledger.store import VISIBLE_WITHIN_S, StoreUnavailable
from shared.ledger.windows import LedgerWindows
from shared.pricing import rules
from shared.pricing.errors import PricesUnavailable
from shared.pricing.models import Sale
from shared.pricing.store import DemandLost, PriceStore


class RefreshReport(Struct, frozen=True):
    """What a run did. `finished` is false when another run went on from the same place at the same time."""

    windows: int = 0
    sales: int = 0
    models: int = 0
    finished: bool = True


class PriceRefresh:
    """Renews the multipliers."""

    def __init__(self, store: PriceStore, windows: LedgerWindows) -> None:
        self._store = store
        self._windows = windows

    async def run(self) -> RefreshReport:
        """Count the windows that have closed since the last run. Raise PricesUnavailable.

        Each window is committed by itself over the state it was counted from, so it counts once, wherever a run dies
        and however many run at once.
        """
        known = await self._store.demand()
        state, version = known.state, known.version
        report = RefreshReport(models=len(state.models))
        # A window is closed when no commit can appear in it any more, as for settlement.
        for begin_s in rules.windows_due(state.until_s, known.read_at_s - VISIBLE_WITHIN_S):
            sales = await self._sales(begin_s)
            advanced = rules.advance(state, begin_s + rules.WINDOW_S, rules.loads_of(sales))
            try:
                version = await self._store.commit(advanced, version)
            except DemandLost:
                write_line("WARNING", "price_refresh_lost", start_s=begin_s)
                return RefreshReport(report.windows, report.sales, report.models, finished=False)
            state = advanced.state
            report = RefreshReport(report.windows + 1, report.sales + len(sales), len(state.models))
        return report

    async def _sales(self, begin_s: int) -> list[Sale]:
        try:
            bands = await all_of(self._sales_of(band, begin_s) for band in range(BANDS))
        except StoreUnavailable:
            # The next run counts the window, as if prices had not been there to be read.
            raise PricesUnavailable from None
        return [sale for sales in bands for sale in sales]

    async def _sales_of(self, band: int, begin_s: int) -> list[Sale]:
        since = datetime.fromtimestamp(begin_s, UTC)
        before = datetime.fromtimestamp(begin_s + rules.WINDOW_S, UTC)
        found = [rules.sale_of(document) async for _, document in self._windows.entries_between(band, since, before)]
        return [sale for sale in found if sale is not None]
