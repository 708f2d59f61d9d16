"""A complaint is about a call that one paid for, counts once, and is no way to drive somebody else's key out."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from local.stack import Stack
from shared.base.ids import AccountId, EntryId, HoldId, UserId
from shared.ledger.errors import EntryAbsent
from shared.resources import health
from shared.resources.complaint_store import ComplaintStore, FirestoreComplaints
from shared.resources.complaints import COMPLAINTS_DAY_MAX, DAYS_MAX, Complaints
from shared.resources.errors import (
    ComplaintAbsent,
    ComplaintJudged,
    ComplaintLate,
    ComplaintMade,
    NotContributed,
    TooManyComplaints,
)
from shared.resources.models import (
    KEY_FACT,
    Complaint,
    ComplaintId,
    ContributedKey,
    Defect,
    HealthEvent,
    Judgement,
    KeyId,
    KeyStatus,
)
from shared.resources.rules import shares_of
from shared.resources.store import FirestoreKeys, KeyChanged, KeyStore
from shared.tasks.service import Tasks
from tests.database import firestore_at
from tests.ledger.builders import BEN as BENS_WALLET
from tests.ledger.builders import DAY, NOW, grant, ledger_on, open_account
from tests.resources.builders import ADA, BEN, SECRET, MemoryKeys, Pool, key
from tests.resources.complainers import MemoryComplaints

CLARA, DAN, EVE = UserId("clara"), UserId("dan"), UserId("eve")


class Desk:
    """Keys that serve Ben's wallet, and where complaints about that are taken."""

    def __init__(self, folder: Path) -> None:
        self.pool = Pool(folder)
        self.ledger = ledger_on(self.pool.ledger.store, self.pool.clock)
        self.store = MemoryComplaints(self.pool.store)
        tasks = Tasks(self.pool.queues, "http://tasks.example/{function}", self.pool.clock)
        self.complaints = Complaints(self.store, self.pool.store, self.ledger, tasks, self.pool.clock)
        self._calls = 0

    async def begin(self) -> ContributedKey:
        """Ada's active key, whose provider was last asked some time ago."""
        await self.pool.engine.run(open_account(BENS_WALLET))
        await self.pool.engine.run(grant(10**6, "paid", to=BENS_WALLET))
        active = await self.pool.active()
        self.pool.queues.tasks.clear()
        self.pool.clock.now_ms += health.RETRY_MS
        return active

    async def served(self, by: ContributedKey | None) -> EntryId:
        """The receipt of one more call of Ben's."""
        self._calls += 1
        hold = HoldId(f"call {self._calls}")
        facts = {KEY_FACT: by.id} if by else {}
        await self.ledger.hold(BENS_WALLET, 100, hold_id=hold)
        shares = {"shares": shares_of(by)} if by else {}
        return (await self.ledger.capture(BENS_WALLET, hold, 100, facts=facts, **shares)).entry.entry_id

    async def complain(
        self, receipt_id: EntryId, *, by: UserId = BEN, account_id: AccountId = BENS_WALLET
    ) -> Complaint:
        return await self.complaints.complain(account_id, by, receipt_id, Defect.NONSENSE)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_a_complaint_halves_trust_and_has_the_key_tried_before_it_serves_again(desk: Desk) -> None:
    active = await desk.begin()

    await desk.complain(await desk.served(active))

    now = desk.pool.now(active)
    assert now.trust_ppm == health.trust_in(replace(now, disputes=0), desk.pool.clock.now_ms).ppm // 2
    assert (now.status, now.disputes, len(desk.pool.queues.tasks)) == (KeyStatus.COOLING, 1, 1)
    await desk.pool.validation.validate(active.id)
    assert desk.pool.now(active).status is KeyStatus.ACTIVE
    assert [event.why for _, event in desk.pool.store.events if event.what == "disputed"] == ["nonsense"]
    assert "ben" not in repr(desk.pool.store.events), "a key's owner is not told who complained"


