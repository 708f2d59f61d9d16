"""Where signals are kept, under keyed hashes.

`risk_traces/{kind}:{name}` is what a signal left behind, deleted once nothing of it counts. `risk_orders/{order}` is
which signals an order came with. `decisions/{subject}` is read by whom it is about. `welcome_claims/{kind}:{name}` is
created once, for the one user who has the signal's bonus.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NewType, Protocol

from google.api_core import exceptions as google_errors
from google.cloud import firestore
from msgspec import Struct, to_builtins

from shared.base.body import shape
from shared.base.economy import DAY_MS
from shared.base.ids import UserId
from shared.risk.errors import RiskUnavailable
from shared.risk.limits import KEPT_MS
from shared.risk.models import PROVED, DecisionRecord, Signal, SignalKind, SignalName, Subject, Trace

TIMEOUT_S = 5.0
ORDER_SIGNALS_KEPT_MS = 2 * DAY_MS
"""An order is open for an hour, and the last that is heard of its declined cards comes soon after."""
CLAIM_TRIES_MAX = 5
"""Of one claim against others of the same moment: each time at least one signal more is somebody's for good."""

Version = NewType("Version", object)
"""Opaque: names one state of one document."""


class RiskChanged(Exception):
    """Nothing was written: something is no longer what was read."""


class KeptTrace(Struct, frozen=True):
    """A trace as it was read; without a version there is none yet."""

    trace: Trace
    version: Version | None = None


class KeptRecord(Struct, frozen=True):
    """The same of a record of decisions; `record` is None where there is none yet."""

    record: DecisionRecord | None
    version: Version | None = None


class OrderSignals(Struct, frozen=True):
    """Which signals an order came with."""

    order_id: str
    signals: tuple[Signal, ...]
    at_ms: int


class RiskStore(Protocol):
    """What the package asks of a store. All raise RiskUnavailable; then a write may or may not have been made."""

    async def traces(self, signals: Sequence[Signal]) -> list[KeptTrace]:
        """One for each signal, as they stand now."""

    async def commit(self, traces: Sequence[KeptTrace], order: OrderSignals | None = None) -> None:
        """All or nothing, over exactly what was read; durable once returned. Raise RiskChanged."""

    async def signals_of(self, order_id: str) -> tuple[Signal, ...]:
        """Which signals an order came with; none once they are forgotten."""

    async def record(self, subject: Subject) -> KeptRecord:
        """What was decided of the subject so far."""

    async def write_record(self, subject: Subject, kept: KeptRecord, record: DecisionRecord) -> None:
        """Over exactly what was read; durable once returned. Raise RiskChanged."""

    async def claim(self, signals: Sequence[Signal], user_id: UserId) -> Mapping[SignalKind, UserId]:
        """Claim all of the signals for a user, for ever, unless one is somebody else's: then none.

        Answers who holds those that are held now. Durable once answered.
        """


