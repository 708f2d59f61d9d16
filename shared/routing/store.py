"""Where processes tell each other of routes: `route_health/{provider}:{hash of the provider's name for the model}`.

Nothing here is needed for a call: a store that does not answer leaves each process with what it saw itself.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

from google.api_core import exceptions as google_errors
from google.cloud import firestore

from shared.base.body import Misshapen, shape
from shared.catalog.models import Route
from shared.routing.models import News
from shared.routing.sharing import document_id

TIMEOUT_S = 2.0
Version = datetime | None
"""Of a document that was read; None for one that was absent."""


class RouteHealthUnavailable(Exception):
    """The store did not answer in time."""


class RouteHealth(Protocol):
    """Keeps news of routes. Both raise RouteHealthUnavailable."""

    async def read(self, routes: Iterable[Route]) -> Mapping[str, tuple[News | None, Version]]:
        """What is known, by document id; a document that cannot be read counts as known nothing of."""

    async def write(self, news: News, version: Version) -> bool:
        """Replace what was read at `version`. False when another process was quicker; its news stay."""


class FirestoreRouteHealth:
    """The same in Firestore."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client
        self._documents = client.collection("route_health")

    async def read(self, routes: Iterable[Route]) -> Mapping[str, tuple[News | None, Version]]:
        references = [self._documents.document(document_id(route)) for route in routes]
        found: dict[str, tuple[News | None, Version]] = {}
        try:
            async for snapshot in self._client.get_all(references, retry=None, timeout=TIMEOUT_S):
                found[snapshot.id] = (_news(snapshot.to_dict()), snapshot.update_time)
        except google_errors.GoogleAPICallError as error:
            raise RouteHealthUnavailable from error
        return found

    async def write(self, news: News, version: Version) -> bool:
        document = self._documents.document(document_id(Route(provider=news.provider, model=news.model)))
        fields = {name: getattr(news, name) for name in News.__struct_fields__}
        fields["fault"] = None if news.fault is None else news.fault.value
        try:
            if version is None:
                await document.create(fields, retry=None, timeout=TIMEOUT_S)
            else:
                unchanged = self._client.write_option(last_update_time=version)
                await document.update(fields, option=unchanged, retry=None, timeout=TIMEOUT_S)
        except (google_errors.AlreadyExists, google_errors.FailedPrecondition, google_errors.NotFound):
            return False
        except google_errors.GoogleAPICallError as error:
            raise RouteHealthUnavailable from error
        return True


def _news(fields: Mapping[str, Any] | None) -> News | None:
    try:
        return None if fields is None else shape(News, dict(fields))
    except Misshapen:
        return None
