"""What a store of payouts promises, on the one in memory and on Firestore."""

import asyncio

import pytest
from google.cloud import firestore
from msgspec.structs import replace

from local.stack import Stack
from shared.base.ids import UserId
from shared.payouts import rules
from shared.payouts.errors import PayoutBusy
from shared.payouts.models import Payout, PayoutState, Recipient
from shared.payouts.ports import PayoutStore, RecipientStore
from shared.payouts.store import FirestorePayouts, FirestoreRecipients
from tests.ledger.builders import NOW
from tests.payouts.bench import ADA, MemoryPayouts, MemoryRecipients

BEN = UserId("ben")


@pytest.fixture(params=["memory", pytest.param("firestore", marks=pytest.mark.stack)])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> PayoutStore:
    if request.param == "memory":
        return MemoryPayouts()
    stack: Stack = request.getfixturevalue("stack")
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", stack.firestore_address)
    return FirestorePayouts(firestore.AsyncClient(project=request.getfixturevalue("project_id")))


def payout(key: str = "one", owner: UserId = ADA) -> Payout:
    return Payout(
        payout_id=rules.payout_id_of(owner, key),
        owner=owner,
        micros=2_000_000_000,
        amount_minor=1_400,
        currency="USD",
        destination="acct_1",
        state=PayoutState.ACCRUED,
        asked_at_ms=NOW,
        is_first=True,
    )


async def test_what_was_created_first_stays(store: PayoutStore) -> None:
    first = payout()

    assert await store.create(first) == first
    assert await store.create(replace(first, amount_minor=9_999)) == first
    assert await store.find(first.payout_id) == first
    assert await store.find(rules.payout_id_of(ADA, "another")) is None


async def test_of_those_who_write_over_the_same_one_wins(store: PayoutStore) -> None:
    before = await store.create(payout())
    held, refused = (rules.moved_to(before, state) for state in (PayoutState.HELD, PayoutState.REFUSED))

    done = await asyncio.gather(store.replace(before, held), store.replace(before, refused), return_exceptions=True)

    assert sorted(type(one) for one in done if one is not None) == [PayoutBusy]
    assert await store.find(before.payout_id) in (held, refused)
    with pytest.raises(PayoutBusy):
        await store.replace(before, held)


async def test_one_that_was_paid_is_remembered_of_its_owner_only(store: PayoutStore) -> None:
    before = await store.create(payout())
    assert not await store.was_paid(ADA)

    await store.replace(before, replace(before, state=PayoutState.PAID, transfer_id="tr_1"))

    assert (await store.was_paid(ADA), await store.was_paid(BEN)) == (True, False)


async def test_what_was_changed_is_due_at_once_and_what_was_looked_at_later(store: PayoutStore) -> None:
    before = await store.create(payout())
    assert await store.due(at_ms=0) == [before.payout_id]

    await store.looked(before.payout_id, due_ms=NOW)
    assert await store.due(at_ms=NOW - 1) == []
    assert await store.due(at_ms=NOW) == [before.payout_id]
    assert await store.find(before.payout_id) == before

    held = rules.moved_to(before, PayoutState.HELD)
    await store.replace(before, held)
    assert await store.due(at_ms=0) == [before.payout_id]

    await store.looked(before.payout_id, due_ms=None)
    assert await store.due(at_ms=NOW * 2) == []


async def test_an_owner_finds_their_own_and_nobody_elses(store: PayoutStore) -> None:
    mine = sorted([(await store.create(payout(key))).payout_id for key in ("one", "two")])
    await store.create(payout("three", BEN))

    assert [one.payout_id for one in await store.owned_by(ADA, after=None)] == mine
    assert [one.payout_id for one in await store.owned_by(ADA, after=mine[0])] == mine[1:]


async def test_what_waits_for_a_person_is_found_and_nothing_else(store: PayoutStore) -> None:
    waits = [rules.REVIEW, rules.ATTEMPTS_USED, "cooldown", ""]
    made = [replace(payout(str(number)), waits_for=reason) for number, reason in enumerate(waits)]
    for one in made:
        await store.create(one)
    asked = sorted(one.payout_id for one in made[:2])

    assert [one.payout_id for one in await store.waiting(after=None)] == asked
    assert [one.payout_id for one in await store.waiting(after=asked[0])] == asked[1:]


@pytest.fixture(params=["memory", pytest.param("firestore", marks=pytest.mark.stack)])
def recipients(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> RecipientStore:
    if request.param == "memory":
        return MemoryRecipients()
    stack: Stack = request.getfixturevalue("stack")
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", stack.firestore_address)
    return FirestoreRecipients(firestore.AsyncClient(project=request.getfixturevalue("project_id")))


async def test_an_earner_has_one_recipient_who_is_written_over_as_read(recipients: RecipientStore) -> None:
    first = Recipient(owner=ADA, destination="acct_1")
    assert await recipients.find(ADA) is None
    assert await recipients.create(first) == first
    assert await recipients.create(replace(first, destination="acct_2")) == first
    assert (await recipients.find_by("acct_1"), await recipients.find_by("acct_2")) == (first, None)

    changed = replace(first, is_active=True, bank="ba_1", bank_changed_at_ms=NOW)
    await recipients.replace(first, changed)

    assert await recipients.find(ADA) == changed
    with pytest.raises(PayoutBusy):
        await recipients.replace(first, replace(first, bank="ba_2"))