class FirestoreRisk:
    """The same in Firestore."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def traces(self, signals: Sequence[Signal]) -> list[KeptTrace]:
        found = await self._read([self._trace(signal) for signal in signals])
        return [_trace_from(signal, snapshot) for signal, snapshot in zip(signals, found, strict=True)]

    async def commit(self, traces: Sequence[KeptTrace], order: OrderSignals | None = None) -> None:
        batch = self._client.batch()
        for kept in traces:
            self._put(batch, self._trace(kept.trace.signal), _trace_document(kept.trace), kept.version)
        if order is not None:
            delete_at = _time(order.at_ms + ORDER_SIGNALS_KEPT_MS)
            batch.set(self._order(order.order_id), {"signals": to_builtins(order.signals), "delete_at": delete_at})
        await self._commit(batch)

    async def signals_of(self, order_id: str) -> tuple[Signal, ...]:
        (found,) = await self._read([self._order(order_id)])
        if not found.exists:
            return ()
        return tuple(Signal(SignalKind(one["kind"]), SignalName(one["name"])) for one in found.get("signals"))

    async def record(self, subject: Subject) -> KeptRecord:
        (found,) = await self._read([self._decisions(subject)])
        if not found.exists:
            return KeptRecord(None)
        return KeptRecord(shape(DecisionRecord, found.to_dict() or {}), Version(found.update_time))

    async def write_record(self, subject: Subject, kept: KeptRecord, record: DecisionRecord) -> None:
        batch = self._client.batch()
        self._put(batch, self._decisions(subject), to_builtins(record), kept.version)
        await self._commit(batch)

    async def claim(self, signals: Sequence[Signal], user_id: UserId) -> Mapping[SignalKind, UserId]:
        if not signals:
            return {}
        missing: Sequence[Signal] = signals
        held: dict[SignalKind, UserId] = {}
        for _ in range(CLAIM_TRIES_MAX):
            batch = self._client.batch()
            for signal in missing:
                batch.create(self._claim(signal), {"user": user_id, "at": firestore.SERVER_TIMESTAMP})
            try:
                await self._commit(batch)
            except RiskChanged:
                pass
            else:
                return held | {signal.kind: user_id for signal in missing}
            found = await self._read([self._claim(signal) for signal in signals])
            held = {
                signal.kind: UserId(str(snapshot.get("user")))
                for signal, snapshot in zip(signals, found, strict=True)
                if snapshot.exists
            }
            missing = [signal for signal in signals if signal.kind not in held]
            # Devices and cards are only claimed with what was proved: else one user could claim any number of them.
            is_proof_missing = any(signal.kind in PROVED for signal in missing)
            if not is_proof_missing or any(holder != user_id for holder in held.values()):
                return held
        raise RiskUnavailable

    async def _read(self, refs: Sequence[firestore.AsyncDocumentReference]) -> list[Any]:
        """In the order asked for."""
        try:
            found = {snapshot.reference.path: snapshot async for snapshot in self._all(refs)}
        except google_errors.GoogleAPICallError as error:
            raise RiskUnavailable from error
        return [found[ref.path] for ref in refs]

    def _all(self, refs: Sequence[firestore.AsyncDocumentReference]) -> Any:
        return self._client.get_all(list(refs), retry=None, timeout=TIMEOUT_S)

    async def _commit(self, batch: firestore.AsyncWriteBatch) -> None:
        try:
            await batch.commit(retry=None, timeout=TIMEOUT_S)
        except (google_errors.Conflict, google_errors.FailedPrecondition, google_errors.NotFound):
            # Aborted is a Conflict too: another writer was in the way, and nothing was written.
            raise RiskChanged from None
        except google_errors.GoogleAPICallError as error:
            raise RiskUnavailable from error

    def _put(
        self,
        batch: firestore.AsyncWriteBatch,
        ref: firestore.AsyncDocumentReference,
        document: dict[str, Any],
        version: Version | None,
    ) -> None:
        if version is None:
            batch.create(ref, document)
        else:
            batch.update(ref, document, option=self._client.write_option(last_update_time=version))

    def _trace(self, signal: Signal) -> firestore.AsyncDocumentReference:
        return self._client.collection("risk_traces").document(f"{signal.kind.value}:{signal.name}")

    def _claim(self, signal: Signal) -> firestore.AsyncDocumentReference:
        return self._client.collection("welcome_claims").document(f"{signal.kind.value}:{signal.name}")

    def _order(self, order_id: str) -> firestore.AsyncDocumentReference:
        return self._client.collection("risk_orders").document(order_id)

    def _decisions(self, subject: Subject) -> firestore.AsyncDocumentReference:
        return self._client.collection("decisions").document(subject)


def _time(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms // 1_000, UTC)


def _trace_from(signal: Signal, snapshot: Any) -> KeptTrace:
    if not snapshot.exists:
        return KeptTrace(Trace(signal))
    return KeptTrace(
        shape(Trace, {"signal": to_builtins(signal), "marks": snapshot.get("marks")}), Version(snapshot.update_time)
    )


def _trace_document(trace: Trace) -> dict[str, Any]:
    delete_at_ms = max((mark.at_ms + KEPT_MS[mark.sort] for mark in trace.marks), default=0)
    return {"marks": to_builtins(trace.marks), "delete_at": _time(delete_at_ms)}
