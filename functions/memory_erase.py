"""Erase one thing that the caller asked to remember, or all of it, for good. Called by apps; a repeat is harmless."""

from typing import Annotated

from msgspec import Meta

from shared.app import App
from shared.base.body import LAST, Body
from shared.base.errors import BadRequest
from shared.web.auth import Caller
from shared.web.function import http_function


class MemoryEraseRequest(Body, frozen=True, kw_only=True):
    """Either one or all."""

    memory_id: Annotated[str, Meta(pattern=rf"^[0-9a-f]{{32}}{LAST}")] | None = None
    all: bool = False


class MemoryEraseResponse(Body, frozen=True, kw_only=True):
    """No turn that begins from now on is told what was erased."""

    erased: bool = True


@http_function(auth="user", body=MemoryEraseRequest, answer=MemoryEraseResponse)
async def memory_erase(body: MemoryEraseRequest, caller: Caller, app: App) -> MemoryEraseResponse:
    """Raise BadRequest (400) unless one or all are named."""
    uid = caller.known_user().uid
    if body.all == (body.memory_id is not None):
        raise BadRequest("Name one memory, or all of them.", param="memory_id")
    if body.memory_id is None:
        await app.memories.forget_all(uid)
    else:
        await app.memories.forget(uid, [body.memory_id])
    return MemoryEraseResponse()