async def test_a_repeat_changes_nothing_and_another_word_about_the_same_call_is_refused(desk: Desk) -> None:
    active = await desk.begin()
    receipt_id = await desk.served(active)

    assert await desk.complain(receipt_id) == await desk.complain(receipt_id)

    with pytest.raises(ComplaintMade):
        await desk.complaints.complain(BENS_WALLET, BEN, receipt_id, Defect.CUT_OFF)
    assert (desk.pool.now(active).disputes, len(desk.pool.queues.tasks)) == (1, 1)


async def test_only_whoever_paid_for_a_call_that_a_key_served_complains_of_it(desk: Desk) -> None:
    active = await desk.begin()
    receipt_id = await desk.served(active)

    with pytest.raises(EntryAbsent):
        await desk.complain(receipt_id, by=CLARA, account_id=AccountId("user:clara"))
    with pytest.raises(EntryAbsent):
        await desk.complain(EntryId("0" * 64))
    with pytest.raises(NotContributed):
        await desk.complain(await desk.served(None))
    assert desk.pool.now(active).disputes == 0


async def test_a_call_of_long_ago_is_not_complained_of(desk: Desk) -> None:
    active = await desk.begin()
    receipt_id = await desk.served(active)
    desk.pool.clock.now_ms += DAYS_MAX * DAY + 1

    with pytest.raises(ComplaintLate):
        await desk.complain(receipt_id)


async def test_one_person_counts_once_against_a_key_and_complains_so_often_in_a_day(desk: Desk) -> None:
    active = await desk.begin()
    receipts = [await desk.served(active) for _ in range(COMPLAINTS_DAY_MAX + 1)]

    for receipt_id in receipts[:-1]:
        await desk.complain(receipt_id)
    with pytest.raises(TooManyComplaints):
        await desk.complain(receipts[-1])
    assert desk.pool.now(active).disputes == 1
    desk.pool.clock.now_ms += DAY
    assert not (await desk.complain(receipts[-1])).counts


async def test_a_few_together_do_not_drive_a_key_out(desk: Desk) -> None:
    """No more complaints count than an operator has not looked at, and a key is not tried over and over."""
    active = await desk.begin()
    people = [BEN, CLARA, DAN, EVE]

    counted = []
    for person in people:
        counted.append((await desk.complain(await desk.served(active), by=person)).counts)
        await desk.pool.validation.validate(active.id)
    assert counted == [True, True, True, False]
    assert desk.pool.now(active).status is KeyStatus.ACTIVE
    assert desk.pool.now(active).disputes == health.DISPUTES_OPEN_MAX
    assert len(desk.pool.queues.tasks) == 1, "its provider was asked just now"


@pytest.mark.parametrize(("upheld", "disputes"), [(True, 2), (False, 0)])
async def test_an_operator_decides_for_good_what_counts(desk: Desk, upheld: bool, disputes: int) -> None:
    active = await desk.begin()
    made = [await desk.complain(await desk.served(active)) for _ in range(2)]
    assert await desk.complaints.open(None) == sorted(made, key=lambda one: one.id)

    for complaint in made:
        for _ in range(2):
            judged = await desk.complaints.judge(complaint.id, upheld=upheld, reason="seen", by="operator")
            assert judged.counts is upheld
        with pytest.raises(ComplaintJudged):
            await desk.complaints.judge(complaint.id, upheld=not upheld, reason="seen", by="operator")

    now = desk.pool.now(active)
    assert (now.disputes, now.disputes_open) == (disputes, 0)
    assert desk.pool.store.whats()[-2:] == ["judged", "judged"], "the key's owner reads what was decided"
    assert await desk.complaints.open(None) == []
    if not upheld:
        assert now.trust_ppm == health.trust_in(replace(now, disputes=0), desk.pool.clock.now_ms).ppm
    with pytest.raises(ComplaintAbsent):
        await desk.complaints.judge(ComplaintId("0" * 64), upheld=True, reason="seen", by="operator")


