"""Bodies with a chosen CRC32, which anybody can make: it is a checksum and no proof."""

from zlib import crc32

PLACES = 64
"""Twice as many as a CRC32 has bits, so that some of them reach any checksum."""


def with_crc32(body: bytes, wanted: int) -> bytes:
    """The body, followed by spaces and tabs that bring its checksum to the wanted one. It means the same as before."""
    spaces = bytearray(body + b" " * PLACES)
    missing = crc32(spaces) ^ wanted
    reached: dict[int, tuple[int, int]] = {}
    for place in range(PLACES):
        vector, places = _difference(spaces, len(body) + place), 1 << place
        while vector and (top := vector.bit_length()) in reached:
            vector, places = vector ^ reached[top][0], places ^ reached[top][1]
        if vector:
            reached[vector.bit_length()] = vector, places
    flipped = 0
    while missing:
        vector, places = reached[missing.bit_length()]
        missing, flipped = missing ^ vector, flipped ^ places
    for place in range(PLACES):
        if flipped >> place & 1:
            spaces[len(body) + place] = ord("\t")
    return bytes(spaces)


def _difference(spaces: bytearray, at: int) -> int:
    """How the checksum changes when the space at this place becomes a tab; whatever the others are."""
    other = bytearray(spaces)
    other[at] = ord("\t")
    return crc32(spaces) ^ crc32(other)
