"""Tiles: the log as files that never change once full, for anybody to fetch and cache.

The format is C2SP's tlog-tiles (https://c2sp.org). A tile of level L holds up to 256 hashes of the tree's level 8 L, an
entry bundle the contents of up to 256 leaves, each after its length in two bytes. A partial tile is a prefix of the
tile it becomes, so what is stored is always the longest, and any shorter one is cut from it.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from msgspec import Struct

from shared.base.merkle import HASH_BYTES, HashReader, leaf_hash, root_of, span_nodes
from shared.proof.errors import TileWrong

TILE_LEAVES = 256
_HEIGHT = 8
ENTRIES = -1
"""The level under which the contents of leaves are kept."""
LEVELS = 6
"""As many as the format has: enough for 256**6 leaves."""
LEAVES_MAX = TILE_LEAVES**LEVELS
NODES_REMEMBERED_MAX = 1_000
"""Of at most 4 kilobytes each: a proof in a log of a million leaves asks for about twenty."""
LEAF_BYTES_MAX = 65_535
"""What two bytes of length can say."""

TileKey = tuple[int, int]
"""Level, or ENTRIES, and index."""
Tiles = Mapping[TileKey, bytes]


class Tile(Struct, frozen=True):
    """A tile as a path names it: `width` of it, of 256."""

    level: int
    index: int
    width: int

    @property
    def key(self) -> TileKey:
        """The stored tile that it is cut from."""
        return self.level, self.index

    @property
    def path(self) -> str:
        """Its path in the log: `tile/0/x001/067`, `tile/entries/000.p/5`."""
        groups = [f"{self.index % 1000:03d}"]
        rest = self.index // 1000
        while rest:
            groups.insert(0, f"x{rest % 1000:03d}")
            rest //= 1000
        level = "entries" if self.level == ENTRIES else str(self.level)
        partial = "" if self.width == TILE_LEAVES else f".p/{self.width}"
        return f"tile/{level}/{'/'.join(groups)}{partial}"


def parse_tile_path(path: str) -> Tile:
    """The tile that a path names. Raise TileWrong for any other way of writing it, so that no tile has two paths."""
    start, _, rest = path.partition("/")
    level, _, place = rest.partition("/")
    numbers, partial, width = place.partition(".p/")
    index = "".join(numbers.replace("x", "").split("/"))
    for part in (index, width if partial else "1"):
        _require(part.isascii() and part.isdigit() and len(part) < 20)
    _require(start == "tile" and level in ("entries", *map(str, range(LEVELS))))
    tile = Tile(ENTRIES if level == "entries" else int(level), int(index), int(width) if partial else TILE_LEAVES)
    _require(0 < tile.width <= TILE_LEAVES and tile.path == path)
    return tile


def tile_widths(size: int) -> dict[TileKey, int]:
    """The last tile of each level of a log of `size`, and how much of it is filled, where it is partly."""
    widths = {}
    for level in range(LEVELS):
        hashes = size >> (_HEIGHT * level)
        if not hashes:
            break
        if hashes % TILE_LEAVES:
            widths[level, hashes // TILE_LEAVES] = hashes % TILE_LEAVES
    if size % TILE_LEAVES:
        widths[ENTRIES, size // TILE_LEAVES] = size % TILE_LEAVES
    return widths


def append_leaves(size: int, edge: Tiles, leaves: Sequence[bytes]) -> dict[TileKey, bytes]:
    """The tiles that change when a log of `size`, whose partly filled tiles are `edge`, gets these leaves.

    Raise TileWrong when the edge is not that of a log of this size, or for a leaf that is too long.
    """
    _require(0 <= size <= LEAVES_MAX - len(leaves))
    check_edge(size, edge)
    changed: dict[TileKey, bytes] = {}

    def add(key: TileKey, piece: bytes) -> bytes:
        changed[key] = (changed.get(key) or edge.get(key, b"")) + piece
        return changed[key]

    for index, data in enumerate(leaves, start=size):
        _require(len(data) <= LEAF_BYTES_MAX)
        add((ENTRIES, index // TILE_LEAVES), len(data).to_bytes(2) + data)
        hashed, level, place = leaf_hash(data), 0, index
        while len(tile := add((level, place // TILE_LEAVES), hashed)) == TILE_LEAVES * HASH_BYTES:
            # A full tile is one hash of the tile above it.
            hashed, level, place = root_of(split_hashes(tile)), level + 1, place // TILE_LEAVES
    return changed


def check_edge(size: int, edge: Tiles) -> None:
    """Raise TileWrong unless `edge` holds the partly filled tiles of a log of `size`, each exactly as full."""
    widths = tile_widths(size)
    _require(set(edge) == set(widths))
    for key, width in widths.items():
        filled = len(_leaf_ends(edge[key])) if key[0] == ENTRIES else _count_hashes(edge[key])
        _require(filled == width)


def edge_after(size: int, edge: Tiles, changed: Tiles) -> dict[TileKey, bytes]:
    """The partly filled tiles of the log that has grown to `size`."""
    known = {**edge, **changed}
    return {key: known[key] for key in tile_widths(size)}


def reader_of(tiles: Tiles) -> HashReader:
    """Hashes of full nodes from tiles. The reader raises TileWrong for a node whose tile is absent or too short."""

    def read(level: int, index: int) -> bytes:
        key = tile_of(level, index)
        tile, width = tiles.get(key, b""), 1 << level % _HEIGHT
        first = (index << level % _HEIGHT) % TILE_LEAVES
        _require(first + width <= _count_hashes(tile))
        return _root_over(tile[first * HASH_BYTES : (first + width) * HASH_BYTES])

    return read


@lru_cache(maxsize=NODES_REMEMBERED_MAX)
def _root_over(hashes: bytes) -> bytes:
    """The root over hashes one after the other. A log that has grown is mostly made of nodes that were asked for."""
    return root_of(split_hashes(hashes))


def tile_of(level: int, index: int) -> TileKey:
    """The tile from which the hash of a full node is computed."""
    return level // _HEIGHT, (index << level % _HEIGHT) // TILE_LEAVES


def tiles_of(spans: Iterable[tuple[int, int]]) -> set[TileKey]:
    """All tiles that the hashes of these subtrees are computed from."""
    return {tile_of(level, index) for span in spans for level, index in span_nodes(span)}


def width_at(key: TileKey, size: int) -> int:
    """How much of a tile a log of `size` has filled."""
    level, index = key
    hashes = size if level == ENTRIES else size >> (_HEIGHT * level)
    return max(0, min(TILE_LEAVES, hashes - index * TILE_LEAVES))


def cut(tile: Tile, stored: bytes) -> bytes:
    """The part of a stored tile that a path names. Raise TileWrong when it is not that full yet."""
    if tile.level != ENTRIES:
        _require(len(stored) >= tile.width * HASH_BYTES)
        return stored[: tile.width * HASH_BYTES]
    ends = _leaf_ends(stored)
    _require(len(ends) >= tile.width)
    return stored[: ends[tile.width - 1]] if tile.width else b""


def split_hashes(tile: bytes) -> list[bytes]:
    """The hashes in a tile. Raise TileWrong when it is none."""
    return [tile[at : at + HASH_BYTES] for at in range(0, _count_hashes(tile) * HASH_BYTES, HASH_BYTES)]


def split_leaves(bundle: bytes) -> list[bytes]:
    """The contents in an entry bundle. Raise TileWrong when it is none."""
    ends = _leaf_ends(bundle)
    return [bundle[start + 2 : end] for start, end in zip([0, *ends], ends, strict=False)]


def _count_hashes(tile: bytes) -> int:
    """How many hashes are in a tile. Raise TileWrong when it is none."""
    _require(len(tile) % HASH_BYTES == 0 and len(tile) <= TILE_LEAVES * HASH_BYTES)
    return len(tile) // HASH_BYTES


def _leaf_ends(bundle: bytes) -> list[int]:
    """Where each leaf in an entry bundle ends. Raise TileWrong when it is none."""
    ends = []
    end, size = 0, len(bundle)
    while end < size - 1:
        end += 2 + (bundle[end] << 8 | bundle[end + 1])
        ends.append(end)
    _require(end == size and len(ends) <= TILE_LEAVES)
    return ends


def _require(holds: bool) -> None:
    if not holds:
        raise TileWrong
