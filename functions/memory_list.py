"""List what the caller asked to remember, newest first. Called by apps; reads only."""

from msgspec import convert, to_builtins

from shared.app import App
from shared.base.body import Body, Empty
from shared.web.auth import Caller
from shared.web.function import http_function


class MemoryView(Body, frozen=True, kw_only=True):
    """One thing, and the conversation it was said in."""

    memory_id: str
    text: str
    conversation_id: str
    created_at_ms: int


class MemoryListResponse(Body, frozen=True, kw_only=True):
    """All of them; there are a hundred at most."""

    object: str = "list"
    data: list[MemoryView]


@http_function(auth="user", method="GET", answer=MemoryListResponse)
async def memory_list(body: Empty, caller: Caller, app: App) -> MemoryListResponse:
    """The key of a card sees none."""
    found = await app.memories.of(caller.known_user().uid)
    return MemoryListResponse(data=[convert(to_builtins(one), MemoryView) for one in found])
