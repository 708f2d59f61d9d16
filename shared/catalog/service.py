"""The catalog: which models there are, what they cost now, and which of the configured providers serve them."""

import asyncio
from collections.abc import Iterable, Mapping, Set
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, Self

import msgspec

from shared.base.clock import Clock, system_clock
from shared.base.log import write_line
from shared.base.units import Unit
from shared.catalog.errors import CatalogUnavailable, ModelUnfit, ModelUnknown, ModelUnpriced
from shared.catalog.models import CHAT_MODALITIES, Modality, Model, Price, Route
from shared.catalog.rules import read_edit

STANDIN = "standin"
"""The local stand-in's provider name. Only a local process has it; there it serves what no real provider does."""
COMPILED = Path(__file__).with_name("catalog.json")
"""Made from catalog.toml by `python -m credence catalog`."""
REFRESH_MS = 60_000
"""How long a price that an operator changed may still be sold by a process that knows the old one."""
RETRY_MS = 5_000
"""How soon a process asks again when the store of edits did not answer."""
OVERLAP = timedelta(minutes=5)
"""Read again, at each refresh: an edit can become visible later than another whose time is later."""
CHAT_UNITS = frozenset({Unit.PROMPT_TOKEN, Unit.COMPLETION_TOKEN})


class Edits(Protocol):
    """Where operators' changes of price and state are read."""

    async def edited_since(self, since: datetime | None) -> list[tuple[str, datetime, Mapping[str, Any]]]:
        """Models that operators changed then or later, earliest first: id, when, and what is stored, unchecked.

        Raise CatalogUnavailable.
        """


class Catalog:
    """All models by id. `providers` names the providers that this process can call."""

    def __init__(
        self,
        models: Iterable[Model],
        providers: Set[str],
        edits: Edits | None = None,
        clock: Clock = system_clock,
    ) -> None:
        """Without `edits` the rows are all there is. Raise ValueError for two rows of one id."""
        self._rows: dict[str, Model] = {}
        for model in models:
            if model.id in self._rows:
                raise ValueError(f"two rows are called {model.id}")
            self._rows[model.id] = model
        self._models = dict(self._rows)
        self._providers = providers
        self._edits = edits
        self._clock = clock
        self._refreshing = asyncio.Lock()
        self._refresh_at_ms = 0
        self._edited_until: datetime | None = None

    @classmethod
    def from_file(cls, providers: Set[str], edits: Edits | None = None, clock: Clock = system_clock) -> Self:
        """The catalog that ships with the code. Raise msgspec.ValidationError or ValueError for a row that is none."""
        return cls(msgspec.json.decode(COMPILED.read_bytes(), type=list[Model]), providers, edits, clock)

    @property
    def is_fresh(self) -> bool:
        """Whether `refresh` would find nothing to do."""
        return self._edits is None or self._clock() < self._refresh_at_ms

    async def refresh(self) -> None:
        """Bring in what operators changed. Call it before a call is priced: it reads once in REFRESH_MS, and not more.

        When the store does not answer, the prices known last stand, at first those of the file.
        """
        if self._edits is None or self.is_fresh:
            return
        async with self._refreshing:
            # Whoever waited finds it done.
            if self._clock() < self._refresh_at_ms:
                return
            since = self._edited_until and self._edited_until - OVERLAP
            try:
                for model_id, edited_at, fields in await self._edits.edited_since(since):
                    self._take_in(model_id, fields)
                    self._edited_until = edited_at
                self._refresh_at_ms = self._clock() + REFRESH_MS
            except CatalogUnavailable:
                self._refresh_at_ms = self._clock() + RETRY_MS
                write_line("WARNING", "catalog_not_refreshed")

    def _take_in(self, model_id: str, fields: Mapping[str, Any]) -> None:
        row = self._rows.get(model_id)
        if row is None:
            return  # The file has dropped the model since.
        try:
            self._models[model_id] = read_edit(row, fields)
        except ValueError as fault:
            # What cannot be a price must not become a free call, nor stop the others: the file's row stands in.
            self._models[model_id] = row
            write_line("ERROR", "catalog_edit_ignored", model=model_id, reason=str(fault))

    def rows(self) -> list[Model]:
        """The file's own rows, as they were before any edit."""
        return list(self._rows.values())

    def row(self, model_id: str) -> Model:
        """The file's own row, whoever serves it. Raise ModelUnknown."""
        if (row := self._rows.get(model_id)) is None:
            raise ModelUnknown(model_id)
        return row

    def available(self) -> list[Model]:
        """Models that are enabled and that somebody configured here can serve, in the file's order."""
        return [model for model in self._models.values() if model.enabled and self.routes(model)]

    def model(self, model_id: str) -> Model:
        """One of those. Raise ModelUnknown."""
        model = self._models.get(model_id)
        if model is None or not model.enabled or not self.routes(model):
            raise ModelUnknown(model_id)
        return model

    def routes(self, model: Model) -> list[Route]:
        """Who can serve the model here, best first; the stand-in last."""
        real = [route for route in model.routes if route.provider in self._providers]
        return [*real, Route(provider=STANDIN, model=model.id)] if STANDIN in self._providers else real

    def model_for(self, model_id: str, modalities: Set[Modality], units: Set[Unit], needs: str) -> tuple[Model, Price]:
        """A model of one of the modalities, and its price, which has all of the units. `needs` tells people which call.

        Raise ModelUnknown, ModelUnfit or ModelUnpriced.
        """
        model = self.model(model_id)
        if model.modality not in modalities:
            raise ModelUnfit(model_id, needs)
        if model.price is None or not units <= model.price.rates().keys():
            raise ModelUnpriced(model_id)
        return model, model.price

    def chat_model(self, model_id: str) -> tuple[Model, Price]:
        """A model that answers chats, and its price. Raise ModelUnknown, ModelUnfit or ModelUnpriced."""
        return self.model_for(model_id, CHAT_MODALITIES, CHAT_UNITS, "chat completions")
