"""What every store of signals promises of traces and decisions, Firestore's and the one in memory alike."""

from collections.abc import AsyncIterator

import pytest

from local.stack import Stack
from shared.base.ids import UserId
from shared.risk.models import (
    Decision,
    DecisionRecord,
    Mark,
    MarkSort,
    Signal,
    SignalKind,
    SignalName,
    Subject,
    Trace,
)
from shared.risk.store import FirestoreRisk, KeptRecord, KeptTrace, OrderSignals, RiskChanged, RiskStore
from tests.database import firestore_at
from tests.ledger.builders import NOW
from tests.risk.memory import MemoryRisk

ADA, BEN = UserId("ada"), UserId("ben")
EMAIL, PHONE, DEVICE = (
    Signal(kind, SignalName(f"name-of-{kind.value}"))
    for kind in (SignalKind.EMAIL, SignalKind.PHONE, SignalKind.DEVICE)
)
MARK = Mark(MarkSort.ORDER, "order", NOW)


class RiskContract:
    """Subclassed once per store; `store` is empty at first."""

    async def test_traces_are_written_over_what_was_read_or_not_at_all(self, store: RiskStore) -> None:
        first = await store.traces([EMAIL, PHONE])
        changed = [KeptTrace(Trace(kept.trace.signal, (MARK,)), kept.version) for kept in first]
        await store.commit(changed, OrderSignals("order", (EMAIL, PHONE), NOW))

        with pytest.raises(RiskChanged):
            await store.commit([changed[0]])

        kept = await store.traces([PHONE, DEVICE, EMAIL])
        assert [one.trace.marks for one in kept] == [(MARK,), (), (MARK,)]
        assert await store.signals_of("order") == (EMAIL, PHONE)
        assert await store.signals_of("another") == ()
        with pytest.raises(RiskChanged):
            await store.commit([kept[1], KeptTrace(kept[0].trace)])
        assert (await store.traces([DEVICE]))[0].version is None

    async def test_decisions_are_written_over_what_was_read_or_not_at_all(self, store: RiskStore) -> None:
        subject = Subject("order:a")
        decision = Decision(decision_id="1", rule="card_shared", outcome="set aside", by="rule", at_ms=NOW)
        record = DecisionRecord(owner=ADA, decisions=(decision,))
        await store.write_record(subject, KeptRecord(None), record)

        with pytest.raises(RiskChanged):
            await store.write_record(subject, KeptRecord(None), record)

        assert (await store.record(subject)).record == record
        assert (await store.record(Subject("order:b"))).record is None


class TestMemoryRisk(RiskContract):
    """The fake."""

    @pytest.fixture
    def store(self) -> RiskStore:
        return MemoryRisk()


class TestFirestoreRisk(RiskContract):
    """The real one, on the emulator."""

    @pytest.fixture
    async def store(self, stack: Stack, project_id: str) -> AsyncIterator[RiskStore]:
        async with firestore_at(stack.firestore_address, project_id) as client:
            yield FirestoreRisk(client)
