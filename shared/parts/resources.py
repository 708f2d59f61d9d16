"""Builds the vault and what keeps contributed keys."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.parts.gateway import GatewayParts

if TYPE_CHECKING:
    from shared.ledger.advances import Advances
    from shared.ledger.settlement import Settlement
    from shared.resources.books import ContributionBooks
    from shared.resources.care import KeyCare
    from shared.resources.returns import Returns
    from shared.resources.service import Contributions
    from shared.resources.store import FirestoreKeys, FirestoreOverrides
    from shared.resources.validation import Validation
    from shared.vault.service import Vault


class ResourceParts(GatewayParts):
    """Keys that people contribute."""

    @cached_property
    def vault(self) -> "Vault":
        from shared.vault.custody import vault_from

        return vault_from(self.settings)

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
    def contributions(self) -> "Contributions":
        from shared.resources.service import Contributions

        return Contributions(
            store=self.key_store,
            overrides=self.pool_overrides,
            vault=self.vault,
            catalog=self.catalog,
            providers={provider.name: provider for provider in self.providers},
            returns=self.returns,
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
            catalog=self.catalog,
            providers={provider.name: provider for provider in self.providers},
            probe=ProviderProbe(),
            advances=self.advances,
            returns=self.returns,
            clock=self.clock,
        )

    @cached_property
    def key_care(self) -> "KeyCare":
        from shared.resources.care import KeyCare

        return KeyCare(self.key_store, self.pool_overrides, self.returns, self.tasks, self.clock)

    @cached_property
    def contribution_books(self) -> "ContributionBooks":
        from shared.resources.books import ContributionBooks
        from shared.resources.windows import FirestoreWindows

        windows = FirestoreWindows(self.firestore, self.key_store)
        return ContributionBooks(self.key_store, windows, self.advances, self.returns)

    @cached_property
    def settlement(self) -> "Settlement":
        from shared.ledger.settlement import Settlement
        from shared.ledger.windows import FirestoreLedgerWindows

        windows = FirestoreLedgerWindows(self.firestore)
        return Settlement(self.ledger_engine, windows, self.clock, readers=[self.contribution_books])
