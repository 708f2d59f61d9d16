"""Where the log keeps its documents: the protocol every store keeps, and Firestore's.

Paths: `log/state` is the log's head and the only document that every append writes; `log_tiles/{level}:{index}` a tile
as far as it is filled; `log_heads/{account}` the last statement about an account, and
`log_heads/{account}/statements/{seq}` each of them, from which a receipt starts. `alarms/{name}` is what people must
look at. No client reads any of them but through functions.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NewType, Protocol

from google.api_core import exceptions as google_errors
from google.cloud import firestore
from msgspec import Struct

from shared.base.ids import AccountId
from shared.ledger.archive import Stamp
from shared.ledger.store import COMMIT_TIMEOUT_S, READ_TIMEOUT_S, StoreUnavailable
from shared.proof.errors import CommitLost, LogBroken, TileWrong
from shared.proof.log import Append, LoggedHead, LogState, Statement
from shared.proof.tiles import ENTRIES, TileKey

PAGE_STATEMENTS_MAX = 1_000
"""Statements of one read, about 200 bytes each."""
SEQ_DIGITS = 19
"""Names of statements are padded, so that their order is that of the numbers."""

StateVersion = NewType("StateVersion", object)
"""Opaque: names one state of the log. An append that expects an older one fails."""


class KnownState(Struct, frozen=True):
    """The log's state as it was read, with the version an append must still find. `None`: nothing was ever logged."""

    state: LogState
    version: StateVersion | None


class LogStore(Protocol):
    """What the log asks of a store. Reads raise StoreUnavailable when there is no answer in time."""

    async def state(self) -> KnownState:
        """How far the log has come. Raise LogBroken when the document is not one."""

    async def tiles(self, keys: Iterable[TileKey]) -> Mapping[TileKey, bytes]:
        """Tiles as far as they are filled, perhaps further than a state read before says. Absent ones are left out.

        Raise TileWrong when a document is none.
        """

    async def logged(self, account_ids: Sequence[AccountId]) -> Mapping[AccountId, LoggedHead]:
        """The last statement about each account; those never stated are left out."""

    async def first_statement(self, account_id: AccountId, from_seq: int) -> LoggedHead | None:
        """The earliest statement about the account at or after an entry."""

    def statements(self) -> AsyncIterator[LoggedHead]:
        """Every statement that was ever logged, in no promised order."""

    async def append(self, append: Append, expected: StateVersion | None) -> StateVersion:
        """Write all or nothing: state over its expected version, tiles, statements. Returned means durable.

        Raise CommitLost when anything else happened, a lost answer included; the store never retries.
        """

    async def raise_alarm(self, name: str, fields: Mapping[str, str | int]) -> None:
        """Create or renew an alarm; a repeat changes nothing."""

    async def alarms_raised(self, names: Sequence[str]) -> frozenset[str]:
        """Those of the alarms that are raised."""

    async def clear_alarm(self, name: str) -> None:
        """What a raised alarm told of is over. The document stays, for those who ask what happened."""


