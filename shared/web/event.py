"""What every event function is wrapped in: caller, the event's form, acknowledge or retry, one log line.

Eventarc delivers an event at least once, in any order, and again for a day until a 2xx answers it. So a handler must be
free to repeat. What is acknowledged is in `delivery.py`; all else is answered as an error.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, ClassVar

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from shared.app import App
from shared.base.errors import BadRequest
from shared.base.ids import RequestId
from shared.base.log import add_request_fields
from shared.web.auth import Auth
from shared.web.cloudevent import EVENT_BYTES_MAX, CloudEvent, read_cloudevent
from shared.web.delivery import acknowledged, admitted
from shared.web.edge import Served, served, summary_of
from shared.web.protobuf import created_document

DOCUMENT_CREATED = "google.cloud.firestore.document.v1.created"
SCOPE = "event"
"""What the service that delivers events must be allowed."""


class CreatedDocument(Struct, frozen=True):
    """A document that came to be. `names` holds the parts of its path that the contract's braces stand for."""

    event_id: str
    names: Mapping[str, str]
    fields: Mapping[str, Any]


Handler = Callable[[CreatedDocument, App], Awaitable[None]]


class EventContract(Struct, frozen=True):
    """All that an event function promises; the manifest is checked against it."""

    method: ClassVar[str] = "POST"
    auth: ClassVar[Auth] = "service"
    scope: ClassVar[str] = SCOPE
    body_bytes_max: ClassVar[int] = EVENT_BYTES_MAX

    name: str
    document: str
    """The path of the documents it is told of: `accounts/{account}`."""
    summary: str

    @property
    def event(self) -> str:
        """What starts it, as the manifest has it: the type of the event, and where."""
        return f"{DOCUMENT_CREATED} {self.document}"


EventFunction = Served[EventContract]


def event_function(*, document: str) -> Callable[[Handler], EventFunction]:
    """Wrap a handler that is told of each new document whose path looks like `document`."""

    def wrap(handler: Handler) -> EventFunction:
        contract = EventContract(handler.__name__, document, summary_of(handler))
        return served(contract, partial(_answer, contract, handler))

    return wrap


async def _answer(contract: EventContract, handler: Handler, request: Request, request_id: RequestId) -> Response:
    app = await admitted(contract, request, request_id)
    return await acknowledged(_work(contract, handler, request, app), request_id, dropped="event_dropped")


async def _work(contract: EventContract, handler: Handler, request: Request, app: App) -> None:
    event = await read_cloudevent(request)
    add_request_fields(event_id=event.id)
    await handler(_created(contract, event, app.settings.project_id), app)


def _created(contract: EventContract, event: CloudEvent, project_id: str) -> CreatedDocument:
    """The document that the event tells of. Raise BadRequest for any other event than those of the contract."""
    if event.type != DOCUMENT_CREATED:
        raise BadRequest(f"This function takes {DOCUMENT_CREATED}.")
    document = created_document(event.data_base64)
    root = f"projects/{project_id}/databases/(default)/documents/"
    names = match_path(contract.document, document.name.removeprefix(root))
    if names is None or not document.name.startswith(root):
        raise BadRequest(f"This function takes documents of this project at {contract.document}.")
    return CreatedDocument(event.id, names, document.fields)


def match_path(pattern: str, path: str) -> Mapping[str, str] | None:
    """What the names in braces stand for in a document's path; None when it is another sort of path."""
    wanted, found = pattern.split("/"), path.split("/")
    if len(wanted) != len(found):
        return None
    names = {}
    for part, segment in zip(wanted, found, strict=True):
        if part.startswith("{"):
            names[part.strip("{}")] = segment
        elif part != segment:
            return None
    return names
