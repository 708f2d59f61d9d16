"""How a file is named to whoever downloads it (RFC 6266), whatever wrote the name."""

import re
from urllib.parse import quote

from shared.base.names import seen

UNNAMED = "download"
_SEPARATOR = re.compile(r"[/\\]")
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_. ()-]")


def attachment(name: str) -> str:
    """The value of `content-disposition`: the name's last part, for old clients in plain letters, and as it is."""
    last = _SEPARATOR.split(name)[-1]
    told = seen(last).strip(" .") or UNNAMED
    return f"attachment; filename=\"{_NOT_PLAIN.sub('_', told)}\"; filename*=UTF-8''{quote(told, safe='')}"


def shown(text: str) -> str:
    """What of a text may stand in a header."""
    return "".join(sign for sign in text if sign.isascii() and sign.isprintable())
