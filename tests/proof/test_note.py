"""Notes and checkpoints: golden texts, strict reading, and no other signature passes."""

import base64
import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.proof.errors import NoteWrong, SigningFailed
from shared.proof.note import (
    SIGNATURES_MAX,
    Checkpoint,
    VerifierKey,
    open_checkpoint,
    open_note,
    parse_checkpoint,
    parse_note,
    write_note,
)
from shared.proof.signer import LocalSigner, sign_note
from tests.proof.builders import ORIGIN, OTHER, SEED, signer

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "notes.json").read_text())
KEY = signer().verifier_key
ROOT = bytes(range(32))
TEXT = Checkpoint(ORIGIN, 7, ROOT).text


def plainly_signed(text: str, name: str, seed: bytes) -> tuple[str, str]:
    """Note and verifier key once more, from the format's description alone."""
    private = Ed25519PrivateKey.from_private_bytes(seed)
    typed = b"\x01" + private.public_key().public_bytes_raw()
    key_id = hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4]
    signed = base64.b64encode(key_id + private.sign(text.encode())).decode()
    return f"{text}\n— {name} {signed}\n", f"{name}+{key_id.hex()}+{base64.b64encode(typed).decode()}"


async def note_of(text: str = TEXT, by: LocalSigner | None = None) -> str:
    return await sign_note(text, by or signer())


@pytest.mark.parametrize("vector", GOLDEN["notes"], ids=lambda vector: vector["name"])
async def test_notes_are_written_as_they_always_were(vector: dict[str, str]) -> None:
    """Ed25519 signs alike each time, so a whole note can be pinned."""
    seed = bytes.fromhex(vector["seed_hex"])
    by = signer(vector["name"], seed)

    assert await note_of(vector["text"], by) == vector["note"]
    assert str(by.verifier_key) == vector["verifier_key"]
    assert plainly_signed(vector["text"], vector["name"], seed) == (vector["note"], vector["verifier_key"])
    assert open_note(vector["note"], VerifierKey.parse(vector["verifier_key"])) == vector["text"]


def test_a_public_logs_key_is_read() -> None:
    """The id in the key of sum.golang.org is what we compute."""
    assert str(VerifierKey.parse(GOLDEN["public_key"])) == GOLDEN["public_key"]


async def test_a_checkpoint_comes_back_as_it_went() -> None:
    opened = open_checkpoint(await note_of(), KEY)

    assert opened == Checkpoint(ORIGIN, 7, ROOT)
    assert opened.text == TEXT


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_changed_byte_passes(data: st.DataObject) -> None:
    """A flipped bit anywhere: in the text, the name, the key's id, the signature or the line breaks."""
    raw = plainly_signed(TEXT, ORIGIN, SEED)[0].encode()
    at = data.draw(st.integers(0, len(raw) - 1))
    forged = raw[:at] + bytes([raw[at] ^ 1 << data.draw(st.integers(0, 6))]) + raw[at + 1 :]

    with pytest.raises(NoteWrong):
        open_checkpoint(forged.decode("utf-8", "replace"), KEY)


async def test_another_key_of_the_same_name_does_not_pass() -> None:
    with pytest.raises(NoteWrong, match="did not sign"):
        open_note(await note_of(by=OTHER), KEY)


async def test_a_wrong_signature_under_our_own_id_does_not_pass() -> None:
    """Even beside a right one: somebody is lying."""
    ours = parse_note(await note_of()).signatures[0]
    forged = KEY.sign_with(OTHER._key.sign(TEXT.encode()))

    for lines in ([forged], [ours, forged], [forged, ours]):
        with pytest.raises(NoteWrong, match="is wrong"):
            open_note(write_note(TEXT, lines), KEY)


async def test_signatures_by_others_are_passed_over() -> None:
    """A witness may sign with a kind of key that we have never heard of."""
    ours = parse_note(await note_of()).signatures[0]
    theirs = parse_note(await note_of(by=signer("witness.example", bytes(32)))).signatures[0]
    odd = VerifierKey("odd.example", bytes(32)).sign_with(b"\x04")

    assert open_checkpoint(write_note(TEXT, [theirs, odd, ours]), KEY).size == 7


async def test_the_log_of_somebody_else_does_not_pass() -> None:
    """Our own key under another log's checkpoint is still not our log."""
    with pytest.raises(NoteWrong, match=r"other\.example"):
        open_checkpoint(await note_of(Checkpoint("other.example", 7, ROOT).text), KEY)


