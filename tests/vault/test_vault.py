"""A sealed secret opens where it belongs and nowhere else, whichever key wraps its data key."""

from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.base.google import Google
from shared.base.secret import Secret
from shared.base.settings import Settings, SettingsWrong
from shared.vault import rules
from shared.vault.custody import vault_from
from shared.vault.errors import VaultSealed, VaultUnavailable
from shared.vault.files import FileKey
from shared.vault.gateway import KmsKey
from shared.vault.models import Binding, Envelope
from shared.vault.rotation import Rotation
from shared.vault.service import KeyEncryptionKey, Vault
from tests.vault.kms import NAME, FakeKms

SECRET = Secret("sk-canary-0123456789abcdef")
ADA = Binding(owner="ada", provider="acme", host="api.acme.example")
FINGERPRINT_KEY = Secret("f" * 32)
MakeKey = Callable[[], KeyEncryptionKey]


@pytest.fixture(params=["kms", "file"])
def key(request: pytest.FixtureRequest, tmp_path: Path) -> KeyEncryptionKey:
    return KmsKey(NAME, Google(FakeKms())) if request.param == "kms" else FileKey(tmp_path / "keys.json")


@pytest.fixture
def vault(key: KeyEncryptionKey) -> Vault:
    return Vault(key, FINGERPRINT_KEY)


async def test_what_is_sealed_opens_again(vault: Vault) -> None:
    envelope = await vault.seal(SECRET, ADA)

    assert await vault.open(envelope, ADA) == SECRET
    assert SECRET.reveal().encode() not in b"".join((envelope.wrapped, envelope.nonce, envelope.ciphertext))


@pytest.mark.parametrize(
    "other",
    [
        replace(ADA, owner="ben"),
        replace(ADA, provider="other"),
        replace(ADA, host="evil.example"),
        Binding(owner="adaacme", provider="", host="api.acme.example"),
    ],
)
async def test_an_envelope_moved_to_another_document_does_not_open(vault: Vault, other: Binding) -> None:
    """Whoever may write the store still cannot have a key sent to a host of theirs, or earn with somebody else's."""
    envelope = await vault.seal(SECRET, ADA)

    with pytest.raises(VaultSealed):
        await vault.open(envelope, other)


@pytest.mark.parametrize("part", ["wrapped", "nonce", "ciphertext"])
async def test_an_envelope_that_was_changed_does_not_open(vault: Vault, part: str) -> None:
    envelope = await vault.seal(SECRET, ADA)
    changed = bytearray(getattr(envelope, part))
    changed[-1] ^= 1

    with pytest.raises(VaultSealed):
        await vault.open(replace(envelope, **{part: bytes(changed)}), ADA)


async def test_parts_of_two_envelopes_do_not_open_together(vault: Vault) -> None:
    """Each secret has a data key of its own."""
    one, other = await vault.seal(SECRET, ADA), await vault.seal(Secret("sk-other-key"), ADA)

    assert one.wrapped != other.wrapped
    with pytest.raises(VaultSealed):
        await vault.open(replace(one, ciphertext=other.ciphertext, nonce=other.nonce), ADA)


async def test_after_a_rotation_old_envelopes_open_and_new_ones_have_the_new_version(
    key: KeyEncryptionKey, vault: Vault
) -> None:
    before = await vault.seal(SECRET, ADA)
    rotation = Rotation(key)

    version = await rotation.rotate()

    assert await rotation.primary_version() == version != before.version
    assert (await vault.seal(SECRET, ADA)).version == version
    rewrapped = await rotation.rewrap(before, ADA)
    assert (rewrapped.version, rewrapped.ciphertext) == (version, before.ciphertext)
    assert await vault.open(before, ADA) == await vault.open(rewrapped, ADA) == SECRET


async def test_rewrapping_for_another_binding_is_refused(key: KeyEncryptionKey, vault: Vault) -> None:
    envelope = await vault.seal(SECRET, ADA)

    with pytest.raises(VaultSealed):
        await Rotation(key).rewrap(envelope, replace(ADA, owner="ben"))


