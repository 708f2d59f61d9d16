"""Reading the public log, for whoever checks or mirrors it."""

from shared.ledger.errors import LedgerUnavailable
from shared.ledger.store import StoreUnavailable
from shared.proof.errors import LogPathUnknown, TileWrong
from shared.proof.store import LogStore
from shared.proof.tiles import cut, parse_tile_path


class LogReader:
    """The log as files. Both raise LogPathUnknown, and LedgerUnavailable when the store does not answer."""

    def __init__(self, log: LogStore) -> None:
        self._log = log

    async def checkpoint(self) -> str:
        """The last signed note."""
        try:
            note = (await self._log.state()).state.note
        except StoreUnavailable:
            raise LedgerUnavailable from None
        if not note:
            raise LogPathUnknown
        return note

    async def tile(self, path: str) -> bytes:
        """The tile that a path names. It never changes: a log only grows, and a partial tile is named by its width."""
        try:
            tile = parse_tile_path(path)
            stored = await self._log.tiles([tile.key])
            return cut(tile, stored.get(tile.key, b""))
        except TileWrong:
            raise LogPathUnknown from None
        except StoreUnavailable:
            raise LedgerUnavailable from None
