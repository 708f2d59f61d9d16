"""Vaults: a note is filed once and for ever, wherever it is filed."""

import asyncio
import stat
from pathlib import Path

import pytest

from shared.base.google import Google
from shared.proof.errors import VaultConflict, VaultUnavailable
from shared.proof.gateway import BucketVault, object_name
from shared.proof.memory import MemoryVault
from shared.proof.vault import FolderVault, Published, Vault
from tests.proof.google import FakeGoogle


@pytest.fixture(params=["folder", "bucket", "memory"])
def vault(request: pytest.FixtureRequest, tmp_path: Path) -> Vault:
    if request.param == "memory":
        return MemoryVault()
    if request.param == "folder":
        return FolderVault(tmp_path / "vault")
    return BucketVault("checkpoints-bucket", Google(FakeGoogle()))


async def test_an_empty_vault_has_no_latest(vault: Vault) -> None:
    assert await vault.latest() is None


async def test_the_latest_is_the_largest_whatever_came_last(vault: Vault) -> None:
    """Sizes are compared as numbers, not as texts."""
    for size in (9, 100, 20):
        await vault.publish(size, f"note of {size}\n")

    assert await vault.latest() == Published(100, "note of 100\n")


async def test_a_repeat_changes_nothing(vault: Vault) -> None:
    await vault.publish(9, "note\n")
    await asyncio.gather(*(vault.publish(9, "note\n") for _ in range(5)))

    assert await vault.latest() == Published(9, "note\n")


async def test_another_note_of_the_same_size_is_refused(vault: Vault) -> None:
    """And the first one stays."""
    await vault.publish(9, "note\n")

    with pytest.raises(VaultConflict):
        await vault.publish(9, "another\n")
    assert await vault.latest() == Published(9, "note\n")


async def test_of_several_at_once_one_is_filed(vault: Vault) -> None:
    outcomes = await asyncio.gather(*(vault.publish(9, f"{n}\n") for n in range(5)), return_exceptions=True)

    filed = await vault.latest()
    assert filed is not None
    assert [isinstance(outcome, VaultConflict) for outcome in outcomes].count(False) == 1
    assert outcomes[int(filed.note)] is None


async def test_a_file_is_read_only_and_nothing_else_is_left(tmp_path: Path) -> None:
    await FolderVault(tmp_path).publish(9, "note\n")

    (path,) = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o444


async def test_what_a_dead_process_left_is_passed_over(tmp_path: Path) -> None:
    """A hidden file that never got its name."""
    (tmp_path / ".half").write_text("ha")

    assert await FolderVault(tmp_path).latest() is None


async def test_a_folder_that_cannot_be_used_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(VaultUnavailable):
        await FolderVault(tmp_path / "file").publish(9, "note\n")


@pytest.mark.parametrize("failure", [403, 429, 503, TimeoutError()])
async def test_a_bucket_that_does_not_answer_is_unavailable(failure: int | Exception) -> None:
    google = FakeGoogle(fail_with=failure)
    vault = BucketVault("checkpoints-bucket", Google(google))

    with pytest.raises(VaultUnavailable):
        await vault.publish(9, "note\n")
    with pytest.raises(VaultUnavailable):
        await vault.latest()


async def test_a_bucket_with_something_else_in_it_is_unavailable() -> None:
    google = FakeGoogle(objects={"checkpoints/0-else": b"x"})

    with pytest.raises(VaultUnavailable):
        await BucketVault("checkpoints-bucket", Google(google)).latest()


def test_the_newest_object_is_listed_first() -> None:
    """Names count down and are of one length."""
    names = [object_name(size) for size in (2**63 - 1, 10**12, 100, 9, 0)]

    assert names == sorted(names)
    assert len({len(name) for name in names}) == 1
