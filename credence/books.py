"""What a verifier reads: the ledger's raw documents and the log's, from Firestore or from a file they were exported to.

A file has one JSON object a line; `export` writes it, and `verify ledger --export FILE` reads it with no network.
"""

import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from google.cloud import firestore
from msgspec import Struct

from credence.text import JsonWrong, read_object
from shared.base.ids import AccountId, EntryId
from shared.ledger.archive import FirestoreLedgerArchive, LedgerArchive
from shared.ledger.documents import Document
from shared.ledger.memory import MemoryLedgerArchive, MemoryLedgerStore, MemoryLedgerWindows
from shared.ledger.verify import payees_first
from shared.ledger.windows import FirestoreLedgerWindows, LedgerWindows
from shared.proof.memory import MemoryLogStore
from shared.proof.store import FirestoreLogStore, LogStore, logged_document, state_document
from shared.proof.tiles import ENTRIES, TILE_LEAVES

OnAccount = Callable[[int], None]
Key = TypeVar("Key")
Value = TypeVar("Value")


class BooksUnreadable(Exception):
    """A file is no export, or breaks off."""


class NotExported(Exception):
    """A document holds what no document of ours holds, so the ledger is broken there."""


class Books(Struct, frozen=True):
    """A ledger and its log."""

    archive: LedgerArchive
    windows: LedgerWindows
    log: LogStore

    @classmethod
    def in_firestore(cls, project_id: str) -> Self:
        """Those of a project."""
        client = firestore.AsyncClient(project=project_id)
        return cls(FirestoreLedgerArchive(client), FirestoreLedgerWindows(client), FirestoreLogStore(client))

    @classmethod
    def in_file(cls, path: Path) -> Self:
        """Those of an export, held in memory. Raise BooksUnreadable."""
        store, log = MemoryLedgerStore(), MemoryLogStore()
        archive, windows = _Exported(store), MemoryLedgerWindows(store)
        whole = False
        for line in _lines(path):
            if whole:
                raise BooksUnreadable(f"{path} goes on after its last line")
            try:
                whole = _read(line, store, archive, windows, log)
            except (JsonWrong, KeyError, TypeError, ValueError) as error:
                raise BooksUnreadable(f"{path} has a line that is none of an export: {error}") from None
        if not whole:
            raise BooksUnreadable(f"{path} breaks off: its last line is missing")
        return cls(archive, windows, log)

    async def lines(self, on_account: OnAccount) -> AsyncIterator[str]:
        """The books as lines of an export; `on_account` is told how many accounts were written."""
        # The log and the horizons first: the accounts, read later, have at least what these say of them.
        state = (await self.log.state()).state
        yield _line({"what": "log", "state": state_document(state)})
        for index in range(-(-state.size // TILE_LEAVES)):
            tiles = await self.log.tiles([(ENTRIES, index)])
            for (_, number), stored in tiles.items():
                yield _line({"what": "leaves", "index": number, "bytes": base64.b64encode(stored).decode()})
        async for head in self.log.statements():
            account_id = head.statement.account_id
            yield _line({"what": "statement", "account": account_id, "fields": logged_document(head)})
        for band, settled_until in (await self.windows.horizons()).settled_until.items():
            yield _line({"what": "horizon", "band": band, "settled_until": settled_until})
        count = 0
        async for account_id in payees_first(self.archive):
            async for line in self._account(account_id):
                yield line
            count += 1
            on_account(count)
        yield _line({"what": "end", "accounts": count})

    async def _account(self, account_id: AccountId) -> AsyncIterator[str]:
        document, count = await self.archive.head_and_count(account_id)
        yield _line({"what": "head", "account": account_id, "documents": count, "fields": document})
        seq = (document or {}).get("seq")
        async for entry_id, entry in self.archive.entry_documents(account_id):
            # What was posted after the head was read belongs to the next export.
            if isinstance(seq, int) and isinstance(entry.get("seq"), int) and entry["seq"] > seq:
                return
            yield _line({"what": "entry", "account": account_id, "id": entry_id, "fields": entry})


class _Exported(MemoryLedgerArchive):
    """An archive that knows how many documents each account had, those too that no query finds, and which are whose:
    to look for them among all others would take a large ledger days."""

    def __init__(self, store: MemoryLedgerStore) -> None:
        super().__init__(store)
        self.documents: dict[AccountId, int] = {}
        self.owned: dict[AccountId, list[EntryId]] = {}

    async def head_and_count(self, account_id: AccountId) -> tuple[Document | None, int]:
        head, count = await super().head_and_count(account_id)
        return head, self.documents.get(account_id, count)

    def entry_ids(self, account_id: AccountId) -> Sequence[EntryId]:
        return self.owned.get(account_id, ())


def _read(
    line: str, store: MemoryLedgerStore, archive: _Exported, windows: MemoryLedgerWindows, log: MemoryLogStore
) -> bool:
    """Take in one line; True for the last one. Raise JsonWrong, KeyError, TypeError or ValueError for any other shape.

    What is a document's is taken as it is, for the checks to judge; what is the file's own must be as we write it, and
    stand there once: of two lines one reader would take the first and another the last.
    """
    said = read_object(line)
    match said["what"]:
        case "head":
            account_id = AccountId(_as(str, said["account"]))
            _put_once(archive.documents, account_id, _as(int, said["documents"]))
            if said["fields"] is not None:
                store.heads[account_id] = _timed(said["fields"], "posted_at")
        case "entry":
            ref = AccountId(_as(str, said["account"])), EntryId(_as(str, said["id"]))
            _put_once(store.entries, ref, _timed(said["fields"], "committed_at"))
            archive.owned.setdefault(ref[0], []).append(ref[1])
        case "horizon":
            _put_once(windows.settled_until, _as(int, said["band"]), _as(datetime, _time(said["settled_until"])))
        case "log":
            state = _as(dict, said["state"])
            if log.state_fields is not None:
                raise ValueError("it stands there twice")
            cursors = {band: _timed(cursor, "posted_at") for band, cursor in _as(dict, state["cursors"]).items()}
            log.state_fields = {**state, "cursors": cursors} if state["size"] else None
        case "leaves":
            leaves = base64.b64decode(_as(str, said["bytes"]), validate=True)
            _put_once(log.tile_bytes, (ENTRIES, _as(int, said["index"])), leaves)
        case "statement":
            fields = _as(dict, said["fields"])
            log.stated[AccountId(_as(str, said["account"])), _as(int, fields["seq"])] = fields
        case "end":
            if _as(int, said["accounts"]) != len(archive.documents):
                raise ValueError("it counts other accounts than there are")
            return True
        case other:
            raise ValueError(f"{other!r}")
    return False


def _put_once(known: dict[Key, Value], key: Key, value: Value) -> None:
    if key in known:
        raise ValueError("it stands there twice")
    known[key] = value


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8") as file:
            yield from file
    except (OSError, UnicodeDecodeError) as error:
        raise BooksUnreadable(f"{path} cannot be read: {type(error).__name__}") from None


def _line(value: dict[str, Any]) -> str:
    try:
        return json.dumps(value, default=_text, separators=(",", ":"), ensure_ascii=False) + "\n"
    except TypeError as error:
        raise NotExported(f"{value['what']} of {value.get('account', 'the log')}: {error}") from None


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"no document of ours holds a {type(value).__name__}")


def _as(kind: type[Value], value: object) -> Value:
    # bool is an int to Python and not to an export.
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{type(value).__name__} where {kind.__name__} should be")
    return value


def _timed(fields: object, name: str) -> dict[str, Any]:
    """The fields of a document whose one time was written as text."""
    document: dict[str, Any] = _as(dict, fields)
    return {**document, name: _time(document[name])} if name in document else document


def _time(value: object) -> object:
    """A moment out of its text; anything else as it is, for those to judge who need a moment."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return value
    return moment if moment and moment.tzinfo else value
