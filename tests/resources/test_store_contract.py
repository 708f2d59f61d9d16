"""What every store of contributed keys promises, Firestore's and the one in memory alike."""

from collections.abc import AsyncIterator

import pytest
from google.cloud import firestore
from msgspec.structs import replace

from local.stack import Stack
from shared.base.ids import EntryId
from shared.ledger.models import Origin
from shared.ledger.settling import Window
from shared.resources.errors import ContributionsUnavailable
from shared.resources.models import ContributedKey, Earned, HealthEvent, KeyId, KeyStatus, ModelEarned, Override, Use
from shared.resources.store import (
    FingerprintTaken,
    FirestoreKeys,
    FirestoreOverrides,
    KeyChanged,
    KeyExists,
    KeyStore,
)
from shared.resources.windows import FirestoreWindows, WindowStore
from shared.vault.models import Envelope
from tests.database import firestore_at
from tests.ledger.builders import DAY, NOW
from tests.resources.builders import ADA, BEN, MODEL, MemoryKeys, MemoryWindows, key

DEPOSITED = HealthEvent(what="deposited", why="", at_ms=NOW)
SEALED = Envelope("v1", b"\x00wrapped", b"\x01" * 12, b"\xffciphertext")
WHOLE = key(
    sealed=SEALED,
    limits=(("x-ratelimit-limit-requests", "60"), ("x-ratelimit-limit-tokens", "1000")),
    validated_at_ms=NOW,
    cool_until_ms=NOW + 1,
    check_at_ms=NOW + 2,
    advance_due=True,
    disputes=1,
)


class KeysContract:
    """Subclassed once per store; `keys` is empty at first."""

    @pytest.mark.parametrize("one", [WHOLE, key()])
    async def test_a_record_comes_back_as_it_went(self, keys: KeyStore, one: ContributedKey) -> None:
        await keys.create(one, DEPOSITED, instead_of=None)

        found = await keys.find(one.id)
        assert found is not None
        assert found.key == one
        assert await keys.owned_by(ADA, after=None) == [one]
        assert await keys.find(KeyId("z" * 12)) is None

    async def test_an_id_and_a_fingerprint_are_given_once(self, keys: KeyStore) -> None:
        await keys.create(key("a"), DEPOSITED, instead_of=None)

        with pytest.raises(FingerprintTaken) as taken:
            await keys.create(key("b", fingerprint="a" * 64), DEPOSITED, instead_of=None)
        with pytest.raises(KeyExists):
            await keys.create(key("a", fingerprint="c" * 64), DEPOSITED, instead_of=None)
        assert taken.value.key_id == "a" * 12
        assert [one.id[0] for one in await keys.all(after=None)] == ["a"]

    async def test_a_fingerprint_moves_on_from_the_key_that_had_it_and_no_other(self, keys: KeyStore) -> None:
        await keys.create(key("a"), DEPOSITED, instead_of=None)
        await keys.create(key("b", fingerprint="a" * 64), DEPOSITED, instead_of=KeyId("a" * 12))

        with pytest.raises(FingerprintTaken):
            await keys.create(key("c", fingerprint="a" * 64), DEPOSITED, instead_of=KeyId("a" * 12))

    async def test_a_depositors_keys_are_counted_by_day_with_the_key_or_not_at_all(self, keys: KeyStore) -> None:
        first = await keys.depositor(ADA, DAY)
        assert (first.deposits, first.version) == (0, None)
        await keys.create(key("a"), DEPOSITED, instead_of=None, depositor=first)
        with pytest.raises(KeyExists):
            await keys.create(key("b"), DEPOSITED, instead_of=None, depositor=first)
        assert await keys.find(KeyId("b" * 12)) is None

        second = await keys.depositor(ADA, DAY)
        assert second.deposits == 1
        over = key("c", status=KeyStatus.REFUSED)
        await keys.create(over, DEPOSITED, instead_of=None, depositor=second)
        assert (await keys.depositor(ADA, DAY)).deposits == 2
        assert (await keys.depositor(ADA, 2 * DAY)).deposits == 0
        assert [await keys.open_of(owner, 9) for owner in (ADA, BEN)] == [1, 0]

    async def test_only_what_was_read_is_written_over(self, keys: KeyStore) -> None:
        await keys.create(WHOLE, DEPOSITED, instead_of=None)
        before = await keys.find(WHOLE.id)
        assert before is not None

        await keys.replace(before, replace(WHOLE, status=KeyStatus.PAUSED, sealed=None, limits=()), None)
        with pytest.raises(KeyChanged):
            await keys.replace(before, WHOLE, None)

        after = await keys.find(WHOLE.id)
        assert after is not None
        assert (after.key.status, after.key.sealed, after.key.limits) == (KeyStatus.PAUSED, None, ())

    async def test_keys_are_listed_in_pages(self, keys: KeyStore) -> None:
        for name, owner in (("c", ADA), ("a", ADA), ("b", BEN), ("d", ADA)):
            await keys.create(key(name, owner=owner), DEPOSITED, instead_of=None)

        assert [one.id[0] for one in await keys.owned_by(ADA, after=KeyId("a" * 12))] == ["c", "d"]
        assert [one.id[0] for one in await keys.of_provider("standin", after=None)] == ["a", "b", "c", "d"]
        assert await keys.of_provider("openai", after=None) == []
        assert [one.id[0] for one in await keys.all(after=KeyId("b" * 12))] == ["c", "d"]

    async def test_keys_are_due_in_the_order_of_their_time(self, keys: KeyStore) -> None:
        for name, check_at_ms in (("a", NOW + 1), ("b", NOW), ("c", NOW + 2), ("d", None)):
            await keys.create(key(name, check_at_ms=check_at_ms), DEPOSITED, instead_of=None)

        assert [one.id[0] for one in await keys.due(NOW + 1)] == ["b", "a"]


