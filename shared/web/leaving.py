"""Whether the client is still there: a server tells of a connection that is gone by the message after the body."""

from starlette.types import Receive


async def client_left(receive: Receive) -> None:
    """Return once the client has gone, or was answered. Only for a request whose body was read."""
    while (await receive())["type"] != "http.disconnect":
        pass
