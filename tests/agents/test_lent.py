"""Calls of jobs that contributed keys serve: the same split, paid once wherever a process dies, no quota overrun."""

from typing import Any

import pytest
from msgspec.structs import replace

from shared.agents.models import CallState, JobState
from shared.base.ids import HoldId, UserId
from shared.base.secret import Secret
from shared.ledger.models import HOUSE_REVENUE, EntryKind
from shared.metering.models import Charge, Usage
from shared.resources.models import KEY_FACT, KeyId
from shared.resources.rules import host_of
from shared.resources.store import record_document
from shared.shelf import rules
from shared.shelf.complaints import Complaints
from shared.shelf.lending import Lender
from shared.shelf.models import LEASE_FACT
from shared.shelf.service import Shelf
from shared.shelf.sweep import LeaseSweep
from shared.vault.service import Vault
from tests.agents.yard import ACCOUNT, MODEL, Died, Process, Yard
from tests.shelf.builders import key_of, vault

QUOTA_MICROS = 1_000_000_000
KEY_ID = KeyId("key1")
GRACE = "earn:grace"


class Lent:
    """A yard whose processes know of a key of Grace's."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.vault: Vault = vault()
        self.shelves: list[Shelf] = []
        self.into(yard.app)

    def into(self, process: Process) -> Process:
        """Give a process a shelf of its own."""
        hosts = {provider.name: host_of(provider.base_url) for provider in process.providers}
        complaints = Complaints(process.shelf_store, None, self.yard.wall)
        shelf = Shelf(process.shelf_store, complaints, hosts, wall_clock=self.yard.wall)
        self.shelves.append(shelf)
        process.__dict__["lender"] = Lender(shelf, lambda: self.vault)
        return process

    async def add(self, owner: str = "grace") -> None:
        """The key, for the first provider of the model, known to all processes."""
        catalog = self.yard.app.catalog
        [route, *_] = catalog.routes(catalog.model(MODEL))
        host = host_of(self.yard.app.upstreams[route.provider].base_url)
        key = key_of(
            KEY_ID, owner=owner, provider=route.provider, host=host, models=(MODEL,), quota_micros=QUOTA_MICROS
        )
        key = replace(key, sealed=await self.vault.seal(Secret("sk-lent-0123456789"), key.binding))
        await self.yard.app.firestore.collection("resources").document(KEY_ID).set(record_document(key))
        for shelf in self.shelves:
            await shelf.refresh()

    async def captures(self) -> list[dict[str, Any]]:
        """What the ledger was posted for calls."""
        entries = self.yard.app.firestore.collection(f"accounts/{ACCOUNT}/entries")
        found = [one.to_dict() or {} async for one in entries.stream()]
        return [one for one in found if one["kind"] == EntryKind.CAPTURE.value]

    async def used_micros(self) -> int:
        """What is out of the key's quota."""
        found = await self.yard.app.shelf_store.find(KEY_ID)
        assert found is not None
        return found.key.leased_micros - found.key.returned_micros


def _given(entry: dict[str, Any]) -> dict[str, int]:
    """What a charge gave whom."""
    return {leg["account"]: leg["amount_micros"] for leg in entry["legs"]}


@pytest.fixture
def lent(yard: Yard) -> Lent:
    return Lent(yard)


async def test_each_call_of_a_job_pays_the_owner_of_the_key_that_served_it(lent: Lent) -> None:
    await lent.add()

    done = await lent.yard.finish(await lent.yard.start(calls=2))

    captures = await lent.captures()
    assert done.state is JobState.SUCCEEDED
    assert [entry["facts"][KEY_FACT] for entry in captures] == [KEY_ID, KEY_ID]
    for entry in captures:
        given, price = _given(entry), -entry["delta_micros"]
        assert given.keys() == {GRACE, HOUSE_REVENUE}
        assert sum(given.values()) == price
        assert abs(given[GRACE] * 1_000 - price * 765) < 1_000
    await lent.shelves[0].settle_down()
    assert await lent.used_micros() == done.spent_micros == -sum(entry["delta_micros"] for entry in captures)


@pytest.mark.parametrize("payers", [{"ada"}, {"ada", "grace"}])
async def test_no_key_of_whose_credits_a_job_spends_serves_it(lent: Lent, payers: set[str]) -> None:
    """Neither the owner's, nor that of a member of the pool that the job's session drew from."""
    await lent.add("ada" if payers == {"ada"} else "grace")

    await lent.yard.finish(await lent.yard.start(calls=1, payers=frozenset(map(UserId, payers))))

    [entry] = await lent.captures()
    assert _given(entry).keys() == {HOUSE_REVENUE}
    assert KEY_FACT not in entry["facts"]


@pytest.mark.parametrize("dies", ["before its answer is kept", "before the charge", "after the charge"])
async def test_a_step_pays_the_keys_owner_once_wherever_its_process_dies(lent: Lent, dies: str) -> None:
    """The lease that the dead process had is closed by what was charged, be it charged before that or long after."""
    yard = lent.yard
    doomed = lent.into(yard.process())
    await lent.add()
    routed, resume = doomed.calls.routed, doomed.calls.resume

    async def ask_and_die(*args: Any, **named: Any) -> Any:
        await routed(*args, **named)
        raise Died

    class Charging:
        lent: Any = None

        def __init__(self, *args: Any) -> None:
            self._inner = resume(*args)

        async def collect(self, usage: Usage, facts: Any) -> Charge:
            self._inner.lent = self.lent
            if dies == "after the charge":
                await self._inner.collect(usage, facts)
            raise Died

    if dies == "before its answer is kept":
        doomed.calls.routed = ask_and_die  # type: ignore[method-assign, assignment]
    else:
        doomed.calls.resume = Charging  # type: ignore[method-assign, assignment]
    job = await yard.start(calls=1)
    with pytest.raises(Died):
        await yard.finish(job, doomed)
    await doomed.upstreams.close()

    yard.wall.ahead_ms += rules.LEASE_MS
    report = await LeaseSweep(yard.app.shelf_store, yard.wall).run()
    done = await yard.finish(job)
    again = await yard.finish(job)

    [entry] = await lent.captures()
    [trace] = await yard.traces(job)
    assert (done.state, again.spent_micros, trace.state) == (JobState.SUCCEEDED, -entry["delta_micros"], CallState.DONE)
    assert abs(_given(entry)[GRACE] * 1_000 + entry["delta_micros"] * 765) < 1_000
    assert entry["facts"][LEASE_FACT] == trace.facts[LEASE_FACT]
    assert HoldId(entry["hold_id"]) == trace.hold_id
    await lent.shelves[0].settle_down()
    assert report.closed == 1
    assert await lent.used_micros() == done.spent_micros
