"""The text of a page on the web: what a reader would see of it, without what a browser runs or decorates with.

A scanner of our own, which looks at each character once: pages are strangers', and the standard library's parser can be
fed such that its time grows with the square of their length.
"""

import html
import re
from collections.abc import Iterator

TEXT_CHARS_MAX = 200_000
"""Of one page, as text. What follows is left out."""
TITLE_CHARS_MAX = 200
_RAW = frozenset({"script", "style", "textarea", "noscript", "template", "svg", "iframe"})
"""What is in them ends at their own end tag, whatever it looks like, and is not seen."""
_UNSEEN = frozenset({"head", "nav", "footer", "form"})
_BLOCKS = frozenset(
    {"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "section", "article", "blockquote", "pre"}
    | {"table", "ul", "ol", "dl", "dt", "dd", "main", "header"}
)
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,20})")
_MARK = re.compile(r"<[!?/]")


def text_of(content: bytes, media_type: str) -> tuple[str, str]:
    """Title and text. Whatever the bytes are, this ends, in time that grows with their number alone."""
    source = content.decode(errors="replace")
    if media_type == "text/plain":
        return "", source[:TEXT_CHARS_MAX]
    title, pieces, unseen = "", [""], ""
    for opens, tag, data in _tokens(source):
        if tag == "title":
            title = title or " ".join(html.unescape(data).split())[:TITLE_CHARS_MAX]
        elif tag in _UNSEEN:
            # Many a page never closes its head; its body then does.
            unseen = (unseen or tag) if opens else "" if unseen == tag else unseen
        elif tag == "body" and unseen == "head":
            unseen = ""
        elif tag in _BLOCKS:
            pieces.append("\n\n")
        elif not tag and not unseen:
            pieces.append(data)
    blocks = (" ".join(html.unescape(block).split()) for block in "".join(pieces).split("\n\n"))
    return title, "\n\n".join(block for block in blocks if block)[:TEXT_CHARS_MAX]


def _tokens(source: str) -> Iterator[tuple[bool, str, str]]:
    """Tags and the text between them, as (opens, tag, data); a title comes with what is in it."""
    lowered = source.lower() if source.isascii() else re.sub("[A-Z]", lambda found: found[0].lower(), source)
    place = 0
    while place < len(source):
        opening = source.find("<", place)
        if opening < 0:
            opening = len(source)
        if opening > place:
            yield False, "", source[place:opening]
        if opening == len(source):
            return
        tag = _TAG.match(source, opening)
        if source.startswith("<!--", opening):
            place = _after(source, "-->", opening + 4)
        elif tag is None:
            if not _MARK.match(source, opening):
                yield False, "", "<"
            place = _after(source, ">", opening) if _MARK.match(source, opening) else opening + 1
        else:
            opens, name = not tag[1], tag[2].lower()
            inside = place = _after(source, ">", tag.end())
            if opens and (name in _RAW or name == "title"):
                ends = lowered.find(f"</{name}", inside)
                place = len(source) if ends < 0 else ends
            yield opens, name, source[inside:place] if opens and name == "title" else ""


def _after(source: str, wanted: str, place: int) -> int:
    """Where it goes on behind what is wanted. What is never ended takes all the rest, so no end is looked for twice."""
    found = source.find(wanted, place)
    return len(source) if found < 0 else found + len(wanted)
