"""What a name that a model or a program wrote may do to the header that bears it: nothing."""

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as some

from shared.web.attachment import attachment, shown


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("report.md", "report.md"),
        ("out/sum of all.csv", "sum of all.csv"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ('a"; filename="evil.exe', 'a"; filename="evil.exe'),
        ("a\r\nset-cookie: b=c", "a__set-cookie: b=c"),
        ("Größe 100%.csv", "Größe 100%.csv"),
        ("表.csv", "表.csv"),
        ("photo\u202egpj.exe", "photo_gpj.exe"),
        ("lone\ud800", "lone_"),
        ("/", "download"),
        ("..", "download"),
        (".profile", "profile"),
        ("", "download"),
    ],
)
def test_a_name_is_told_as_its_last_part(name: str, told: str) -> None:
    assert _read(attachment(name)) == told


@given(some.text(some.characters(), max_size=40))
def test_no_name_says_anything_beside_itself(name: str) -> None:
    """It is one line of ASCII with one type and two parameters, and names no folder."""
    header = attachment(name)

    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
    assert header.count(";") == 2
    told = _read(header)
    assert told
    assert "/" not in told
    assert not told.startswith(".")


def test_a_media_type_is_one_line_of_ascii() -> None:
    assert shown("text/plain\r\nx: y\u00e4") == "text/plainx: y"


def _read(header: str) -> str:
    """As a client does that knows RFC 5987."""
    found = re.fullmatch(r"attachment; filename=\"([^\"\\]+)\"; filename\*=UTF-8''([A-Za-z0-9_.~%-]+)", header)
    assert found is not None
    assert "/" not in found[1]
    return unquote(found[2], errors="strict")
