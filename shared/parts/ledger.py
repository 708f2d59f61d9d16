"""Builds the ledger and what proves it."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.parts.base import Parts

if TYPE_CHECKING:
    from shared.ledger.administration import Administration
    from shared.ledger.audit import Audit
    from shared.ledger.earnings import Earnings
    from shared.ledger.engine import Engine
    from shared.ledger.expiry import Expiry
    from shared.ledger.funds import Funds
    from shared.ledger.reversals import Reversals
    from shared.ledger.service import Ledger
    from shared.ledger.store import FirestoreLedgerStore
    from shared.proof.checkpoint import Checkpoints
    from shared.proof.reader import LogReader
    from shared.proof.receipts import Receipts
    from shared.proof.store import FirestoreLogStore


class LedgerParts(Parts):
    """The ledger, its timers, and the signed log."""

    @cached_property
    def ledger_store(self) -> "FirestoreLedgerStore":
        from shared.ledger.store import FirestoreLedgerStore

        return FirestoreLedgerStore(self.firestore)

    @cached_property
    def ledger_engine(self) -> "Engine":
        from shared.ledger.engine import Engine

        return Engine(self.ledger_store)

    @cached_property
    def ledger(self) -> "Ledger":
        from shared.ledger.service import Ledger

        return Ledger(self.ledger_engine, self.ledger_store, self.clock)

    @cached_property
    def funds(self) -> "Funds":
        from shared.ledger.funds import Funds

        return Funds(self.ledger_engine, self.clock)

    @cached_property
    def administration(self) -> "Administration":
        from shared.ledger.administration import Administration

        return Administration(self.ledger_engine, self.ledger_store, self.clock)

    @cached_property
    def reversals(self) -> "Reversals":
        from shared.ledger.reversals import Reversals

        return Reversals(self.ledger_engine, self.clock)

    @cached_property
    def expiry(self) -> "Expiry":
        from shared.ledger.expiry import Expiry
        from shared.ledger.lapsed import FirestoreLapsed

        return Expiry(self.administration, FirestoreLapsed(self.firestore), self.clock)

    @cached_property
    def earnings(self) -> "Earnings":
        from shared.ledger.earnings import Earnings
        from shared.ledger.sales import FirestoreSales
        from shared.ledger.windows import FirestoreLedgerWindows

        return Earnings(self.ledger_store, FirestoreLedgerWindows(self.firestore), FirestoreSales(self.firestore))

    @cached_property
    def audit(self) -> "Audit":
        from shared.ledger.archive import FirestoreLedgerArchive
        from shared.ledger.audit import Audit
        from shared.ledger.marks import FirestoreAuditMarks

        return Audit(FirestoreLedgerArchive(self.firestore), FirestoreAuditMarks(self.firestore), self.clock)

    @cached_property
    def log(self) -> "FirestoreLogStore":
        from shared.proof.store import FirestoreLogStore

        return FirestoreLogStore(self.firestore)

    @cached_property
    def log_reader(self) -> "LogReader":
        from shared.proof.reader import LogReader

        return LogReader(self.log)

    @cached_property
    def receipts(self) -> "Receipts":
        from shared.ledger.archive import FirestoreLedgerArchive
        from shared.proof.receipts import Receipts

        return Receipts(FirestoreLedgerArchive(self.firestore), self.log)

    @cached_property
    def checkpoints(self) -> "Checkpoints":
        from shared.ledger.archive import FirestoreLedgerArchive
        from shared.ledger.windows import FirestoreLedgerWindows
        from shared.proof.checkpoint import Checkpoints
        from shared.proof.custody import signer_from, vault_from
        from shared.proof.sums import FirestoreEpochSums

        return Checkpoints(
            ledger=self.ledger_store,
            archive=FirestoreLedgerArchive(self.firestore),
            log=self.log,
            sums=FirestoreEpochSums(self.firestore, FirestoreLedgerWindows(self.firestore)),
            signer=signer_from(self.settings),
            vault=vault_from(self.settings),
            clock=self.clock,
        )
