"""Where a provider's books are kept as we saw them, and how far each run over a day has come.

`statement_lines/{rail}:{line}` is one line, `settlement_days/{rail}:{currency}:{day}` what a day's lines add up to,
`settlement_runs/{...}` a run's progress, which is written in the commit whose work it tells of. `ledger_days/{day}` is
what moved on the house's accounts. Clients read none.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from google.api_core import exceptions as google_errors
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from msgspec import to_builtins

from shared.payments.errors import PaymentsUnavailable
from shared.payments.models import PaymentId, RailName
from shared.reconciliation.models import Booked, DayBook, HouseDay, Line, Progress
from shared.reconciliation.statements import PAGE_LINES_MAX
from shared.reconciliation.transfers import kept_under

TIMEOUT_S = 10.0
IN_MAX = 30
"""Values that Firestore takes in one `in`."""
DAY_BOOKS_MAX = 5_000
"""Of one report: a year of three rails with four currencies each. A report of more is refused rather than cut."""


class Books(Protocol):
    """What settlement and reconciliation ask of a store. All raise PaymentsUnavailable."""

    async def progress(self, run_id: str) -> Progress | None:
        """How far a run has come."""

    async def put_progress(self, run_id: str, progress: Progress) -> None:
        """Durable once returned."""

    async def book(self, rail: RailName, day: str, lines: Sequence[Line], run_id: str, progress: Progress) -> None:
        """Keep lines, over what was kept of them before, and the progress, in one commit."""

    async def close_day(self, books: Sequence[DayBook], run_id: str, progress: Progress) -> None:
        """Keep what a day adds up to, and the progress, in one commit."""

    async def booked(self, rail: RailName, line_ids: Iterable[str]) -> Mapping[str, Booked]:
        """Those of the lines that are kept."""

    async def booked_on(self, rail: RailName, day: str, after: str | None) -> Sequence[Booked]:
        """A page of a day's lines in order of their ids; one that is not full is the last."""

    async def booked_for(self, rail: RailName, payment_ids: Sequence[PaymentId]) -> Sequence[Booked]:
        """All lines about these payments."""

    async def mark_paid_out(self, rail: RailName, payout_id: str, line_ids: Sequence[str]) -> None:
        """Remember which payout took the lines to the bank. They must be kept."""

    async def day_books(self, first: str, last: str) -> Sequence[DayBook]:
        """All days of a range, both included, at most DAY_BOOKS_MAX + 1."""