class TestMemoryKeys(KeysContract):
    """The fake."""

    @pytest.fixture
    def keys(self) -> KeyStore:
        return MemoryKeys()


@pytest.fixture
async def client(stack: Stack, project_id: str) -> AsyncIterator[firestore.AsyncClient]:
    async with firestore_at(stack.firestore_address, project_id) as opened:
        yield opened


class TestFirestoreKeys(KeysContract):
    """The real one, on the emulator."""

    @pytest.fixture
    def keys(self, client: firestore.AsyncClient) -> KeyStore:
        return FirestoreKeys(client)


WINDOW = Window(NOW // 1000, 3)
EARNED = Earned(calls=2, price={Origin.PAID: 10}, owed={Origin.PAID: 1, Origin.PROMO: -1}, retired_micros=3)
MODELS = [ModelEarned(model=MODEL, calls=2, price_micros=10, paid_micros=8, promo_micros=0)]


class WindowsContract:
    """Subclassed once per store, over keys of the same kind."""

    async def test_a_window_is_counted_once_and_stays_as_it_was(self, keys: KeyStore, windows: WindowStore) -> None:
        await keys.create(key(), DEPOSITED, instead_of=None)
        kept = await keys.find(key().id)
        assert kept is not None

        await windows.count(kept, replace(kept.key, calls=2), WINDOW, EARNED, MODELS)
        again = await keys.find(key().id)
        assert again is not None
        with pytest.raises(KeyChanged):
            await windows.count(again, replace(again.key, calls=4), WINDOW, EARNED, MODELS)
        with pytest.raises(KeyChanged):
            await windows.count(kept, replace(kept.key, calls=4), replace(WINDOW, band=4), EARNED, MODELS)

        found = await keys.find(key().id)
        assert found is not None
        assert found.key.calls == 2
        assert await windows.earned(key().id, WINDOW) == EARNED
        assert await windows.earned(key().id, replace(WINDOW, band=4)) is None


class TestMemoryWindows(WindowsContract):
    """The fake."""

    @pytest.fixture
    def keys(self) -> MemoryKeys:
        return MemoryKeys()

    @pytest.fixture
    def windows(self, keys: MemoryKeys) -> WindowStore:
        return MemoryWindows(keys)


class TestFirestoreWindows(WindowsContract):
    """The real one, on the emulator."""

    @pytest.fixture
    def keys(self, client: firestore.AsyncClient) -> FirestoreKeys:
        return FirestoreKeys(client)

    @pytest.fixture
    def windows(self, client: firestore.AsyncClient, keys: FirestoreKeys) -> WindowStore:
        return FirestoreWindows(client, keys)


async def test_dashboards_add_up_by_day_and_model(client: firestore.AsyncClient) -> None:
    keys = FirestoreKeys(client)
    windows = FirestoreWindows(client, keys)
    await keys.create(key(), DEPOSITED, instead_of=None)
    for band in (3, 4):
        kept = await keys.find(key().id)
        assert kept is not None
        await windows.count(
            kept, replace(kept.key, calls=kept.key.calls + 2), replace(WINDOW, band=band), EARNED, MODELS
        )

    sums = {"calls": 4, "price_micros": 20, "paid_micros": 16, "promo_micros": 0}
    day = WINDOW.starts_at.date().isoformat()
    for path in (f"contributions/{key().id}/days/{day}", f"users/{ADA}/contribution_days/{day}"):
        assert (await client.document(path).get()).to_dict() == {"owner": ADA, "day": day, **sums}
    [by_model] = [one.to_dict() async for one in client.collection(f"users/{ADA}/contribution_models").stream()]
    assert by_model == {"owner": ADA, "model": MODEL, **sums}


async def test_pending_calls_come_and_go(client: firestore.AsyncClient) -> None:
    windows = FirestoreWindows(client, FirestoreKeys(client))
    use = Use(entry_id=EntryId("e" * 64), model=MODEL, price={Origin.PAID: 10}, given={Origin.PAID: 8})
    path = f"contributions/{key().id}/pending/{use.entry_id}"

    await windows.put_pending(key(), use, NOW)
    fields = (await client.document(path).get()).to_dict() or {}
    await windows.drop_pending(key().id, [use.entry_id, EntryId("never")])

    assert {name: fields[name] for name in ("owner", "model", "paid_micros", "promo_micros", "at_ms")} == {
        "owner": ADA,
        "model": MODEL,
        "paid_micros": 8,
        "promo_micros": 0,
        "at_ms": NOW,
    }
    assert not (await client.document(path).get()).exists


async def test_the_view_of_a_key_has_nothing_that_helps_to_it(client: firestore.AsyncClient) -> None:
    """Its owner reads that document and its history; the record, no client does."""
    await FirestoreKeys(client).create(WHOLE, DEPOSITED, instead_of=None)

    view = (await client.document(f"contributions/{WHOLE.id}").get()).to_dict() or {}
    [line] = [one.to_dict() async for one in client.collection(f"contributions/{WHOLE.id}/health").stream()]

    assert not {"sealed", "fingerprint", "request_hash", "host"} & view.keys()
    assert (view["owner"], view["status"], view["advance_micros"]) == (ADA, "active", 0)
    assert line == {"owner": ADA, "what": "deposited", "why": "", "at_ms": NOW, "status": "active"}


async def test_every_decision_of_an_operator_stays_on_the_record(client: firestore.AsyncClient) -> None:
    overrides = FirestoreOverrides(client)
    allowed = Override(provider="standin", allowed=True, reason="ours", by="operator", at_ms=NOW)
    ended = replace(allowed, allowed=False, at_ms=NOW + 1)
    assert await overrides.of("standin") is None
    await overrides.put(allowed)
    await overrides.put(ended)

    assert await overrides.of("standin") == ended
    history = client.collection("pool_providers/standin/history")
    assert [(one.to_dict() or {})["allowed"] async for one in history.stream()] == [True, False]


async def test_a_store_that_does_not_answer_is_a_refusal_to_be_repeated() -> None:
    async with firestore_at("127.0.0.1:1", "demo-nobody") as client:
        keys = FirestoreKeys(client)
        for attempt in (
            keys.find(key().id),
            keys.create(key(), DEPOSITED, instead_of=None),
            keys.due(NOW),
            FirestoreOverrides(client).of("standin"),
            FirestoreWindows(client, keys).earned(key().id, WINDOW),
        ):
            with pytest.raises(ContributionsUnavailable):
                await attempt