async def test_who_withdraws_a_key_and_brings_it_again_is_known(desk: Desk) -> None:
    """Complaints and failures are not washed off by another deposit, and nor is what it served."""
    active = await desk.begin()
    await desk.complain(await desk.served(active))
    worse = desk.pool.store.put(replace(desk.pool.now(active), failures=4, calls=3))
    await desk.pool.contributions.withdraw(ADA, worse.id)

    again = await desk.pool.deposit(key="k2", secret=SECRET)

    assert (again.disputes, again.failures, again.calls, again.calls_before) == (1, 4, 0, 3)
    assert health.trust_in(again, NOW).ppm <= health.trust_in(worse, NOW).ppm


COMPLAINT = Complaint(
    id=ComplaintId("c" * 64),
    key_id=KeyId("a" * 12),
    receipt_id=EntryId("e" * 64),
    account_id=BENS_WALLET,
    by=BEN,
    defect=Defect.CUT_OFF,
    counts=True,
    at_ms=NOW,
)
EVENT = HealthEvent(what="disputed", why="cut_off", at_ms=NOW)
Stores = tuple[KeyStore, ComplaintStore]


async def complaint_of(complaints: ComplaintStore) -> Complaint | None:
    found = await complaints.find(COMPLAINT.id)
    return found.complaint if found else None


class ComplaintsContract:
    """Subclassed once per store; `stores` are empty at first."""

    async def test_a_complaint_is_kept_with_what_it_does_or_not_at_all(self, stores: Stores) -> None:
        keys, complaints = stores
        await keys.create(key(), EVENT, instead_of=None)
        kept = await keys.find(KeyId("a" * 12))
        assert kept is not None
        past = await complaints.past(KeyId("a" * 12), BEN, DAY)
        assert (past.complaints, past.of_key, past.version) == (0, False, None)
        worse = replace(kept.key, disputes=1)

        await complaints.create(kept, worse, COMPLAINT, past, EVENT)
        now = await keys.find(KeyId("a" * 12))
        assert now is not None
        assert now.key == worse
        other = replace(COMPLAINT, id=ComplaintId("d" * 64))
        for stale_key, stale_past, complaint in ((kept, past, other), (now, past, other), (now, past, COMPLAINT)):
            with pytest.raises(KeyChanged):
                await complaints.create(stale_key, worse, complaint, stale_past, EVENT)
        assert await complaint_of(complaints) == COMPLAINT
        assert await complaints.find(other.id) is None
        counted = await complaints.past(KeyId("a" * 12), BEN, DAY)
        assert (counted.complaints, counted.of_key) == (1, True)
        assert (await complaints.past(KeyId("b" * 12), BEN, 2 * DAY)).complaints == 0

    async def test_a_decision_is_kept_once_and_closes_the_complaint(self, stores: Stores) -> None:
        keys, complaints = stores
        await keys.create(key(), EVENT, instead_of=None)
        kept = await keys.find(KeyId("a" * 12))
        assert kept is not None
        await complaints.create(kept, kept.key, COMPLAINT, await complaints.past(kept.key.id, BEN, DAY), EVENT)
        assert await complaints.open(after=None) == [COMPLAINT]
        assert await complaints.open(after=COMPLAINT.id) == []
        judged = replace(COMPLAINT, judgement=Judgement(upheld=False, reason="no", by="operator", at_ms=NOW))

        now, found = await keys.find(kept.key.id), await complaints.find(COMPLAINT.id)
        assert now is not None
        assert found is not None
        await complaints.judge(found, judged, now, now.key, EVENT)
        with pytest.raises(KeyChanged):
            await complaints.judge(found, COMPLAINT, now, now.key, EVENT)
        assert await complaints.open(after=None) == []
        assert await complaint_of(complaints) == judged


class TestMemoryComplaints(ComplaintsContract):
    """The fake."""

    @pytest.fixture
    def stores(self) -> Stores:
        keys = MemoryKeys()
        return keys, MemoryComplaints(keys)


class TestFirestoreComplaints(ComplaintsContract):
    """The real one, on the emulator."""

    @pytest.fixture
    async def stores(self, stack: Stack, project_id: str) -> AsyncIterator[Stores]:
        async with firestore_at(stack.firestore_address, project_id) as client:
            keys = FirestoreKeys(client)
            yield keys, FirestoreComplaints(client, keys)
