"""`python -m credence key`: what is put into the settings, and given to everybody who verifies."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from credence.__main__ import main
from shared.proof.note import VerifierKey

NAME = "api.example.com/log"


def public_half(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """As Cloud KMS writes it."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_the_public_half_is_written_as_verifiers_take_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the key signs, verifies under what the command wrote."""
    key, file = Ed25519PrivateKey.generate(), tmp_path / "log.pem"
    file.write_bytes(public_half(key))

    assert main(["key", str(file), "--name", NAME]) == 0
    assert VerifierKey.parse(capsys.readouterr().out.strip()).verifies(b"a note", key.sign(b"a note"))


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        (b"no key", NAME, "cannot be read"),
        (public_half(ec.generate_private_key(ec.SECP256R1())), NAME, "no key for Ed25519"),
        (public_half(Ed25519PrivateKey.generate()), "my log", "neither spaces nor plus signs"),
    ],
)
def test_anything_else_is_refused(
    content: bytes, name: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "log.pem"
    file.write_bytes(content)

    assert main(["key", str(file), "--name", name]) == 2
    assert says in capsys.readouterr().err