SIGNED = plainly_signed(TEXT, ORIGIN, SEED)[0]
LINE = SIGNED.splitlines()[-1]


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "\n",
        TEXT,
        TEXT + "\n",
        SIGNED[:-1],
        SIGNED + "\n",
        SIGNED.replace("\n", "\r\n"),
        SIGNED.replace("—", "-"),
        SIGNED.replace("— ", "—"),
        SIGNED.replace(LINE, LINE + "="),
        SIGNED.replace(LINE, LINE.replace(" ", "  ")),
        SIGNED.replace(LINE, f"— {ORIGIN} "),
        SIGNED.replace(LINE, f"— {ORIGIN} AAAAAA=="),
        SIGNED.replace(LINE, f"— {ORIGIN} AAAAAB=="),
        SIGNED.replace(ORIGIN, "log+credence"),
        SIGNED.replace(ORIGIN, "log\u00a0credence"),
        SIGNED.replace("7", "\x007"),
        TEXT + "\n" + f"{LINE}\n" * (SIGNATURES_MAX + 1),
        "x" * 1_000_001 + "\n\n" + LINE + "\n",
    ],
)
def test_what_is_not_exactly_a_note_is_refused(raw: str) -> None:
    with pytest.raises(NoteWrong):
        open_note(raw, KEY)


B64 = base64.b64encode(ROOT).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{ORIGIN}\n7\n",
        f"{ORIGIN}\n7\n{B64}",
        f"\n7\n{B64}\n",
        f"{ORIGIN}\n07\n{B64}\n",
        f"{ORIGIN}\n-7\n{B64}\n",
        f"{ORIGIN}\n+7\n{B64}\n",
        f"{ORIGIN}\n٧\n{B64}\n",
        f"{ORIGIN}\n7 \n{B64}\n",
        f"{ORIGIN}\n\n{B64}\n",
        f"{ORIGIN}\n{2**63}\n{B64}\n",
        f"{ORIGIN}\n{10**40}\n{B64}\n",
        f"{ORIGIN}\n7\n{B64[:-2]}\n",
        # The same bytes, written with bits that stand for nothing.
        f"{ORIGIN}\n7\n{B64[:-2]}{chr(ord(B64[-2]) + 1)}=\n",
        f"{ORIGIN}\n7\n{base64.b64encode(ROOT[1:]).decode()}\n",
        f"{ORIGIN}\n7\n{B64}\n\nmore\n",
    ],
)
def test_what_is_not_exactly_a_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteWrong):
        parse_checkpoint(text)


def test_more_lines_of_a_checkpoint_are_allowed() -> None:
    """Other logs extend theirs."""
    assert parse_checkpoint(TEXT + "more\n") == Checkpoint(ORIGIN, 7, ROOT)


VKEY = str(KEY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ORIGIN,
        VKEY[:-1],
        VKEY + "+",
        VKEY.replace(ORIGIN, "other.example"),
        VKEY.replace(ORIGIN, ""),
        VKEY.replace(KEY.key_id.hex(), KEY.key_id.hex().upper()),
        VKEY.replace(KEY.key_id.hex(), "00000000"),
        f"{ORIGIN}+{KEY.key_id.hex()}+{base64.b64encode(b'x02' + KEY.public_key).decode()}",
        f"{ORIGIN}+{KEY.key_id.hex()}+{base64.b64encode(bytes([1]) + KEY.public_key[1:]).decode()}",
    ],
)
def test_what_is_not_exactly_a_key_is_refused(text: str) -> None:
    with pytest.raises(NoteWrong):
        VerifierKey.parse(text)


def test_a_text_that_would_be_read_back_otherwise_is_not_written() -> None:
    for text in ("no line break", "control\x01\n"):
        with pytest.raises(NoteWrong):
            write_note(text, [KEY.sign_with(bytes(64))])


async def test_a_signer_with_another_key_than_it_says_publishes_nothing() -> None:
    """A wrong key in the settings is noticed before anybody sees a note."""
    wrong = signer()
    wrong._key = OTHER._key

    with pytest.raises(SigningFailed, match="does not verify"):
        await note_of(by=wrong)


def test_a_key_file_is_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    with pytest.raises(SigningFailed):
        LocalSigner.from_file(ORIGIN, path)
    path.write_text("no key")
    with pytest.raises(SigningFailed):
        LocalSigner.from_file(ORIGIN, path)
