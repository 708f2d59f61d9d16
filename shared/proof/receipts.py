"""Making receipts: finding the way from an entry to the last checkpoint."""

from enum import Enum

from shared.base.log import write_line
from shared.base.merkle import inclusion_spans, prove_inclusion
from shared.base.together import both
from shared.ledger.archive import LedgerArchive
from shared.ledger.chain import hash_content
from shared.ledger.documents import entry_from
from shared.ledger.errors import ChainBroken, LedgerUnavailable
from shared.ledger.models import Entry
from shared.ledger.store import StoreUnavailable
from shared.proof.errors import LogBroken, TileWrong
from shared.proof.log import LoggedHead
from shared.proof.receipt import LINKS_MAX, Receipt, ReceiptProof, follow_links, write_proof, write_receipt
from shared.proof.store import LogStore
from shared.proof.tiles import reader_of, tiles_of


class Missing(Enum):
    """Why an entry has no proof, as its owner is told."""

    PENDING = "The next checkpoint has not covered this entry yet; ask again in a minute."
    TOO_FAR = f"More than {LINKS_MAX} entries lie between this one and the checkpoint after it."
    BROKEN = "What is stored does not lead from this entry to the log; we have been alarmed."


class Receipts:
    """Entries with their proofs."""

    def __init__(self, archive: LedgerArchive, log: LogStore) -> None:
        self._archive = archive
        self._log = log

    async def receipt(self, entry: Entry) -> Receipt:
        """The receipt of an entry, with a proof where there can be one. Raise LedgerUnavailable."""
        try:
            proof = await self._proof(entry)
        except StoreUnavailable:
            raise LedgerUnavailable from None
        except (LogBroken, TileWrong, ChainBroken) as error:
            write_line("CRITICAL", "receipt_unprovable", account=entry.account_id, seq=entry.seq, reason=str(error))
            proof = Missing.BROKEN
        if isinstance(proof, Missing):
            return write_receipt(entry, None, proof.value)
        return write_receipt(entry, proof, None)

    async def _proof(self, entry: Entry) -> ReceiptProof | Missing:
        # Read side by side: a statement that is newer than the state it meets only has to wait.
        known, head = await both(self._log.state(), self._log.first_statement(entry.account_id, entry.seq))
        state = known.state
        if head is None or head.leaf_index >= state.size:
            return Missing.PENDING
        if head.statement.seq - entry.seq > LINKS_MAX:
            return Missing.TOO_FAR
        named = tiles_of(inclusion_spans(head.leaf_index, state.size))
        links, tiles = await both(self._links(entry, head), self._log.tiles(named))
        inclusion = prove_inclusion(head.leaf_index, state.size, reader_of(tiles))
        return write_proof(head, links, inclusion, state.note)

    async def _links(self, entry: Entry, head: LoggedHead) -> list[str]:
        """The content hashes of the entries after this one up to the stated head. Raise ChainBroken."""
        statement = head.statement
        links: list[str] = []
        if statement.seq > entry.seq:
            async for entry_id, document in self._archive.entry_documents(entry.account_id, entry.seq):
                links.append(hash_content(entry_from(entry_id, document)))
                if len(links) == statement.seq - entry.seq:
                    break
        if follow_links(entry.hash, links) != statement.hash:
            raise ChainBroken("its entries do not lead to the logged head", account_id=entry.account_id, seq=entry.seq)
        return links
