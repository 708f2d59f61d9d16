"""Report money, credits and what is owed, for a month or a range of UTC days. Called by operators; reads only.

As JSON; or as CSV for whoever asks for it by `format` or by `Accept: text/csv`.
"""

from typing import Literal

from starlette.responses import Response

from shared.app import App
from shared.base.body import Body
from shared.reconciliation.days import range_of
from shared.reconciliation.finance import FinanceReport, csv_of
from shared.reconciliation.formats import preferred_format
from shared.reconciliation.shapes import DayText, MonthText
from shared.web.auth import Caller
from shared.web.function import http_function


class FinanceReportRequest(Body, frozen=True, kw_only=True):
    """A month, or a first and a last day, both included; and how it is to be written."""

    month: MonthText | None = None
    first_day: DayText | None = None
    last_day: DayText | None = None
    format: Literal["json", "csv"] | None = None
    """What the header `accept` prefers, unless it is given."""


@http_function(
    auth="service",
    scope="finance:read",
    method="GET",
    body=FinanceReportRequest,
    answer=FinanceReport,
    media_types=("application/json", "text/csv"),
)
async def finance_report(body: FinanceReportRequest, caller: Caller, app: App) -> FinanceReport | Response:
    """Raise RangeWrong or ReportTooLong (400), PaymentsUnavailable or LedgerUnavailable (503)."""
    first, last = range_of(body.month, body.first_day, body.last_day)
    report = await app.finance.report(first, last)
    if (body.format or preferred_format(caller.accepts)) == "json":
        return report
    headers = {
        "content-disposition": f'attachment; filename="credence-{first}-{last}.csv"',
        "cache-control": "no-store",
    }
    return Response(csv_of(report), media_type="text/csv", headers=headers)
