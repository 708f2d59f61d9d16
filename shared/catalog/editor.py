"""Changing what models cost: an operator changes one, the seed writes all of the file. Each change is a version."""

from collections.abc import Iterable

from msgspec import Struct

from shared.base.log import write_line
from shared.catalog.errors import CatalogUnavailable, ChangeInvalid, VersionConflict
from shared.catalog.models import Model, Price
from shared.catalog.rules import VERSIONS_MAX, Edit, digest_of, edited, read_edit
from shared.catalog.store import Current, Models, ModelVersion, Outrun

SEEDER = "catalog.toml"
"""Who made a version that came from the file."""


class Change(Struct, frozen=True, kw_only=True):
    """What an operator wants of a model. What is None stays as it is; a price is replaced whole."""

    price: Price | None
    enabled: bool | None
    expected_version: int
    """The version that the operator looked at; 0 for a model that was never seeded."""
    by: str
    why: str


class Changed(Struct, frozen=True):
    """The version that a change made, now or when it was asked for the first time."""

    version: ModelVersion
    repeated: bool


class SeedReport(Struct, frozen=True):
    """What a seeding found and did, by model id."""

    created: list[str]
    updated: list[str]
    """Whose price in the file is another than the one that was seeded before."""
    kept: list[str]
    """Whose version an operator made; the file's price is not written over it."""


class CatalogEditor:
    """Makes versions of the models of a catalog file."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def change(self, row: Model, change: Change) -> Changed:
        """Make the next version of `row`, a model of the file. The same change asked again answers the same.

        Raise VersionConflict, ChangeInvalid, CatalogUnreadable or CatalogUnavailable.
        """
        current = (await self._models.current([row.id])).get(row.id)
        if _version_of(current) != change.expected_version:
            return await self._repeated(row, change, current)
        wanted = _next_version(row, current, change)
        try:
            await self._models.put(wanted, current)
        except Outrun:
            return await self._repeated(row, change, (await self._models.current([row.id])).get(row.id))
        write_line("INFO", "model_changed", model=row.id, version=wanted.version, by=change.by)
        return Changed(wanted, repeated=False)

    async def _repeated(self, row: Model, change: Change, current: Current | None) -> Changed:
        """The version that this very change made before, if it did. Raise VersionConflict."""
        made = await self._models.version(row.id, change.expected_version + 1)
        if made is None or not _is_made_by(made, change):
            raise VersionConflict(row.id, expected_version=change.expected_version, version=_version_of(current))
        return Changed(made, repeated=True)

    async def seed(self, rows: Iterable[Model]) -> SeedReport:
        """Write the file's prices where no operator has set one. A repeat writes nothing. Raise CatalogUnavailable.

        If we die in the middle, the next run writes the rest.
        """
        report = SeedReport([], [], [])
        by_id = {row.id: row for row in rows}
        current = await self._models.current(by_id)
        for model_id, row in by_id.items():
            before = current.get(model_id)
            if before is not None and not before.from_file:
                report.kept.append(model_id)
            elif before is None or before.fields.get("price_version") != row.price_version:
                await self._put_row(row, before)
                (report.updated if before else report.created).append(model_id)
        return report

    async def _put_row(self, row: Model, before: Current | None) -> None:
        if row.price is None:
            return
        version = ModelVersion(
            model_id=row.id,
            version=_version_of(before) + 1,
            price_version=digest_of(row.price),
            price=row.price,
            enabled=row.enabled,
            by=SEEDER,
            why="the file's price",
            from_file=True,
        )
        try:
            await self._models.put(version, before)
        except Outrun:
            # Another seeding, or an operator: both know what they write, and the next run looks again.
            raise CatalogUnavailable from None


def _version_of(current: Current | None) -> int:
    return current.version if current else 0


def _next_version(row: Model, current: Current | None, change: Change) -> ModelVersion:
    """Raise ChangeInvalid for a model that could not be sold."""
    before = _stands(row, current)
    price = change.price or before.price
    enabled = before.enabled if change.enabled is None else change.enabled
    version = change.expected_version + 1
    if version > VERSIONS_MAX:
        raise ChangeInvalid(f"a model has at most {VERSIONS_MAX} versions")
    if price is None:
        raise ChangeInvalid("the model has no price yet")
    try:
        edited(row, Edit(price=price, enabled=enabled, price_version=str(version)))
    except ValueError as fault:
        raise ChangeInvalid(str(fault)) from None
    return ModelVersion(
        model_id=row.id,
        version=version,
        price_version=str(version),
        price=price,
        enabled=enabled,
        by=change.by,
        why=change.why,
        from_file=False,
    )


def _stands(row: Model, current: Current | None) -> Model:
    """What gateways sell now: under what cannot be read, the file's row."""
    if current is None or current.from_file:
        return row
    try:
        return read_edit(row, current.fields)
    except ValueError:
        return row


def _is_made_by(made: ModelVersion, change: Change) -> bool:
    return (
        (made.by, made.why) == (change.by, change.why)
        and not made.from_file
        and change.price in (None, made.price)
        and change.enabled in (None, made.enabled)
    )
