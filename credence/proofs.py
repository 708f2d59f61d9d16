"""`verify receipt` and `verify consistency`: what anybody can check with the log's public key, and no leave from us.

Exit code 0: it proves what it says. 1: it does not, and why. 2: wrong usage, or something needed cannot be read.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import requests

from credence.text import JsonWrong, printable, read_object
from shared.base.merkle import HASH_BYTES, ProofWrong, consistency_spans, prove_consistency, verify_consistency
from shared.proof.errors import NoteWrong, ReceiptWrong, TileWrong
from shared.proof.note import Checkpoint, VerifierKey, open_checkpoint
from shared.proof.receipt import moment, verify_receipt
from shared.proof.tiles import TILE_LEAVES, Tile, TileKey, cut, reader_of, tiles_of, width_at

PROVED, REFUTED, UNREADABLE = 0, 1, 2
TIMEOUT_S = 10.0
RECEIPT_BYTES_MAX = 10_000_000
"""Far above the largest receipt; what is larger is another file."""

TILE_BYTES_MAX = TILE_LEAVES * HASH_BYTES
"""No more is read of an answer: the log is not trusted, and might never end one."""


class Unreadable(Exception):
    """Something that is needed for the check cannot be had."""


class Subcommands(Protocol):
    """What argparse gives for adding commands."""

    def add_parser(self, name: str, **options: Any) -> argparse.ArgumentParser: ...


def add_arguments(subjects: Subcommands) -> None:
    """Describe the two commands."""
    receipt = subjects.add_parser("receipt", help="one receipt, offline")
    receipt.add_argument("file", metavar="FILE", type=Path, help="what GET /v1/receipts/{receipt_id} answered")
    receipt.set_defaults(run=lambda options: _run(options, _receipt))
    consistency = subjects.add_parser("consistency", help="that one checkpoint of the log leads to another")
    consistency.add_argument("notes", metavar="NOTE", type=Path, nargs=2, help="two checkpoints, in any order")
    consistency.add_argument("--log", required=True, metavar="URL_OR_FOLDER", help="where the log's tiles are")
    consistency.set_defaults(run=lambda options: _run(options, _consistency))
    for command in (receipt, consistency):
        command.add_argument("--key", required=True, metavar="KEY_OR_FILE", help="the log's public key: name+id+key")
        command.add_argument("--json", action="store_true", help="print one JSON object")


def _run(options: argparse.Namespace, check: Callable[[argparse.Namespace, VerifierKey], dict[str, Any]]) -> int:
    try:
        answer = check(options, read_key(options.key))
    except Unreadable as error:
        sys.stderr.write(f"{printable(str(error))}\n")
        return UNREADABLE
    proved = bool(answer["proved"])
    if options.json:
        sys.stdout.write(json.dumps(answer) + "\n")
    else:
        sys.stdout.write(f"{'proved' if proved else 'refuted'}: {printable(answer['says'])}\n")
    return PROVED if proved else REFUTED


def _receipt(options: argparse.Namespace, key: VerifierKey) -> dict[str, Any]:
    try:
        bundle = read_object(read_text(options.file))
    except JsonWrong as error:
        raise Unreadable(f"{options.file} is no receipt: {error}") from None
    try:
        verified = verify_receipt(bundle, key)
    except ReceiptWrong as error:
        return {"proved": False, "piece": error.piece, "reason": error.reason, "says": str(error)}
    entry, checkpoint = verified.entry, verified.checkpoint
    says = (
        f"{entry.account_id} entry {entry.seq}, {bundle['kind']} of {bundle['credits']} credits, {moment(entry.at_ms)}"
        f", balance {bundle['balance_credits']}, in checkpoint {checkpoint.size} of {checkpoint.origin}"
    )
    return {"proved": True, "account": entry.account_id, "seq": entry.seq, "size": checkpoint.size, "says": says}


def _consistency(options: argparse.Namespace, key: VerifierKey) -> dict[str, Any]:
    try:
        old, new = sorted((open_checkpoint(read_text(path), key) for path in options.notes), key=lambda one: one.size)
    except NoteWrong as error:
        return {"proved": False, "piece": "checkpoint", "reason": str(error), "says": f"checkpoint: {error}"}
    try:
        tiles = _fetch(options.log, old, new)
        proof = prove_consistency(old.size, new.size, reader_of(tiles))
        verify_consistency(proof, old_size=old.size, old_root=old.root, new_size=new.size, new_root=new.root)
    except TileWrong:
        raise Unreadable(f"{options.log} has tiles that are not whole") from None
    except ProofWrong as error:
        # With these tiles it cannot be shown. Where the tiles come from its operator, the log has been rewritten.
        return {"proved": False, "piece": "consistency", "reason": str(error), "says": f"consistency: {error}"}
    says = f"checkpoint {new.size} of {new.origin} holds all {old.size} leaves of the earlier one, unchanged"
    return {"proved": True, "old_size": old.size, "new_size": new.size, "says": says}


def _fetch(log: str, old: Checkpoint, new: Checkpoint) -> Mapping[TileKey, bytes]:
    """The tiles that the proof is computed from. Raise Unreadable or TileWrong."""
    read = _from_url if log.startswith(("http://", "https://")) else _from_folder
    tiles = {}
    for key in sorted(tiles_of(consistency_spans(old.size, new.size))):
        tile = Tile(*key, width_at(key, new.size))
        stored = read(log, tile.path)
        if stored is None:
            # Once a tile is full, a log may drop the partial ones.
            stored = read(log, Tile(*key, TILE_LEAVES).path)
        if stored is None:
            raise Unreadable(f"{log} has no {tile.path}")
        tiles[key] = cut(tile, stored)
    return tiles


def _from_url(log: str, path: str) -> bytes | None:
    try:
        with requests.get(f"{log.rstrip('/')}/{path}", timeout=TIMEOUT_S, stream=True) as response:
            if response.status_code == requests.codes.not_found:
                return None
            if response.status_code != requests.codes.ok:
                raise Unreadable(f"{log} answered {response.status_code}")
            content = b""
            for piece in response.iter_content(TILE_BYTES_MAX):
                content += piece
                if len(content) > TILE_BYTES_MAX:
                    raise Unreadable(f"{log} answers with more than a tile at {path}")
            return content
    except requests.RequestException as error:
        raise Unreadable(f"{log} does not answer: {type(error).__name__}") from None


def _from_folder(log: str, path: str) -> bytes | None:
    try:
        with (Path(log) / path).open("rb") as file:
            # One byte more than a tile has shows that it is none, however large the file is.
            return file.read(TILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {type(error).__name__}") from None


def read_key(text: str) -> VerifierKey:
    """The key itself, or the one in a file. Raise Unreadable."""
    try:
        return VerifierKey.parse(text)
    except NoteWrong as error:
        try:
            return VerifierKey.parse(read_text(Path(text)).strip())
        except (Unreadable, NoteWrong):
            raise Unreadable(f"--key is neither a key nor a file with one: {error}") from None


def read_text(path: Path) -> str:
    """A file's text. Raise Unreadable."""
    try:
        with path.open("rb") as file:
            raw = file.read(RECEIPT_BYTES_MAX + 1)
        if len(raw) > RECEIPT_BYTES_MAX:
            raise Unreadable(f"{path} is too large")
        return raw.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path} cannot be read: {type(error).__name__}") from None
