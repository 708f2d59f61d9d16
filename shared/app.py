"""The only place that builds things. Each is built on first use, so a function pays only for what it touches."""

import asyncio
import os
import secrets
from functools import cached_property
from typing import TYPE_CHECKING

from shared.base.clock import Clock, system_clock
from shared.base.settings import Settings

if TYPE_CHECKING:
    from google.cloud.firestore import AsyncClient

    from shared.accounts.service import Accounts
    from shared.calls.service import Calls
    from shared.cards.keys import CardKeys
    from shared.cards.service import Cards
    from shared.cards.store import FirestoreCards
    from shared.catalog.editor import CatalogEditor
    from shared.catalog.service import Catalog
    from shared.catalog.store import FirestoreModels
    from shared.chat.service import Chats
    from shared.embeddings.service import Embeddings
    from shared.identity.service import Identity
    from shared.images.service import Images
    from shared.ledger.audit import Audit
    from shared.ledger.earnings import Earnings
    from shared.ledger.engine import Engine
    from shared.ledger.funds import Funds
    from shared.ledger.service import Ledger
    from shared.ledger.settlement import Settlement
    from shared.ledger.store import FirestoreLedgerStore
    from shared.metering.collector import Collector
    from shared.metering.service import Meter
    from shared.metering.store import OwedCharges
    from shared.notices.service import Notices
    from shared.proof.checkpoint import Checkpoints
    from shared.proof.reader import LogReader
    from shared.proof.receipts import Receipts
    from shared.proof.store import FirestoreLogStore
    from shared.providers.gateway import Upstreams
    from shared.providers.models import Provider
    from shared.routing.service import Router
    from shared.speech.service import Speech


class App:
    """One process's collaborators, on one event loop. Imports stand in the properties: see the module's first line."""

    def __init__(self, settings: Settings, clock: Clock = system_clock) -> None:
        self.settings = settings
        self.clock = clock

    @cached_property
    def firestore(self) -> "AsyncClient":
        from google.cloud.firestore import AsyncClient

        # The client library itself reads FIRESTORE_EMULATOR_HOST; settings refuse that variable in production.
        return AsyncClient(project=self.settings.project_id)

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
    def settlement(self) -> "Settlement":
        from shared.ledger.settlement import Settlement
        from shared.ledger.windows import FirestoreLedgerWindows

        return Settlement(self.ledger_engine, FirestoreLedgerWindows(self.firestore), self.clock)

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

    @cached_property
    def identity(self) -> "Identity":
        from shared.identity.service import Identity

        return Identity.from_settings(self.settings, self.clock)

    @cached_property
    def providers(self) -> "list[Provider]":
        from shared.providers.service import configured_providers

        return configured_providers(self.settings)

    @cached_property
    def catalog(self) -> "Catalog":
        from shared.catalog.service import Catalog

        return Catalog.from_file({provider.name for provider in self.providers}, self.model_versions, self.clock)

    @cached_property
    def model_versions(self) -> "FirestoreModels":
        from shared.catalog.store import FirestoreModels

        return FirestoreModels(self.firestore)

    @cached_property
    def catalog_editor(self) -> "CatalogEditor":
        from shared.catalog.editor import CatalogEditor

        return CatalogEditor(self.model_versions)

    @cached_property
    def upstreams(self) -> "Upstreams":
        from shared.providers.gateway import Upstreams

        return Upstreams(self.providers)

    @cached_property
    def router(self) -> "Router":
        from shared.routing.service import Router
        from shared.routing.store import FirestoreRouteHealth

        # Processes that began alike would otherwise wait alike, and come back to a provider together.
        seed = secrets.randbits(64)
        return Router(self.catalog, FirestoreRouteHealth(self.firestore), wall_clock=self.clock, seed=seed)

    @cached_property
    def meter(self) -> "Meter":
        from shared.metering.service import Meter

        return Meter(self.ledger, self.owed_charges)

    @cached_property
    def owed_charges(self) -> "OwedCharges":
        from shared.metering.store import FirestoreOwedCharges

        return FirestoreOwedCharges(self.firestore)

    @cached_property
    def collector(self) -> "Collector":
        from shared.metering.collector import Collector

        return Collector(self.ledger, self.owed_charges)

    @cached_property
    def chats(self) -> "Chats":
        from shared.chat.service import Chats

        return Chats(self.catalog, self.router, self.upstreams, self.meter)

    @cached_property
    def calls(self) -> "Calls":
        from shared.calls.service import Calls

        return Calls(self.router, self.upstreams, self.meter)

    @cached_property
    def embeddings(self) -> "Embeddings":
        from shared.embeddings.service import Embeddings

        return Embeddings(self.catalog, self.upstreams, self.calls)

    @cached_property
    def images(self) -> "Images":
        from shared.images.service import Images

        return Images(self.catalog, self.upstreams, self.calls)

    @cached_property
    def speech(self) -> "Speech":
        from shared.speech.service import Speech

        return Speech(self.catalog, self.upstreams, self.calls)

    @cached_property
    def accounts(self) -> "Accounts":
        from shared.accounts.service import Accounts
        from shared.accounts.store import FirestoreClaims

        return Accounts(self.ledger, FirestoreClaims(self.firestore))

    @cached_property
    def card_store(self) -> "FirestoreCards":
        from shared.cards.store import FirestoreCards

        return FirestoreCards(self.firestore)

    @cached_property
    def cards(self) -> "Cards":
        from shared.cards.service import Cards

        return Cards(self.ledger, self.funds, self.card_store, self.clock)

    @cached_property
    def card_keys(self) -> "CardKeys":
        from shared.cards.keys import CardKeys

        return CardKeys(self.cards, self.ledger, self.funds, self.card_store, self.clock)

    @cached_property
    def notices(self) -> "Notices":
        from shared.notices.service import Notices
        from shared.notices.store import FirestoreNotices

        return Notices(FirestoreNotices(self.firestore))


_built: tuple[asyncio.AbstractEventLoop, App] | None = None


def current_app() -> App:
    """The app of the running event loop, built from the environment on its first use.

    Not at import: gunicorn imports before it forks, and clients are bound to the loop they first ran on.
    Raise SettingsWrong when the environment cannot be used.
    """
    global _built
    loop = asyncio.get_running_loop()
    if _built is None or _built[0] is not loop:
        _built = (loop, App(Settings.from_environment(os.environ)))
    return _built[1]
