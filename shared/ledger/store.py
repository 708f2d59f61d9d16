"""Where the ledger keeps its documents: the protocol every store keeps, and Firestore's.

Paths: `accounts/{account}` is a head, `accounts/{account}/entries/{entry}` an entry; clients read them under
`firestore.rules`. The fields of both are written out in `documents.py` and, for server time, here.
"""

from collections.abc import Mapping, Sequence
from typing import NewType, Protocol

import grpc
from google.api_core import exceptions as google_errors
from google.cloud import firestore
from msgspec import Struct

from shared.base.ids import AccountId, EntryId
from shared.ledger import protobuf
from shared.ledger.documents import entry_document, entry_from, head_document, head_from
from shared.ledger.models import Entry, Head

DATABASE = "(default)"
COMMIT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 5.0
VISIBLE_WITHIN_S = 60
"""How long after the server received a commit it may become visible, and how far behind its time a reader stays that
must miss none. A commit of ours waits five seconds; the server gives up on one that takes longer than this."""

Version = NewType("Version", object)
"""Opaque: names one state of one head. A commit that expects an older one fails."""
EntryRef = tuple[AccountId, EntryId]


class CommitFailed(Exception):
    """The commit was rejected, or its outcome is unknown. Either way only a reread tells what stands."""


class StoreUnavailable(Exception):
    """A read did not answer in time."""


class KnownHead(Struct, frozen=True):
    """A head as it was read or written, with the version a later commit must still find. `None`: no such account."""

    head: Head | None
    version: Version | None


class Snapshot(Struct, frozen=True):
    """What one batched read saw. Absent entries are left out."""

    heads: Mapping[AccountId, KnownHead]
    entries: Mapping[EntryRef, Entry]


class HeadWrite(Struct, frozen=True):
    """A head to write over the version it was computed from; `None` means that it must not exist yet."""

    head: Head
    expected: Version | None


class LedgerStore(Protocol):
    """What the engine asks of a store."""

    async def read(self, account_ids: Sequence[AccountId], entry_refs: Sequence[EntryRef]) -> Snapshot:
        """Entries first, then heads: an entry reported absent was absent when the heads were read.

        Raise StoreUnavailable when there is no answer in time. The caller decides whether to try again.
        """

    async def commit(self, heads: Sequence[HeadWrite], entries: Sequence[Entry]) -> Mapping[AccountId, Version]:
        """Write all or nothing: each head over its expected version, each entry only if its id is new.

        Returned means durable. Raise CommitFailed when anything else happened, a lost answer included; the store
        never retries, because only the engine can tell a lost answer from a lost race.
        """


class FirestoreLedgerStore:
    """The ledger in Firestore. One `commit` is one Commit call: no transaction is begun and no lock is held."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def read(self, account_ids: Sequence[AccountId], entry_refs: Sequence[EntryRef]) -> Snapshot:
        # BatchGetDocuments promises that what it returned earlier has not changed when it reads the rest, so one
        # call is enough; an absent entry and the head that would show it can not contradict each other.
        refs = [self._entry(ref) for ref in entry_refs] + [self._account(account_id) for account_id in account_ids]
        heads: dict[AccountId, KnownHead] = {account_id: KnownHead(None, None) for account_id in account_ids}
        entries: dict[EntryRef, Entry] = {}
        try:
            async for snapshot in self._client.get_all(refs, retry=None, timeout=READ_TIMEOUT_S):
                if not snapshot.exists:
                    continue
                if len(snapshot.reference.path.split("/")) == 2:
                    account_id = AccountId(snapshot.id)
                    head = head_from(account_id, snapshot.to_dict() or {})
                    updated = protobuf.update_time_of(snapshot.update_time.timestamp_pb())
                    heads[account_id] = KnownHead(head, Version(updated))
                else:
                    entry = entry_from(EntryId(snapshot.id), snapshot.to_dict() or {})
                    entries[AccountId(snapshot.reference.parent.parent.id), entry.entry_id] = entry
        except google_errors.GoogleAPICallError as error:
            raise StoreUnavailable from error
        return Snapshot(heads, entries)

    async def commit(self, heads: Sequence[HeadWrite], entries: Sequence[Entry]) -> Mapping[AccountId, Version]:
        writes = []
        for write in heads:
            name, document = self._account_name(write.head.account_id), head_document(write.head)
            if write.expected is None:
                writes.append(protobuf.create(name, document, stamp="posted_at"))
            else:
                writes.append(protobuf.replace(name, document, stamp="posted_at", expected=write.expected))
        for entry in entries:
            name = f"{self._account_name(entry.account_id)}/entries/{entry.entry_id}"
            writes.append(protobuf.create(name, entry_document(entry), stamp="committed_at"))
        try:
            versions = await protobuf.commit(self._client, writes, timeout_s=COMMIT_TIMEOUT_S)
        except grpc.RpcError as error:
            raise CommitFailed from error
        written = zip(heads, versions[: len(heads)], strict=True)
        return {write.head.account_id: Version(version) for write, version in written}

    def _account_name(self, account_id: AccountId) -> str:
        return f"projects/{self._client.project}/databases/{DATABASE}/documents/accounts/{account_id}"

    def _account(self, account_id: AccountId) -> firestore.AsyncDocumentReference:
        return self._client.collection("accounts").document(account_id)

    def _entry(self, ref: EntryRef) -> firestore.AsyncDocumentReference:
        account_id, entry_id = ref
        document: firestore.AsyncDocumentReference = self._account(account_id).collection("entries").document(entry_id)
        return document
