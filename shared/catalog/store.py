"""Models as operators edit them: `models/{id}` is the current version, `models/{id}/versions/{n}` are all of them.

A version is created once, in the commit that makes it current, and never changed. Who made it, and why, stands there
and not on the current one, which every signed-in client may read. `edited_at` is set where an operator made the change,
and not by the seed, so that a gateway reads only what can differ from its own file.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import quote

from google.api_core import exceptions as google_errors
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from msgspec import Struct, structs

from shared.base.body import shape
from shared.catalog.errors import CatalogUnavailable, CatalogUnreadable
from shared.catalog.models import Price
from shared.catalog.rules import MODELS_MAX, VERSIONS_MAX

READ_TIMEOUT_S = 2.0
"""A call waits for this before it is priced, so not for long: the last known prices stand in."""
WRITE_TIMEOUT_S = 5.0
NEVER = datetime.fromtimestamp(0, UTC)


class ModelVersion(Struct, frozen=True, kw_only=True):
    """One version of a model's price and state, and where it came from."""

    model_id: str
    version: int
    price_version: str
    price: Price
    enabled: bool
    by: str
    why: str
    from_file: bool


class Current(Struct, frozen=True):
    """What `models/{id}` says, and when it was written, which is the precondition of the next version."""

    version: int
    from_file: bool
    fields: Mapping[str, Any]
    update_time: Any


class Outrun(Exception):
    """Somebody else's commit came first, or an earlier attempt of ours whose answer was lost."""


def document_id_of(model_id: str) -> str:
    """The id with its slashes escaped, as `encodeURIComponent` writes it in a browser."""
    return quote(model_id, safe="")


class Models(Protocol):
    """Where versions are kept. All raise CatalogUnavailable."""

    async def edited_since(self, since: datetime | None) -> list[tuple[str, datetime, Mapping[str, Any]]]:
        """See `shared.catalog.service.Edits`."""

    async def current(self, model_ids: Iterable[str]) -> dict[str, Current]:
        """Those of the models that have a version. Raise CatalogUnreadable for one whose version is no count."""

    async def version(self, model_id: str, version: int) -> ModelVersion | None:
        """One version, or None."""

    async def put(self, version: ModelVersion, before: Current | None) -> None:
        """Make a version the current one, after the one that was. Returned means durable. Raise Outrun."""


class FirestoreModels:
    """The same in Firestore."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client
        self._models = client.collection("models")

    async def edited_since(self, since: datetime | None) -> list[tuple[str, datetime, Mapping[str, Any]]]:
        # Billed a read for each model that was edited since, and one when none was.
        # Compared with a time, only times are found, whatever somebody wrote there by hand.
        query = self._models.where(filter=FieldFilter("edited_at", ">=", since or NEVER)).order_by("edited_at")
        try:
            stream = query.limit(MODELS_MAX).stream(retry=None, timeout=READ_TIMEOUT_S)
            found = [one.to_dict() or {} async for one in stream]
        except google_errors.GoogleAPICallError as error:
            raise CatalogUnavailable from error
        return [(str(one.get("id")), one["edited_at"], one) for one in found]

    async def current(self, model_ids: Iterable[str]) -> dict[str, Current]:
        names = {document_id_of(model_id): model_id for model_id in model_ids}
        refs = [self._models.document(name) for name in names]
        try:
            found = [one async for one in self._client.get_all(refs, retry=None, timeout=WRITE_TIMEOUT_S) if one.exists]
        except google_errors.GoogleAPICallError as error:
            raise CatalogUnavailable from error
        return {names[one.id]: _current(names[one.id], one) for one in found}

    async def version(self, model_id: str, version: int) -> ModelVersion | None:
        ref = self._models.document(document_id_of(model_id)).collection("versions").document(str(version))
        try:
            found = await ref.get(retry=None, timeout=WRITE_TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise CatalogUnavailable from error
        return _version_from(model_id, found.to_dict()) if found.exists else None

    async def put(self, version: ModelVersion, before: Current | None) -> None:
        ref = self._models.document(document_id_of(version.model_id))
        batch = self._client.batch()
        if before is None:
            batch.create(ref, _shown(version))
        else:
            option = self._client.write_option(last_update_time=before.update_time)
            batch.update(ref, _shown(version), option=option)
        batch.create(ref.collection("versions").document(str(version.version)), _kept(version))
        # If we die before the answer, the version stands or does not, in both documents alike.
        try:
            await batch.commit(retry=None, timeout=WRITE_TIMEOUT_S)
        except (google_errors.FailedPrecondition, google_errors.AlreadyExists, google_errors.Aborted) as error:
            raise Outrun from error
        except google_errors.GoogleAPICallError as error:
            raise CatalogUnavailable from error


def _shown(version: ModelVersion) -> dict[str, Any]:
    """What clients may read: the price, and not who set it."""
    edited = {} if version.from_file else {"edited_at": firestore.SERVER_TIMESTAMP}
    return {
        "id": version.model_id,
        "version": version.version,
        "price_version": version.price_version,
        "price": _price_fields(version.price),
        "enabled": version.enabled,
        "from_file": version.from_file,
        "changed_at": firestore.SERVER_TIMESTAMP,
        **edited,
    }


def _kept(version: ModelVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "price_version": version.price_version,
        "price": _price_fields(version.price),
        "enabled": version.enabled,
        "from_file": version.from_file,
        "by": version.by,
        "why": version.why,
        "at": firestore.SERVER_TIMESTAMP,
    }


def _version_from(model_id: str, fields: Mapping[str, Any]) -> ModelVersion:
    return ModelVersion(
        model_id=model_id,
        version=fields["version"],
        price_version=fields["price_version"],
        price=shape(Price, fields["price"]),
        enabled=fields["enabled"],
        by=fields["by"],
        why=fields["why"],
        from_file=fields["from_file"],
    )


def _price_fields(price: Price) -> dict[str, int | bool]:
    return {kind: value for kind, value in structs.asdict(price).items() if value is not None}


def _current(model_id: str, found: Any) -> Current:
    fields = found.to_dict() or {}
    version = fields.get("version")
    if type(version) is not int or not 0 < version <= VERSIONS_MAX:
        raise CatalogUnreadable(model_id)
    # What an operator touched is theirs, even where the mark of who wrote it was lost.
    from_file = fields.get("from_file") is True and "edited_at" not in fields
    return Current(version, from_file, fields, found.update_time)
