"""Signals kept in dictionaries: the promises of the store."""

import itertools
from collections.abc import Mapping, Sequence

from shared.base.ids import UserId
from shared.risk.errors import RiskUnavailable
from shared.risk.models import PROVED, DecisionRecord, Signal, SignalKind, Subject, Trace
from shared.risk.store import KeptRecord, KeptTrace, OrderSignals, RiskChanged, Version


class MemoryRisk:
    """All that Firestore keeps."""

    def __init__(self) -> None:
        self.kept: dict[Signal, KeptTrace] = {}
        self.orders: dict[str, OrderSignals] = {}
        self.records: dict[Subject, KeptRecord] = {}
        self.holders: dict[Signal, UserId] = {}
        self.is_down = False
        self._versions = itertools.count(1)

    async def traces(self, signals: Sequence[Signal]) -> list[KeptTrace]:
        self._require_up()
        return [self.kept.get(signal, KeptTrace(Trace(signal))) for signal in signals]

    async def commit(self, traces: Sequence[KeptTrace], order: OrderSignals | None = None) -> None:
        self._require_up()
        for kept in traces:
            now = self.kept.get(kept.trace.signal)
            if (now.version if now else None) != kept.version:
                raise RiskChanged
        for kept in traces:
            self.kept[kept.trace.signal] = KeptTrace(kept.trace, Version(next(self._versions)))
        if order is not None:
            self.orders[order.order_id] = order

    async def signals_of(self, order_id: str) -> tuple[Signal, ...]:
        self._require_up()
        return self.orders[order_id].signals if order_id in self.orders else ()

    async def record(self, subject: Subject) -> KeptRecord:
        self._require_up()
        return self.records.get(subject, KeptRecord(None))

    async def write_record(self, subject: Subject, kept: KeptRecord, record: DecisionRecord) -> None:
        if (await self.record(subject)).version != kept.version:
            raise RiskChanged
        self.records[subject] = KeptRecord(record, Version(next(self._versions)))

    async def claim(self, signals: Sequence[Signal], user_id: UserId) -> Mapping[SignalKind, UserId]:
        self._require_up()
        missing = [signal for signal in signals if signal not in self.holders]
        is_anothers = any(self.holders.get(signal, user_id) != user_id for signal in signals)
        is_proof_missing = len(missing) == len(signals) or any(signal.kind in PROVED for signal in missing)
        if not is_anothers and is_proof_missing:
            self.holders.update(dict.fromkeys(signals, user_id))
        return {signal.kind: self.holders[signal] for signal in signals if signal in self.holders}

    def _require_up(self) -> None:
        if self.is_down:
            raise RiskUnavailable
