"""Where prices are kept: the protocol every store keeps, and Firestore's.

Paths: `price_state/demand` is what the next refresh goes on from, sales figures among it, so nobody else reads it, and
its `overrides/{id}` are the orders of operators, who gave them and why;
`prices/current` the multipliers of all models, and `prices/model:{id, percent-encoded}/days/{date}` the hours of one
model's day, both for everybody who is signed in.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NewType, Protocol
from urllib.parse import quote

from google.api_core import exceptions as google_errors
from google.cloud import firestore
from msgspec import Struct, to_builtins

from shared.base.body import Misshapen, shape
from shared.pricing.errors import PricesUnavailable
from shared.pricing.models import Advanced, DemandState, Hour, Multiplier, Multipliers, OverrideRecord
from shared.pricing.rules import DAY_S, HOUR_S, bounded, multipliers_of

READ_TIMEOUT_S = 5.0
COMMIT_TIMEOUT_S = 5.0

DemandVersion = NewType("DemandVersion", object)
"""Opaque: names one state of the demand. A commit that expects an older one fails."""


class DemandLost(Exception):
    """The commit was rejected, or its outcome is unknown. Either way only a reread tells what stands."""


class KnownDemand(Struct, frozen=True):
    """The demand as it was read, its version, and the server's time of reading. Without a version it is the first."""

    state: DemandState
    version: DemandVersion | None
    read_at_s: int


class PriceStore(Protocol):
    """What pricing asks of a store. Reads raise PricesUnavailable when there is no answer in time."""

    async def demand(self) -> KnownDemand:
        """What the next refresh goes on from."""

    async def commit(
        self, advanced: Advanced, expected: DemandVersion | None, record: OverrideRecord | None = None
    ) -> DemandVersion:
        """Write all or nothing: the state over its expected version, the multipliers, the hours that ended; and the
        record of an operator's order, of which there is one for each id.

        Returned means durable. Raise DemandLost when anything else happened, a lost answer included; never retries.
        """

    async def override(self, record_id: str) -> OverrideRecord | None:
        """The order of an operator's that was given under this id."""

    async def multipliers(self) -> Multipliers:
        """The multipliers of all models, in one read."""

    async def hours(self, model_id: str, days: Sequence[int]) -> list[Hour]:
        """What was recorded of one model on the days that begin then, one read for each, in no promised order."""


class FirestorePrices:
    """Prices in Firestore. One `commit` is one Commit call: no transaction is begun and no lock is held."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def demand(self) -> KnownDemand:
        try:
            snapshot = await self._state().get(retry=None, timeout=READ_TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise PricesUnavailable from error
        read_at_s = int(snapshot.read_time.timestamp())
        if not snapshot.exists:
            return KnownDemand(DemandState(), None, read_at_s)
        return KnownDemand(shape(DemandState, snapshot.to_dict() or {}), DemandVersion(snapshot.update_time), read_at_s)

    async def commit(
        self, advanced: Advanced, expected: DemandVersion | None, record: OverrideRecord | None = None
    ) -> DemandVersion:
        # The precondition makes refreshes follow each other: of two that counted the same window one is written. It
        # holds because each moves `until_s`: a write that changes nothing gives a document no new version.
        batch = self._client.batch()
        state = to_builtins(advanced.state)
        if expected is None:
            batch.create(self._state(), state)
        else:
            batch.update(self._state(), state, option=self._client.write_option(last_update_time=expected))
        batch.set(self._client.document("prices/current"), to_builtins(multipliers_of(advanced.state)))
        for model_id, hour in advanced.ended.items():
            batch.set(self._day(model_id, hour.start_s), {"model": model_id, "hours": _hour_fields(hour)}, merge=True)
        if record is not None:
            batch.create(self._record(record.record_id), {**to_builtins(record), "at": firestore.SERVER_TIMESTAMP})
        try:
            results = await batch.commit(retry=None, timeout=COMMIT_TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise DemandLost from error
        return DemandVersion(results[0].update_time)

    async def override(self, record_id: str) -> OverrideRecord | None:
        try:
            snapshot = await self._record(record_id).get(retry=None, timeout=READ_TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise PricesUnavailable from error
        fields = snapshot.to_dict() or {}
        return shape(OverrideRecord, {k: v for k, v in fields.items() if k != "at"}) if snapshot.exists else None

    async def multipliers(self) -> Multipliers:
        try:
            snapshot = await self._client.document("prices/current").get(retry=None, timeout=READ_TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise PricesUnavailable from error
        return multipliers_from(snapshot.to_dict() or {})

    async def hours(self, model_id: str, days: Sequence[int]) -> list[Hour]:
        references = [self._day(model_id, day_s) for day_s in days]
        found: list[Hour] = []
        try:
            async for snapshot in self._client.get_all(references, retry=None, timeout=READ_TIMEOUT_S):
                if snapshot.exists:
                    found += _hours_from(snapshot.id, snapshot.to_dict() or {})
        except google_errors.GoogleAPICallError as error:
            raise PricesUnavailable from error
        return found

    def _state(self) -> firestore.AsyncDocumentReference:
        return self._client.document("price_state/demand")

    def _record(self, record_id: str) -> firestore.AsyncDocumentReference:
        return self._client.document(f"price_state/demand/overrides/{record_id}")

    def _day(self, model_id: str, at_s: int) -> firestore.AsyncDocumentReference:
        date = datetime.fromtimestamp(at_s, UTC).date().isoformat()
        return self._client.document(f"prices/model:{quote(model_id, safe='')}/days/{date}")


def multipliers_from(fields: Mapping[str, Any]) -> Multipliers:
    """The stored multipliers. Whatever the document says, none is outside of the bounds; nonsense is left out."""
    models: dict[str, Multiplier] = {}
    stored = fields.get("models")
    for model_id, value in stored.items() if isinstance(stored, dict) else ():
        try:
            multiplier = shape(Multiplier, value if isinstance(value, dict) else {})
        except Misshapen:
            continue
        set_until_s = max(multiplier.set_until_s, 0)
        otherwise_ppm = bounded(multiplier.otherwise_ppm) if set_until_s else 0
        models[model_id] = Multiplier(bounded(multiplier.demand_ppm), multiplier.since_s, set_until_s, otherwise_ppm)
    until_s = fields.get("until_s")
    return Multipliers(until_s if type(until_s) is int else 0, models)


def _hour_fields(hour: Hour) -> dict[str, dict[str, int]]:
    """The hour under its number. Writing it again changes nothing, and the day's other hours stay."""
    number = hour.start_s % DAY_S // HOUR_S
    fields = {"low_ppm": hour.low_ppm, "high_ppm": hour.high_ppm, "sum_ppm": hour.sum_ppm, "count": hour.count}
    return {f"{number:02}": fields}


def _hours_from(date: str, fields: Mapping[str, Any]) -> list[Hour]:
    day_s = int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp())
    return [shape(Hour, {"start_s": day_s + int(number) * HOUR_S, **hour}) for number, hour in fields["hours"].items()]