class FirestoreLogStore:
    """The log in Firestore. One `append` is one Commit call: no transaction is begun and no lock is held."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def state(self) -> KnownState:
        try:
            snapshot = await self._state().get(retry=None, timeout=READ_TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise StoreUnavailable from error
        if not snapshot.exists:
            return KnownState(LogState(), None)
        return KnownState(state_from(snapshot.to_dict() or {}), StateVersion(snapshot.update_time))

    async def tiles(self, keys: Iterable[TileKey]) -> Mapping[TileKey, bytes]:
        key_of = {tile_id(key): key for key in keys}
        found = await self._get_all([self._tile(key) for key in key_of.values()])
        return {key_of[name]: tile_from(fields) for name, fields in found.items()}

    async def logged(self, account_ids: Sequence[AccountId]) -> Mapping[AccountId, LoggedHead]:
        found = await self._get_all([self._head(account_id) for account_id in account_ids])
        return {AccountId(name): logged_from(AccountId(name), fields) for name, fields in found.items()}

    async def first_statement(self, account_id: AccountId, from_seq: int) -> LoggedHead | None:
        statements = self._head(account_id).collection("statements")
        query = statements.order_by("__name__").start_at({"__name__": statement_id(from_seq)}).limit(1)
        try:
            found = [snapshot async for snapshot in query.stream(retry=None, timeout=READ_TIMEOUT_S)]
        except google_errors.GoogleAPICallError as error:
            raise StoreUnavailable from error
        return logged_from(account_id, found[0].to_dict() or {}) if found else None

    async def statements(self) -> AsyncIterator[LoggedHead]:
        query = self._client.collection_group("statements").limit(PAGE_STATEMENTS_MAX)
        page_query = query
        while True:
            try:
                page = [snapshot async for snapshot in page_query.stream(retry=None, timeout=READ_TIMEOUT_S)]
            except google_errors.GoogleAPICallError as error:
                raise StoreUnavailable from error
            for snapshot in page:
                yield logged_from(AccountId(snapshot.reference.parent.parent.id), snapshot.to_dict() or {})
            if len(page) < PAGE_STATEMENTS_MAX:
                return
            page_query = query.start_after(page[-1])

    async def append(self, append: Append, expected: StateVersion | None) -> StateVersion:
        # The precondition on the one document that every append writes makes appends follow each other: two that
        # started from the same state cannot both be written, so the log cannot fork, whoever else is appending. It
        # holds because each append changes the size: a write that changes nothing gives a document no new version.
        batch = self._client.batch()
        if expected is None:
            batch.create(self._state(), state_document(append.state))
        else:
            option = self._client.write_option(last_update_time=expected)
            batch.update(self._state(), state_document(append.state), option=option)
        for key, stored in append.tiles.items():
            batch.set(self._tile(key), {"bytes": stored})
        for head in append.heads:
            account = self._head(head.statement.account_id)
            batch.set(account, logged_document(head))
            batch.set(
                account.collection("statements").document(statement_id(head.statement.seq)), logged_document(head)
            )
        try:
            results = await batch.commit(retry=None, timeout=COMMIT_TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise CommitLost from error
        return StateVersion(results[0].update_time)

    async def raise_alarm(self, name: str, fields: Mapping[str, str | int]) -> None:
        # No field is called `open`, which is how the audit marks its alarms: it would look for an account of this name.
        document = {**fields, "raised": True, "at": firestore.SERVER_TIMESTAMP}
        await self._write_alarm(name, document)

    async def alarms_raised(self, names: Sequence[str]) -> frozenset[str]:
        found = await self._get_all([self._client.document(f"alarms/{name}") for name in names])
        return frozenset(name for name, fields in found.items() if fields.get("raised"))

    async def clear_alarm(self, name: str) -> None:
        await self._write_alarm(name, {"raised": False, "cleared_at": firestore.SERVER_TIMESTAMP}, merge=True)

    async def _write_alarm(self, name: str, document: dict[str, Any], *, merge: bool = False) -> None:
        reference = self._client.document(f"alarms/{name}")
        try:
            await reference.set(document, merge=merge, retry=None, timeout=READ_TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise StoreUnavailable from error

    async def _get_all(self, references: list[firestore.AsyncDocumentReference]) -> dict[str, dict[str, Any]]:
        if not references:
            return {}
        try:
            return {
                snapshot.id: snapshot.to_dict() or {}
                async for snapshot in self._client.get_all(references, retry=None, timeout=READ_TIMEOUT_S)
                if snapshot.exists
            }
        except google_errors.GoogleAPICallError as error:
            raise StoreUnavailable from error

    def _state(self) -> firestore.AsyncDocumentReference:
        return self._client.document("log/state")

    def _tile(self, key: TileKey) -> firestore.AsyncDocumentReference:
        return self._client.document(f"log_tiles/{tile_id(key)}")

    def _head(self, account_id: AccountId) -> firestore.AsyncDocumentReference:
        return self._client.document(f"log_heads/{account_id}")


def tile_id(key: TileKey) -> str:
    """The document that holds a tile."""
    level, index = key
    return f"{'entries' if level == ENTRIES else level}:{index}"


def statement_id(seq: int) -> str:
    """The document that holds the statement about an account's entry `seq`."""
    return f"{seq:0{SEQ_DIGITS}d}"


def tile_from(fields: Mapping[str, Any]) -> bytes:
    """A stored tile. Raise TileWrong when it is none: of a number `bytes` would make as many zeros."""
    stored = fields.get("bytes")
    if not isinstance(stored, bytes):
        raise TileWrong("the document of a tile holds no bytes")
    return stored


def state_document(state: LogState) -> dict[str, Any]:
    """The log's state as it is stored."""
    return {
        "size": state.size,
        "root": state.root,
        "epoch": state.epoch,
        "note": state.note,
        "cursors": {
            str(band): {"posted_at": stamp.posted_at, "account": stamp.account_id}
            for band, stamp in state.cursors.items()
        },
        "at_ms": state.at_ms,
    }


def state_from(fields: Mapping[str, Any]) -> LogState:
    """A stored state. Raise LogBroken when it is not one: what cannot be read must not be built upon."""
    try:
        cursors = {int(band): _stamp(cursor) for band, cursor in fields["cursors"].items()}
        numbers = [fields[name] for name in ("size", "epoch", "at_ms")]
        texts = [fields[name] for name in ("root", "note")]
        if any(type(number) is not int for number in numbers) or any(type(text) is not str for text in texts):
            raise TypeError("a field is of another type")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LogBroken(f"the document of the log's state is malformed: {type(error).__name__}") from None
    size, epoch, at_ms = numbers
    root, note = texts
    return LogState(size, root, epoch, note, cursors, at_ms)


def _stamp(fields: Mapping[str, Any]) -> Stamp:
    if not isinstance(fields["posted_at"], datetime):
        raise TypeError("not a time")
    return Stamp(fields["posted_at"], AccountId(str(fields["account"])))


def logged_document(head: LoggedHead) -> dict[str, Any]:
    """A statement and its place as they are stored."""
    statement = head.statement
    return {
        "seq": statement.seq,
        "hash": statement.hash,
        "balance_micros": statement.balance_micros,
        "at_ms": statement.at_ms,
        "leaf_index": head.leaf_index,
    }


def logged_from(account_id: AccountId, fields: Mapping[str, Any]) -> LoggedHead:
    """A stored statement. Raise LogBroken when it is not one."""
    try:
        statement = Statement(
            account_id, int(fields["seq"]), str(fields["hash"]), int(fields["balance_micros"]), int(fields["at_ms"])
        )
        return LoggedHead(statement, int(fields["leaf_index"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        raise LogBroken("the document of a logged statement is malformed") from None
