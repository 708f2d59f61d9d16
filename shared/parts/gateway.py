"""Builds what answers calls of models."""

import asyncio
import secrets
from functools import cached_property
from typing import TYPE_CHECKING

from shared.parts.ledger import LedgerParts

if TYPE_CHECKING:
    from shared.answers.service import Answers
    from shared.calls.service import Calls
    from shared.catalog.editor import CatalogEditor
    from shared.catalog.service import Catalog
    from shared.catalog.store import FirestoreModels
    from shared.chat.service import Chats
    from shared.embeddings.service import Embeddings
    from shared.images.jobs import ImageJobs
    from shared.images.reader import ImageJobReader
    from shared.images.run import ImageJobRunner
    from shared.images.service import Images
    from shared.images.store import FirestoreImageJobs
    from shared.metering.collector import Collector
    from shared.metering.service import Meter
    from shared.metering.store import OwedCharges
    from shared.pricing.demand import Demand
    from shared.pricing.history import PriceHistory
    from shared.pricing.overrides import Overrides
    from shared.pricing.refresh import PriceRefresh
    from shared.pricing.service import Prices
    from shared.pricing.store import FirestorePrices
    from shared.providers.gateway import Upstreams
    from shared.providers.models import Provider
    from shared.responses.service import Responses
    from shared.routing.service import Router
    from shared.shelf.lending import Lender
    from shared.shelf.store import ShelfStore
    from shared.shelf.sweep import LeaseSweep
    from shared.speech.service import Speech
    from shared.vault.service import Vault


class GatewayParts(LedgerParts):
    """Catalog, providers, routes, meter, prices, and the flows over them."""

    def prepare_call(self) -> "asyncio.Task[None] | None":
        """Begin to learn what prices and multipliers are now; None where they are known. It never fails."""
        # A process that has just started builds its catalog in the task, while something else is waited for.
        if "catalog" in vars(self) and self.catalog.is_fresh and self.demand.is_fresh:
            return None
        return asyncio.ensure_future(self._prepare_call())

    async def _prepare_call(self) -> None:
        await asyncio.gather(self.catalog.refresh(), self.demand.known())

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

        return Chats(self.catalog, self.upstreams, self.calls, self.answers)

    @cached_property
    def responses(self) -> "Responses":
        from shared.responses.service import Responses

        return Responses(self.chats, self.clock)

    @cached_property
    def answers(self) -> "Answers":
        from shared.answers.service import Answers
        from shared.answers.store import FirestoreAnswers

        return Answers(FirestoreAnswers(self.firestore), self.clock, shared=self.settings.answers_shared == "yes")

    @cached_property
    def price_store(self) -> "FirestorePrices":
        from shared.pricing.store import FirestorePrices

        return FirestorePrices(self.firestore)

    @cached_property
    def demand(self) -> "Demand":
        from shared.pricing.demand import Demand

        return Demand(self.price_store, wall_clock=self.clock)

    @cached_property
    def prices(self) -> "Prices":
        from shared.pricing.service import Prices

        return Prices(self.catalog, self.demand)

    @cached_property
    def price_history(self) -> "PriceHistory":
        from shared.pricing.history import PriceHistory

        return PriceHistory(self.price_store, self.clock)

    @cached_property
    def price_overrides(self) -> "Overrides":
        from shared.pricing.overrides import Overrides

        return Overrides(self.price_store)

    @cached_property
    def price_refresh(self) -> "PriceRefresh":
        from shared.ledger.windows import FirestoreLedgerWindows
        from shared.pricing.refresh import PriceRefresh

        return PriceRefresh(self.price_store, FirestoreLedgerWindows(self.firestore))

    @cached_property
    def calls(self) -> "Calls":
        from shared.calls.service import Calls

        return Calls(self.router, self.upstreams, self.meter, demand=self.demand, lender=self.lender)

    @cached_property
    def lender(self) -> "Lender | None":
        """None where no vault keeps contributed keys: there are none then."""
        if not (self.settings.vault_kms_key or self.settings.vault_key_file):
            return None
        from shared.resources.rules import host_of
        from shared.shelf.complaints import Complaints
        from shared.shelf.lending import Lender
        from shared.shelf.service import Shelf

        tasks = self.tasks if self.settings.task_url else None
        shelf = Shelf(
            self.shelf_store,
            Complaints(self.shelf_store, tasks, self.clock),
            {provider.name: host_of(provider.base_url) for provider in self.providers},
            wall_clock=self.clock,
            seed=secrets.randbits(64),
        )
        return Lender(shelf, lambda: self.vault)

    @cached_property
    def vault(self) -> "Vault":
        from shared.vault.custody import vault_from

        return vault_from(self.settings)

    @cached_property
    def shelf_store(self) -> "ShelfStore":
        from shared.shelf.store import FirestoreShelf

        return FirestoreShelf(self.firestore)

    @cached_property
    def lease_sweep(self) -> "LeaseSweep":
        from shared.shelf.sweep import LeaseSweep

        return LeaseSweep(self.shelf_store, self.clock)

    @cached_property
    def embeddings(self) -> "Embeddings":
        from shared.embeddings.service import Embeddings

        return Embeddings(self.catalog, self.upstreams, self.calls)

    @cached_property
    def images(self) -> "Images":
        from shared.images.service import Images

        return Images(self.catalog, self.upstreams, self.calls)

    @cached_property
    def image_job_store(self) -> "FirestoreImageJobs":
        from shared.images.store import FirestoreImageJobs

        return FirestoreImageJobs(self.firestore)

    @cached_property
    def image_jobs(self) -> "ImageJobs":
        from shared.images.jobs import ImageJobs

        return ImageJobs(self.images, self.calls, self.image_job_store, self.tasks, self.clock)

    @cached_property
    def image_job_reader(self) -> "ImageJobReader":
        from shared.images.reader import ImageJobReader

        return ImageJobReader(self.image_job_store, self.clock)

    @cached_property
    def image_runner(self) -> "ImageJobRunner":
        from shared.base.fetcher import Fetcher
        from shared.images.painter import Painter
        from shared.images.run import ImageJobRunner

        painter = Painter(self.calls, self.upstreams, self.image_job_store, Fetcher())
        return ImageJobRunner(self.catalog, self.calls, painter, self.image_job_store, self.clock)

    @cached_property
    def speech(self) -> "Speech":
        from shared.speech.service import Speech

        return Speech(self.catalog, self.upstreams, self.calls)
