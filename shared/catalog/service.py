"""The catalog: which models there are, and who can serve them with the providers configured here."""

import tomllib
from collections.abc import Iterable, Set
from pathlib import Path
from typing import Self

from shared.base.body import shape
from shared.catalog.errors import ModelUnfit, ModelUnknown, ModelUnpriced
from shared.catalog.models import CHAT_MODALITIES, Model, Price, Route

STANDIN = "standin"
"""The local stand-in's provider name. Only a local process has it; there it serves what no real provider does."""
_FILE = Path(__file__).with_name("catalog.toml")


class Catalog:
    """All models by id. `providers` names the providers that this process can call."""

    def __init__(self, models: Iterable[Model], providers: Set[str]) -> None:
        self._models: dict[str, Model] = {}
        for model in models:
            if model.id in self._models:
                raise ValueError(f"two rows are called {model.id}")
            self._models[model.id] = model
        self._providers = providers

    @classmethod
    def from_file(cls, providers: Set[str]) -> Self:
        """The catalog that ships with the code. Raise Misshapen or ValueError if a row is malformed or doubled."""
        rows = tomllib.loads(_FILE.read_text(encoding="utf-8"))["models"]
        return cls([shape(Model, row) for row in rows], providers)

    def available(self) -> list[Model]:
        """Models that somebody configured here can serve, in the file's order."""
        return [model for model in self._models.values() if self.routes(model)]

    def routes(self, model: Model) -> list[Route]:
        """Who can serve the model here, best first; the stand-in last."""
        real = [route for route in model.routes if route.provider in self._providers]
        return [*real, Route(provider=STANDIN, model=model.id)] if STANDIN in self._providers else real

    def chat_model(self, model_id: str) -> tuple[Model, Price]:
        """A model that answers chats, and its price. Raise ModelUnknown, ModelUnfit or ModelUnpriced."""
        model = self._models.get(model_id)
        if model is None or not self.routes(model):
            raise ModelUnknown(model_id)
        if model.modality not in CHAT_MODALITIES:
            raise ModelUnfit(model_id, "chat completions")
        price = model.price
        if price is None or price.prompt_micros_per_mtok is None or price.completion_micros_per_mtok is None:
            raise ModelUnpriced(model_id)
        return model, price