class FirestoreBooks:
    """The same in Firestore."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def progress(self, run_id: str) -> Progress | None:
        try:
            found = await self._run(run_id).get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error
        return msgspec.convert(found.to_dict(), Progress) if found.exists else None

    async def put_progress(self, run_id: str, progress: Progress) -> None:
        batch = self._client.batch()
        batch.set(self._run(run_id), to_builtins(progress))
        await _commit(batch)

    async def book(self, rail: RailName, day: str, lines: Sequence[Line], run_id: str, progress: Progress) -> None:
        batch = self._client.batch()
        for line in lines:
            # Merged, so that booking a day again leaves in place which payout took the line.
            batch.set(self._line(rail, line.line_id), line_document(rail, day, line), merge=True)
        batch.set(self._run(run_id), to_builtins(progress))
        await _commit(batch)

    async def close_day(self, books: Sequence[DayBook], run_id: str, progress: Progress) -> None:
        batch = self._client.batch()
        for book in books:
            name = f"{book.rail.value}:{book.currency}:{book.day}"
            batch.set(self._client.collection("settlement_days").document(name), day_document(book))
        batch.set(self._run(run_id), to_builtins(progress))
        await _commit(batch)

    async def booked(self, rail: RailName, line_ids: Iterable[str]) -> Mapping[str, Booked]:
        references = [self._line(rail, line_id) for line_id in line_ids]
        if not references:
            return {}
        found = {}
        try:
            async for snapshot in self._client.get_all(references, retry=None, timeout=TIMEOUT_S):
                if snapshot.exists:
                    kept = booked_from(snapshot.to_dict() or {})
                    found[kept.line.line_id] = kept
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error
        return found

    async def booked_on(self, rail: RailName, day: str, after: str | None) -> Sequence[Booked]:
        lines = self._client.collection("statement_lines")
        query = lines.where(filter=FieldFilter("rail_day", "==", f"{rail.value}:{day}")).order_by("__name__")
        if after is not None:
            query = query.start_after({"__name__": _line_name(rail, after)})
        return [booked_from(found) for found in await _read(query.limit(PAGE_LINES_MAX))]

    async def booked_for(self, rail: RailName, payment_ids: Sequence[PaymentId]) -> Sequence[Booked]:
        found: list[Booked] = []
        for at in range(0, len(payment_ids), IN_MAX):
            names = [f"{rail.value}:{payment_id}" for payment_id in payment_ids[at : at + IN_MAX]]
            lines = self._client.collection("statement_lines")
            query = lines.where(filter=FieldFilter("payment", "in", names))
            found += [booked_from(fields) for fields in await _read(query)]
        return found

    async def mark_paid_out(self, rail: RailName, payout_id: str, line_ids: Sequence[str]) -> None:
        batch = self._client.batch()
        for line_id in line_ids:
            batch.update(self._line(rail, line_id), {"payout": payout_id})
        if line_ids:
            await _commit(batch)

    async def day_books(self, first: str, last: str) -> Sequence[DayBook]:
        days = self._client.collection("settlement_days")
        query = days.where(filter=FieldFilter("day", ">=", first)).where(filter=FieldFilter("day", "<=", last))
        return [day_from(found) for found in await _read(query.order_by("day").limit(DAY_BOOKS_MAX + 1))]

    def _line(self, rail: RailName, line_id: str) -> firestore.AsyncDocumentReference:
        return self._client.collection("statement_lines").document(_line_name(rail, line_id))

    def _run(self, run_id: str) -> firestore.AsyncDocumentReference:
        return self._client.collection("settlement_runs").document(run_id)


class FirestoreHouseBooks:
    """Days of the house in Firestore."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def find(self, day: str) -> HouseDay | None:
        try:
            found = await self._day(day).get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error
        return msgspec.convert(found.to_dict(), HouseDay) if found.exists else None

    async def put(self, day: HouseDay) -> None:
        try:
            await self._day(day.day).set(to_builtins(day), retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error

    async def between(self, first: str, last: str) -> list[HouseDay]:
        days_kept: Any = self._client.collection("ledger_days")
        query = days_kept.where(filter=FieldFilter("day", ">=", first)).where(filter=FieldFilter("day", "<=", last))
        try:
            stream = query.order_by("day").stream(retry=None, timeout=TIMEOUT_S)
            return [msgspec.convert(found.to_dict(), HouseDay) async for found in stream]
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error

    def _day(self, day: str) -> firestore.AsyncDocumentReference:
        return self._client.collection("ledger_days").document(day)


def line_document(rail: RailName, day: str, line: Line) -> dict[str, Any]:
    """A line as it is kept, without the payout, which is known later."""
    name = line.payment_id or (kept_under(line.earner_payout) if line.earner_payout else None)
    payment = f"{rail.value}:{name}" if name else None
    return {"rail_day": f"{rail.value}:{day}", "payment": payment, "line": to_builtins(line)}


def booked_from(fields: Mapping[str, Any]) -> Booked:
    """The line of a document."""
    return Booked(msgspec.convert(fields["line"], Line), fields.get("payout"))


def day_document(book: DayBook) -> dict[str, Any]:
    """A day as it is kept, with what follows from its sums beside them for whoever reads the document."""
    fields: dict[str, Any] = to_builtins(book)
    return {**fields, "balance_change_minor": book.sums.balance_change_minor}


def day_from(fields: Mapping[str, Any]) -> DayBook:
    """The day of a document."""
    return msgspec.convert({name: fields[name] for name in DayBook.__struct_fields__}, DayBook)


def _line_name(rail: RailName, line_id: str) -> str:
    return f"{rail.value}:{line_id}"


async def _read(query: Any) -> list[dict[str, Any]]:
    try:
        return [snapshot.to_dict() or {} async for snapshot in query.stream(retry=None, timeout=TIMEOUT_S)]
    except google_errors.GoogleAPICallError as error:
        raise PaymentsUnavailable from error


async def _commit(batch: firestore.AsyncWriteBatch) -> None:
    try:
        await batch.commit(retry=None, timeout=TIMEOUT_S)
    except google_errors.GoogleAPICallError as error:
        raise PaymentsUnavailable from error
