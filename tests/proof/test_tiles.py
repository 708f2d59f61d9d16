"""Tiles: paths both ways, a log grown leaf by leaf, and proofs read from tiles alone."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.base.merkle import leaf_hash, prove_consistency, prove_inclusion, root_at, root_of
from shared.proof.errors import TileWrong
from shared.proof.tiles import (
    ENTRIES,
    LEAVES_MAX,
    TILE_LEAVES,
    Tile,
    append_leaves,
    cut,
    edge_after,
    parse_tile_path,
    reader_of,
    split_hashes,
    split_leaves,
    tile_widths,
    tiles_of,
    width_at,
)

GROWN = TILE_LEAVES * TILE_LEAVES + 300
"""Enough leaves for a hash on level 2."""
CONTENTS = [b"%d" % index for index in range(GROWN)]
HASHES = [leaf_hash(data) for data in CONTENTS]
in_time = settings(max_examples=60, deadline=None)


def grown(size: int) -> dict[tuple[int, int], bytes]:
    return append_leaves(0, {}, CONTENTS[:size])


@pytest.fixture(scope="module")
def tiles() -> dict[tuple[int, int], bytes]:
    return grown(GROWN)


@pytest.mark.parametrize(
    ("path", "tile"),
    [
        ("tile/0/000", Tile(0, 0, 256)),
        ("tile/0/x001/067", Tile(0, 1067, 256)),
        ("tile/1/x001/x234/067", Tile(1, 1_234_067, 256)),
        ("tile/5/255.p/1", Tile(5, 255, 1)),
        ("tile/0/x001/x234/067.p/255", Tile(0, 1_234_067, 255)),
        ("tile/entries/000.p/5", Tile(ENTRIES, 0, 5)),
        ("tile/entries/x003/999", Tile(ENTRIES, 3999, 256)),
    ],
)
def test_a_path_names_a_tile_both_ways(path: str, tile: Tile) -> None:
    assert parse_tile_path(path) == tile
    assert tile.path == path


@given(st.sampled_from([ENTRIES, 0, 1, 5]), st.integers(0, LEAVES_MAX), st.integers(1, 256))
def test_every_tile_has_one_path(level: int, index: int, width: int) -> None:
    tile = Tile(level, index, width)

    assert parse_tile_path(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/67",
        "tile/0/1067",
        "tile/0/001/067",
        "tile/0/x001/x067",
        "tile/0/x000/067",
        "tile/0/x001/67",
        "tile/0/X001/067",
        "tile/00/067",
        "tile/6/000",
        "tile/12/000",
        "tile/-1/000",
        "tile//000",
        "tile/data/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/07",
        "tile/0/000.p/",
        "tile/0/000.p/5/6",
        "tile/0/000.q/5",
        "tile/0/٠٠٠",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/../000",
        "tile/0/" + "x999/" * 12 + "999",
        "entries/000",
    ],
)
def test_no_other_path_names_one(path: str) -> None:
    with pytest.raises(TileWrong):
        parse_tile_path(path)


@in_time
@given(st.lists(st.integers(0, 300), max_size=6))
@example([255, 1, 256, 0, 1])
def test_a_log_is_the_same_however_it_grew(steps: list[int]) -> None:
    """Batch by batch from the edge alone, each time with the root of all leaves so far."""
    size, edge, tiles = 0, dict[tuple[int, int], bytes](), dict[tuple[int, int], bytes]()
    for step in steps:
        changed = append_leaves(size, edge, CONTENTS[size : size + step])
        size += step
        for key, stored in changed.items():
            assert stored.startswith(tiles.get(key, b"")), "a tile only ever grows"
        tiles |= changed
        edge = edge_after(size, edge, changed)
        assert set(edge) == set(tile_widths(size))
        assert root_at(size, reader_of(edge)) == root_of(HASHES[:size])
    assert tiles == grown(size)


def test_a_large_log_has_a_hash_of_hashes_of_hashes(tiles: dict[tuple[int, int], bytes]) -> None:
    assert len(split_hashes(tiles[2, 0])) == 1
    assert root_at(GROWN, reader_of(tiles)) == root_of(HASHES)
    assert [data for index in range(258) for data in split_leaves(tiles[ENTRIES, index])] == CONTENTS


@in_time
@given(st.data())
def test_proofs_come_from_the_tiles_they_name(tiles: dict[tuple[int, int], bytes], data: st.DataObject) -> None:
    """The same hashes as from the leaves, and no other tile is looked at."""
    from shared.base.merkle import consistency_spans, inclusion_spans

    size = data.draw(st.integers(1, GROWN))
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))

    def plain(level: int, place: int) -> bytes:
        return root_of(HASHES[place << level : (place + 1) << level])

    def named(spans: list[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        # Each no fuller than it was at that size.
        return {key: tiles[key][: 32 * width_at(key, size)] for key in tiles_of(spans)}

    included = reader_of(named(inclusion_spans(index, size)))
    assert prove_inclusion(index, size, included) == prove_inclusion(index, size, plain)
    consistent = reader_of(named(consistency_spans(old, size)))
    assert prove_consistency(old, size, consistent) == prove_consistency(old, size, plain)


def test_a_partial_tile_is_cut_from_what_it_became(tiles: dict[tuple[int, int], bytes]) -> None:
    """Hashes by their length, entries by their own lengths."""
    small = grown(5)
    assert cut(Tile(0, 0, 5), tiles[0, 0]) == small[0, 0]
    assert cut(Tile(ENTRIES, 0, 5), tiles[ENTRIES, 0]) == small[ENTRIES, 0]
    assert cut(Tile(0, 0, 256), tiles[0, 0]) == tiles[0, 0]
    for tile, stored in ((Tile(0, 0, 6), small[0, 0]), (Tile(ENTRIES, 0, 256), small[ENTRIES, 0])):
        with pytest.raises(TileWrong):
            cut(tile, stored)


def test_lengths_of_entries_are_two_bytes_big_endian() -> None:
    assert append_leaves(0, {}, [b"a" * 258])[ENTRIES, 0] == b"\x01\x02" + b"a" * 258
    with pytest.raises(TileWrong):
        append_leaves(0, {}, [b"a" * 65_536])
    for torn in (b"\x00", b"\x00\x02a", b"\x00\x01ab"):
        with pytest.raises(TileWrong):
            split_leaves(torn)


@pytest.mark.parametrize(
    "edge",
    [
        {},
        {(0, 0): b"x" * 96},
        {(0, 0): b"x" * 64, (ENTRIES, 0): b"\x00\x00" * 3},
        {(0, 0): b"x" * 95, (ENTRIES, 0): b"\x00\x00" * 3},
        {(0, 0): b"x" * 96, (ENTRIES, 0): b"\x00\x00" * 4},
        {(0, 0): b"x" * 96, (ENTRIES, 0): b"\x00\x00" * 3, (1, 0): b"x" * 32},
    ],
)
def test_a_log_grows_only_from_its_own_edge(edge: dict[tuple[int, int], bytes]) -> None:
    """Here of three leaves; a tile that is missing, torn or too full is noticed before anything is built on it."""
    with pytest.raises(TileWrong):
        append_leaves(3, edge, [b"next"])


def test_a_node_whose_tile_is_not_there_cannot_be_read() -> None:
    with pytest.raises(TileWrong):
        reader_of({})(0, 0)
    with pytest.raises(TileWrong):
        reader_of(grown(3))(0, 3)
