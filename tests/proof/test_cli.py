"""`python -m credence verify receipt` and `verify consistency`, as a stranger runs them: no database, no account."""

import asyncio
import contextlib
import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from credence.__main__ import main
from shared.proof.receipts import Receipts
from shared.proof.tiles import TILE_LEAVES, Tile, cut, parse_tile_path, width_at
from tests.ledger.builders import ADA, BEN, CLARA, debit, engine_on, opened
from tests.proof.builders import KEY, OTHER, LogAt, in_memory
from tests.proof.test_receipt import entry_at

pytestmark = pytest.mark.slow


class Exported:
    """A log exported into a folder: its notes, its tiles, and a receipt."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.receipt = folder / "receipt.json"
        self.key = folder / "log.key"

    def note(self, size: int) -> str:
        return str(self.folder / f"{size}.note")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export that no test touches."""
    folder = tmp_path_factory.mktemp("export")
    asyncio.run(_export(folder))
    return folder


@pytest.fixture
def exported(pristine: Path, tmp_path: Path) -> Exported:
    """A copy of it, to be spoilt."""
    shutil.copytree(pristine, tmp_path, dirs_exist_ok=True)
    return Exported(tmp_path)


async def _export(folder: Path) -> None:
    """Three accounts over enough minutes for more than one tile."""
    at: LogAt = in_memory()
    await opened(at.ledger, paid=10_000, accounts=(ADA, BEN, CLARA))
    for number in range(140):
        await engine_on(at.ledger).run(debit(1, f"debit {number}"))
        await at.checkpoints().run()
    export = Exported(folder)
    size = (await at.log.state()).state.size
    for key, stored in at.log.tile_bytes.items():  # type: ignore[attr-defined]
        tile = Tile(*key, width_at(key, size))
        path = folder / tile.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cut(tile, stored))
    for noted, note in at.vault.notes.items():  # type: ignore[attr-defined]
        (folder / f"{noted}.note").write_text(note)
    receipt = await Receipts(at.archive, at.log).receipt(await entry_at(at, 9))
    export.receipt.write_bytes(msgspec.json.encode(receipt))
    export.key.write_text(f"{KEY}\n")


@pytest.fixture
def site(exported: Exported) -> Iterator[str]:
    """The same folder over HTTP."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(exported.folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_receipt_is_proved_offline(exported: Exported, capsys: pytest.CaptureFixture[str]) -> None:
    """With the key given as it is, or in a file."""
    for key in (str(KEY), str(exported.key)):
        assert main(["verify", "receipt", str(exported.receipt), "--key", key]) == 0
        assert capsys.readouterr().out.startswith("proved: user:ada entry 9, debit of -0.000001 credits")


def test_a_changed_receipt_is_refuted(exported: Exported, capsys: pytest.CaptureFixture[str]) -> None:
    """And the piece is named, for programs too."""
    bundle = json.loads(exported.receipt.read_text())
    bundle["entry"]["delta_micros"] -= 1
    exported.receipt.write_text(json.dumps(bundle))

    assert main(["verify", "receipt", str(exported.receipt), "--key", str(KEY), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["proved"], answer["piece"]) == (False, "entry")


def test_a_receipt_under_another_key_is_refuted(exported: Exported) -> None:
    assert main(["verify", "receipt", str(exported.receipt), "--key", str(OTHER.verifier_key)]) == 1


@pytest.mark.parametrize("content", ["", "no JSON", "[]", "[" * 100_000, None])
def test_what_is_no_receipt_cannot_be_read(exported: Exported, content: str | None) -> None:
    if content is None:
        exported.receipt.unlink()
    else:
        exported.receipt.write_text(content)

    assert main(["verify", "receipt", str(exported.receipt), "--key", str(KEY)]) == 2


@pytest.mark.parametrize(
    ("found", "put"),
    [
        ('"credits":', '"credits":"1000000","credits":'),
        ('"kind":"debit"', '"kind":"grant","kind":"debit"'),
        ('"hash":', '"hash":"\\ud800","x":'),
        ('"delta_micros":', '"delta_micros":NaN,"x":'),
        ('"delta_micros":', '"delta_micros":1e999,"x":'),
    ],
)
def test_json_that_may_be_read_in_two_ways_cannot_be_read(
    exported: Exported, found: str, put: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a name that stands twice people see the first one, and the entry proves the last."""
    text = exported.receipt.read_text()
    assert found in text
    exported.receipt.write_text(text.replace(found, put, 1))

    assert main(["verify", "receipt", str(exported.receipt), "--key", str(KEY)]) == 2
    assert "no JSON as it should be" in capsys.readouterr().err


