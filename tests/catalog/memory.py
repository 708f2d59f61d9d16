"""Versions of models in memory: the promises of the store, for tests of what stands on them."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import structs

from shared.catalog.errors import CatalogUnavailable, CatalogUnreadable
from shared.catalog.rules import VERSIONS_MAX
from shared.catalog.store import Current, ModelVersion, Outrun

BEGAN = datetime(2026, 11, 25, tzinfo=UTC)


class MemoryModels:
    """What Firestore keeps, in dictionaries. `down` makes it answer nothing, `acks_lost` hides so many writes."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.versions: dict[tuple[str, int], ModelVersion] = {}
        self.down = False
        self.acks_lost = 0
        self.readings: list[datetime | None] = []
        """What every reading of the edits asked for."""
        self._writes = 0
        self._times: dict[str, int] = {}

    async def edited_since(self, since: datetime | None) -> list[tuple[str, datetime, Mapping[str, Any]]]:
        self.readings.append(since)
        self._require_up()
        edited = [one for one in self.documents.values() if isinstance(one.get("edited_at"), datetime)]
        found = [one for one in edited if since is None or one["edited_at"] >= since]
        return [(str(one.get("id")), one["edited_at"], one) for one in sorted(found, key=lambda one: one["edited_at"])]

    async def current(self, model_ids: Iterable[str]) -> dict[str, Current]:
        self._require_up()
        found = {}
        for model_id in model_ids:
            if (fields := self.documents.get(model_id)) is None:
                continue
            version = fields.get("version")
            if type(version) is not int or not 0 < version <= VERSIONS_MAX:
                raise CatalogUnreadable(model_id)
            from_file = fields.get("from_file") is True and "edited_at" not in fields
            found[model_id] = Current(version, from_file, fields, self._times.get(model_id))
        return found

    async def version(self, model_id: str, version: int) -> ModelVersion | None:
        self._require_up()
        return self.versions.get((model_id, version))

    async def put(self, version: ModelVersion, before: Current | None) -> None:
        self._require_up()
        model_id, key = version.model_id, (version.model_id, version.version)
        stands = self._times.get(model_id) if model_id in self.documents else None
        if stands != (before.update_time if before else None) or key in self.versions:
            raise Outrun
        self.versions[key] = version
        self.write(model_id, {**self.documents.get(model_id, {}), **self._shown(version)})
        if self.acks_lost:
            self.acks_lost -= 1
            raise CatalogUnavailable

    def write(self, model_id: str, fields: dict[str, Any]) -> None:
        """Put anything there, as somebody with rights over the database can."""
        self._writes += 1
        self.documents[model_id] = fields
        self._times[model_id] = self._writes

    def edit(self, model_id: str, **fields: Any) -> None:
        """What an operator's change leaves, or what somebody made of it by hand."""
        edited = {
            "id": model_id,
            "version": 1,
            "price_version": "1",
            "price": {"prompt_micros_per_mtok": 9, "completion_micros_per_mtok": 9},
            "enabled": True,
            "edited_at": BEGAN + timedelta(seconds=self._writes),
        }
        self.write(model_id, edited | fields)

    def _shown(self, version: ModelVersion) -> dict[str, Any]:
        prices = structs.asdict(version.price)
        at = {} if version.from_file else {"edited_at": BEGAN + timedelta(seconds=self._writes)}
        return {
            "id": version.model_id,
            "version": version.version,
            "price_version": version.price_version,
            "price": {kind: value for kind, value in prices.items() if value is not None},
            "enabled": version.enabled,
            "from_file": version.from_file,
            **at,
        }

    def _require_up(self) -> None:
        if self.down:
            raise CatalogUnavailable
