"""After a rotation every key is wrapped anew, however often the command dies, and none is opened for it."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from credence.rewrap import rewrap
from local.stack import Stack
from shared.base.secret import Secret
from shared.resources.models import HealthEvent, KeyId
from shared.resources.rewrap import Rewrap, RewrapReport
from shared.resources.store import FirestoreKeys, KeptKey
from shared.vault.files import FileKey
from shared.vault.rotation import Rotation
from shared.vault.service import Vault
from tests.database import firestore_at
from tests.ledger.builders import NOW
from tests.resources.builders import BEN, SECRET, MemoryKeys, key


async def kept_in(store: MemoryKeys, wrapping: FileKey, names: str = "abc") -> Vault:
    vault = Vault(wrapping, Secret("f" * 32))
    for name in names:
        store.put(key(name, sealed=await vault.seal(SECRET, key(name).binding)))
    store.put(key("w", sealed=None))
    return vault


def command(store: MemoryKeys, wrapping: FileKey, told: list[RewrapReport] | None = None) -> Rewrap:
    return Rewrap(store, Rotation(wrapping), ([] if told is None else told).append)


async def test_all_keys_are_wrapped_by_the_new_version_and_open_as_before(tmp_path: Path) -> None:
    store, wrapping, told = MemoryKeys(), FileKey(tmp_path / "k"), list[RewrapReport]()
    vault = await kept_in(store, wrapping)
    version = await Rotation(wrapping).rotate()

    report = await command(store, wrapping, told).run()

    assert report == RewrapReport(seen=4, rewrapped=3) == told[-1]
    for kept in store.kept.values():
        if kept.key.sealed is not None:
            assert kept.key.sealed.version == version
            assert await vault.open(kept.key.sealed, kept.key.binding) == SECRET
    assert (await command(store, wrapping).run()).rewrapped == 0


async def test_a_run_that_died_is_gone_on_with(tmp_path: Path) -> None:
    store, wrapping = MemoryKeys(), FileKey(tmp_path / "k")
    await kept_in(store, wrapping)
    await Rotation(wrapping).rotate()
    find = store.find

    async def dies(key_id: KeyId) -> KeptKey | None:
        if key_id.startswith("b"):
            raise ConnectionError("the process ended here")
        return await find(key_id)

    store.find = dies  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        await command(store, wrapping).run()
    store.find = find  # type: ignore[method-assign]

    assert (await command(store, wrapping).run()).rewrapped == 2


async def test_a_key_changed_meanwhile_keeps_the_change(tmp_path: Path) -> None:
    store, wrapping = MemoryKeys(), FileKey(tmp_path / "k")
    await kept_in(store, wrapping, "a")
    await Rotation(wrapping).rotate()
    changed = replace(store.kept[key("a").id].key, calls=7)
    store.before_write = lambda: store.put(changed)

    assert (await command(store, wrapping).run()).rewrapped == 1
    assert store.kept[key("a").id].key.calls == 7


async def test_a_key_that_does_not_open_is_counted_and_stops_nothing(tmp_path: Path) -> None:
    """Changed in the store, it stays as it is for a person to look at."""
    store, wrapping = MemoryKeys(), FileKey(tmp_path / "k")
    await kept_in(store, wrapping)
    moved = store.kept[key("a").id].key.sealed
    store.put(key("b", owner=BEN, sealed=moved))
    await Rotation(wrapping).rotate()

    report = await command(store, wrapping).run()

    assert (report.rewrapped, report.sealed) == (2, 1)
    assert store.kept[key("b").id].key.sealed == moved


async def test_the_command_rotates_a_projects_keys(
    stack: Stack, project_id: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "vault.json"
    vault = Vault(FileKey(file), Secret("f" * 32))
    environment = {**stack.environment(project_id), "VAULT_KEY_FILE": str(file)}
    async with firestore_at(stack.firestore_address, project_id) as client:
        store = FirestoreKeys(client)
        one = key(sealed=await vault.seal(SECRET, key().binding))
        await store.create(one, HealthEvent(what="deposited", why="", at_ms=NOW), instead_of=None)

        report = await rewrap(project_id, environment, rotates=True)
        again = await rewrap(project_id, environment, rotates=False)

        found = await store.find(one.id)
    assert found is not None
    assert found.key.sealed is not None
    assert (report.rewrapped, again.rewrapped, found.key.sealed.version) == (1, 0, "2")
    assert await vault.open(found.key.sealed, one.binding) == SECRET
    assert "rotated: 2\n1 of 1 keys wrapped anew\n" in capsys.readouterr().out
