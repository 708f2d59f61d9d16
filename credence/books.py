"""What a verifier reads: the ledger's raw documents and the log's, from Firestore or from a file they were exported to.

A file has one JSON object a line; `export` writes it, and `verify ledger --export FILE` reads it with no network.
"""

import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from google.cloud import firestore
from msgspec import Struct

from shared.base.ids import AccountId, EntryId
from shared.ledger.archive import FirestoreLedgerArchive, LedgerArchive
from shared.ledger.documents import Document
from shared.ledger.memory import MemoryLedgerArchive, MemoryLedgerStore, MemoryLedgerWindows
from shared.ledger.verify import payees_first
from shared.ledger.windows import FirestoreLedgerWindows, LedgerWindows
from shared.proof.memory import MemoryLogStore
from shared.proof.store import FirestoreLogStore, LogStore, logged_document, state_document
from shared.proof.tiles import ENTRIES, TILE_LEAVES

TIMES = frozenset({"posted_at", "committed_at", "settled_until"})
OnAccount = Callable[[int], None]


class BooksUnreadable(Exception):
    """A file is no export, or breaks off."""


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
            try:
                whole = _read(line, store, archive, windows, log)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
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
    """An archive that knows how many documents each account had, those too that no query finds."""

    def __init__(self, store: MemoryLedgerStore) -> None:
        super().__init__(store)
        self.documents: dict[AccountId, int] = {}

    async def head_and_count(self, account_id: AccountId) -> tuple[Document | None, int]:
        return await self.head_document(account_id), self.documents.get(account_id, 0)


def _read(
    line: str, store: MemoryLedgerStore, archive: _Exported, windows: MemoryLedgerWindows, log: MemoryLogStore
) -> bool:
    """Take in one line; True for the last one. Raise KeyError, TypeError or ValueError for any other shape."""
    said: dict[str, Any] = json.loads(line, object_hook=_times)
    match said["what"]:
        case "head":
            account_id = AccountId(said["account"])
            archive.documents[account_id] = int(said["documents"])
            if said["fields"] is not None:
                store.heads[account_id] = said["fields"]
        case "entry":
            store.entries[AccountId(said["account"]), EntryId(said["id"])] = said["fields"]
        case "horizon":
            windows.settled_until[int(said["band"])] = said["settled_until"]
        case "log":
            log.state_fields = said["state"] if said["state"]["size"] else None
        case "leaves":
            log.tile_bytes[ENTRIES, int(said["index"])] = base64.b64decode(said["bytes"])
        case "statement":
            log.stated[AccountId(said["account"]), int(said["fields"]["seq"])] = said["fields"]
        case "end":
            return True
        case other:
            raise ValueError(f"{other!r}")
    return False


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8") as file:
            yield from file
    except (OSError, UnicodeDecodeError) as error:
        raise BooksUnreadable(f"{path} cannot be read: {type(error).__name__}") from None


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, default=_text, separators=(",", ":"), ensure_ascii=False) + "\n"


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"not exported: {type(value).__name__}")


def _times(fields: dict[str, Any]) -> dict[str, Any]:
    for name in TIMES & fields.keys():
        if isinstance(fields[name], str):
            fields[name] = datetime.fromisoformat(fields[name])
    return fields
