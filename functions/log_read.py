"""Give a file of the public log: its checkpoint or a tile. Called by whoever checks or mirrors the log; reads only.

The paths and formats are C2SP's tlog-tiles (https://c2sp.org): `checkpoint`, `tile/0/x001/067`, `tile/entries/000.p/5`.
"""

from starlette.responses import Response

from shared.app import App
from shared.base.body import Body
from shared.web.auth import Caller
from shared.web.function import http_function

FOR_EVER = "public, max-age=31536000, immutable"


class LogReadRequest(Body, frozen=True, kw_only=True):
    """Which file."""

    path: str


@http_function(
    auth="none",
    method="GET",
    body=LogReadRequest,
    path_param="path",
    path_prefix="/log/",
    media_types=("text/plain", "application/octet-stream"),
)
async def log_read(body: LogReadRequest, caller: Caller, app: App) -> Response:
    """Raise LogPathUnknown (404), also for a tile that is not that full yet."""
    if body.path == "checkpoint":
        note = await app.log_reader.checkpoint()
        return Response(note, media_type="text/plain", headers={"cache-control": "no-store"})
    tile = await app.log_reader.tile(body.path)
    return Response(tile, media_type="application/octet-stream", headers={"cache-control": FOR_EVER})
