"""What the wrappers of tasks and events have in common: who may deliver, and what is acknowledged.

Cloud Tasks and Eventarc deliver at least once, and again until a 2xx answers. They know no other way to stop, so what
can never succeed is acknowledged too, and told to the log.
"""

from collections.abc import Awaitable
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from shared.app import App, current_app
from shared.base.errors import CredenceError
from shared.base.ids import RequestId
from shared.base.log import write_line
from shared.web.auth import Auth, authenticate
from shared.web.errors import DELIVERY_OF_KIND, Delivery, MethodWrong


class DeliveryContract(Protocol):
    """What a contract says of whoever delivers."""

    @property
    def method(self) -> str: ...

    @property
    def auth(self) -> Auth: ...

    @property
    def scope(self) -> str: ...


async def admitted(contract: DeliveryContract, request: Request, request_id: RequestId) -> App:
    """The app, for whoever may deliver. Raise MethodWrong, or what `authenticate` does.

    A stranger is refused and not acknowledged, and so is Google's service until its service account is let in: nothing
    that waits behind a wrong setting is lost.
    """
    if request.method != contract.method:
        raise MethodWrong(contract.method)
    app = current_app()
    await authenticate(request, app, request_id, contract.auth, contract.scope)
    return app


async def acknowledged(work: Awaitable[None], request_id: RequestId, *, dropped: str) -> Response:
    """The answer once the work is done, or can never be: then the log is told `dropped`. Raise what may pass."""
    try:
        await work
    except CredenceError as refusal:
        if DELIVERY_OF_KIND[refusal.kind] is Delivery.RETRY:
            raise
        write_line("ERROR", dropped, code=refusal.code, reason=refusal.message)
    return Response(headers={"x-request-id": request_id})