async def test_the_key_in_kms_is_sent_data_keys_and_never_a_secret() -> None:
    kms = FakeKms()
    vault = Vault(KmsKey(NAME, Google(kms)), FINGERPRINT_KEY)

    await vault.open(await vault.seal(SECRET, ADA), ADA)

    assert len(kms.sent) == 3, "wrapped, proved to unwrap, unwrapped"
    assert not any(SECRET.reveal() in sent for sent in kms.sent)


async def test_what_was_damaged_on_its_way_is_found_before_it_is_kept() -> None:
    with pytest.raises(VaultSealed):
        await Vault(KmsKey(NAME, Google(FakeKms(damages=True))), FINGERPRINT_KEY).seal(SECRET, ADA)


@pytest.mark.parametrize("failure", [403, 429, 500, requests.ConnectionError("POST plaintext"), TimeoutError()])
async def test_a_kms_that_does_not_answer_is_named_and_its_words_are_not(failure: int | Exception) -> None:
    vault = Vault(KmsKey(NAME, Google(FakeKms(fail_with=failure))), FINGERPRINT_KEY)

    with pytest.raises(VaultUnavailable) as caught:
        await vault.seal(SECRET, ADA)

    assert "plaintext" not in f"{caught.value} {caught.value.what}"
    assert caught.value.__cause__ is None


async def test_a_version_that_is_gone_opens_nothing(tmp_path: Path) -> None:
    vault = Vault(FileKey(tmp_path / "keys.json"), FINGERPRINT_KEY)
    envelope = await vault.seal(SECRET, ADA)

    with pytest.raises(VaultSealed):
        await vault.open(replace(envelope, version="7"), ADA)


async def test_a_key_file_that_cannot_be_read_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    for content in ("", "[]", '{"primary": "1", "versions": {}}', '{"primary": "1", "versions": {"1": "AA=="}}'):
        path.write_text(content)
        with pytest.raises(VaultUnavailable):
            await FileKey(path).primary_version()


async def test_a_key_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    await FileKey(path).rotate()

    assert path.stat().st_mode & 0o777 == 0o600


def test_fingerprints_find_the_same_secret_and_tell_nothing_without_their_key(tmp_path: Path) -> None:
    vault, other = (Vault(FileKey(tmp_path / "k"), Secret(key * 32)) for key in "fg")

    assert vault.fingerprint(SECRET) == vault.fingerprint(Secret(SECRET.reveal())) != vault.fingerprint(Secret("sk-b"))
    assert vault.fingerprint(SECRET) != other.fingerprint(SECRET)


def test_a_key_file_is_refused_in_production() -> None:
    with pytest.raises(SettingsWrong, match="VAULT_KEY_FILE"):
        Settings.from_environment({"PROJECT_ID": "p", "VAULT_KEY_FILE": "/keys.json"})


def test_production_says_what_it_lacks() -> None:
    with pytest.raises(SettingsWrong, match="VAULT_KMS_KEY"):
        vault_from(Settings.from_environment({"PROJECT_ID": "p", "VAULT_FINGERPRINT_KEY": "f" * 32}))


def test_who_only_opens_needs_no_key_of_fingerprints() -> None:
    """Functions that lend contributed keys are not given it; only a deposit makes a fingerprint."""
    vault = vault_from(Settings.from_environment({"PROJECT_ID": "p", "VAULT_KMS_KEY": NAME}))

    with pytest.raises(SettingsWrong, match="VAULT_FINGERPRINT_KEY"):
        vault.fingerprint(SECRET)


def test_a_short_fingerprint_key_is_refused() -> None:
    """A key that can be guessed through makes fingerprints that can be."""
    with pytest.raises(SettingsWrong, match="VAULT_FINGERPRINT_KEY"):
        Settings.from_environment({"PROJECT_ID": "p", "VAULT_FINGERPRINT_KEY": "short"})


@given(st.tuples(st.text(), st.text(), st.text()), st.tuples(st.text(), st.text(), st.text()))
def test_no_two_bindings_have_one_encoding(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    """Else a key of one owner could be opened as another's."""
    assert (rules.associated_data(Binding(*one)) == rules.associated_data(Binding(*other))) == (one == other)


def test_nothing_that_holds_a_secret_shows_it() -> None:
    envelope = Envelope("1", b"w", b"n", b"c")

    assert SECRET.reveal() not in f"{SECRET!r} {SECRET} {envelope!r}"
