"""Builds what keeps contributed keys."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.parts.gateway import GatewayParts

if TYPE_CHECKING:
    from shared.catalog.service import Catalog
    from shared.ledger.advances import Advances
    from shared.ledger.settlement import Settlement
    from shared.providers.models import Provider
    from shared.resources.books import ContributionBooks
    from shared.resources.care import KeyCare
    from shared.resources.complaint_store import FirestoreComplaints
    from shared.resources.complaints import Complaints
    from shared.resources.deposits import Deposits
    from shared.resources.pending import PendingCalls
    from shared.resources.returns import Returns
    from shared.resources.service import Contributions
    from shared.resources.store import FirestoreKeys, FirestoreOverrides
    from shared.resources.validation import Validation
    from shared.resources.windows import FirestoreWindows


class ResourceParts(GatewayParts):
    """Keys that people contribute."""

    @cached_property
    def advances(self) -> "Advances":
        from shared.ledger.advances import Advances

        return Advances(self.ledger_engine, self.clock)

    @cached_property
    def key_store(self) -> "FirestoreKeys":
        from shared.resources.store import FirestoreKeys

        return FirestoreKeys(self.firestore)

    @cached_property
    def pool_overrides(self) -> "FirestoreOverrides":
        from shared.resources.store import FirestoreOverrides

        return FirestoreOverrides(self.firestore)

    @cached_property
    def returns(self) -> "Returns":
        from shared.resources.returns import Returns

        return Returns(self.key_store, self.advances)

    @cached_property
    def address_book(self) -> "dict[str, Provider]":
        """All providers at whose address a key may be tried, those too for which we have no key of our own."""
        from shared.providers.service import addressed_providers

        return {provider.name: provider for provider in addressed_providers(self.settings)}

    @cached_property
    def contributable(self) -> "Catalog":
        """The catalog with all routes that a contributed key could serve."""
        from shared.catalog.service import Catalog

        return Catalog.from_file(self.address_book.keys(), self.model_versions, self.clock)

    @cached_property
    def contributions(self) -> "Contributions":
        from shared.resources.service import Contributions

        return Contributions(self.key_store, self.returns, self.clock)

    @cached_property
    def deposits(self) -> "Deposits":
        from shared.resources.deposits import Deposits

        return Deposits(
            store=self.key_store,
            overrides=self.pool_overrides,
            vault=self.vault,
            catalog=self.contributable,
            providers=self.address_book,
            tasks=self.tasks,
            clock=self.clock,
        )

    @cached_property
    def key_validation(self) -> "Validation":
        from shared.resources.gateway import ProviderProbe
        from shared.resources.validation import Validation

        return Validation(
            store=self.key_store,
            overrides=self.pool_overrides,
            vault=self.vault,
            catalog=self.contributable,
            providers=self.address_book,
            probe=ProviderProbe(),
            advances=self.advances,
            returns=self.returns,
            clock=self.clock,
        )

    @cached_property
    def key_care(self) -> "KeyCare":
        from shared.resources.care import KeyCare

        return KeyCare(self.key_store, self.contributions, self.pool_overrides, self.returns, self.tasks, self.clock)

    @cached_property
    def complaint_store(self) -> "FirestoreComplaints":
        from shared.resources.complaint_store import FirestoreComplaints

        return FirestoreComplaints(self.firestore, self.key_store)

    @cached_property
    def complaints(self) -> "Complaints":
        from shared.resources.complaints import Complaints

        return Complaints(self.complaint_store, self.key_store, self.ledger, self.tasks, self.clock)

    @cached_property
    def contribution_books(self) -> "ContributionBooks":
        from shared.resources.books import ContributionBooks

        return ContributionBooks(self.key_store, self.key_windows, self.advances, self.returns)

    @cached_property
    def key_windows(self) -> "FirestoreWindows":
        from shared.resources.windows import FirestoreWindows

        return FirestoreWindows(self.firestore, self.key_store)

    @cached_property
    def pending_calls(self) -> "PendingCalls":
        from shared.resources.pending import PendingCalls

        return PendingCalls(self.key_store, self.key_windows)

    @cached_property
    def settlement(self) -> "Settlement":
        from shared.ledger.settlement import Settlement
        from shared.ledger.windows import FirestoreLedgerWindows

        windows = FirestoreLedgerWindows(self.firestore)
        return Settlement(self.ledger_engine, windows, self.clock, readers=[self.contribution_books])