def test_a_receipt_cannot_write_lines_of_ours(exported: Exported, capsys: pytest.CaptureFixture[str]) -> None:
    """What it says is shown, and moves no cursor and breaks no line."""
    bundle = json.loads(exported.receipt.read_text())
    bundle |= {"proof": None, "proof_missing": "\r\x1b[2K\nproved: user:thief \u202e"}
    exported.receipt.write_text(json.dumps(bundle))

    assert main(["verify", "receipt", str(exported.receipt), "--key", str(KEY)]) == 1
    assert capsys.readouterr().out == "refuted: proof: \\r\\x1b[2K\\nproved: user:thief \\u202e\n"


@pytest.mark.parametrize("key", ["", "no key", "/nowhere", str(KEY)[:-1]])
def test_what_is_no_key_cannot_be_used(exported: Exported, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "receipt", str(exported.receipt), "--key", key]) == 2
    assert "--key" in capsys.readouterr().err


@pytest.mark.parametrize("sizes", [(4, 6), (6, 4), (4, 282), (258, 282), (282, 282), (4, 256)])
def test_one_checkpoint_leads_to_another(exported: Exported, site: str, sizes: tuple[int, int]) -> None:
    """From a folder or over HTTP, in any order."""
    notes = [exported.note(size) for size in sizes]

    for log in (str(exported.folder), site, f"{site}/"):
        assert main(["verify", "consistency", *notes, "--log", log, "--key", str(KEY)]) == 0


def test_a_rewritten_tile_is_refuted(exported: Exported, capsys: pytest.CaptureFixture[str]) -> None:
    """The log's operator changed an old leaf and every hash over it."""
    tile = exported.folder / "tile/0/000"
    content = tile.read_bytes()
    tile.write_bytes(bytes([content[0] ^ 1]) + content[1:])

    notes = [exported.note(6), exported.note(256)]
    assert main(["verify", "consistency", *notes, "--log", str(exported.folder), "--key", str(KEY)]) == 1
    assert capsys.readouterr().out.startswith("refuted: consistency")


def test_a_note_of_another_key_is_refuted(exported: Exported) -> None:
    notes = [exported.note(6), exported.note(256)]
    other = str(OTHER.verifier_key)

    assert main(["verify", "consistency", *notes, "--log", str(exported.folder), "--key", other]) == 1


def test_tiles_that_are_not_there_prove_nothing(exported: Exported, site: str) -> None:
    """That is not a refutation either."""
    notes = [exported.note(6), exported.note(256)]
    (exported.folder / "tile/0/000").unlink()

    for log in (str(exported.folder), site, "http://127.0.0.1:1"):
        assert main(["verify", "consistency", *notes, "--log", log, "--key", str(KEY)]) == 2
    (exported.folder / "tile/0/000").write_bytes(b"torn")
    assert main(["verify", "consistency", *notes, "--log", str(exported.folder), "--key", str(KEY)]) == 2


class Endless(BaseHTTPRequestHandler):
    """A log whose answers do not end until whoever asked is gone."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(bytes(100_000))


def test_an_answer_without_an_end_is_not_read(exported: Exported, capsys: pytest.CaptureFixture[str]) -> None:
    notes = [exported.note(6), exported.note(256)]
    with ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        log = f"http://127.0.0.1:{server.server_port}"
        assert main(["verify", "consistency", *notes, "--log", log, "--key", str(KEY)]) == 2
        server.shutdown()
        thread.join()

    assert "more than a tile" in capsys.readouterr().err


def test_a_full_tile_serves_for_a_partial_one(exported: Exported) -> None:
    """Once a tile is full, a log may drop the partial ones."""
    assert parse_tile_path("tile/0/000").width == TILE_LEAVES
    assert not (exported.folder / "tile/0/000.p").exists()

    notes = [exported.note(4), exported.note(6)]
    assert main(["verify", "consistency", *notes, "--log", str(exported.folder), "--key", str(KEY)]) == 0
