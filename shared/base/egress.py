"""Which addresses may be called when somebody else chose the URL: public https hosts by name, nothing on the inside.

The rules only; `shared/base/fetcher.py` keeps to them. A name is checked before it is resolved, every address that it
resolves to is checked before any is connected to, and the connection goes to a checked address and not to the name.
"""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from shared.base.errors import CredenceError, Kind

URL_CHARS_MAX = 2_048
HOST_CHARS_MAX = 253
PORT = 443
"""The only port: on others, services listen that answer to more than HTTP."""

_PLAIN = re.compile(r"[!-~]+")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_TOP = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
"""A top-level domain begins with a letter. What ends otherwise is an IPv4 address in one of its many spellings."""

_INSIDE_4 = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' own
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, and the metadata server of every cloud
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # relays into 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_PUBLIC_6 = ip_network("2000::/3")
"""All that has been given out as global unicast. IPv4-mapped, NAT64, link-local, unique local and multicast addresses
lie outside of it."""
_INSIDE_6 = tuple(
    ip_network(network)
    for network in (
        "2001::/23",  # Teredo and other protocols' own
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "3fff::/20",
    )
)


class AddressRefused(CredenceError):
    """The URL is not one that may be called on somebody's behalf."""

    code = "address_not_allowed"
    kind = Kind.INVALID


def checked_host(url: str) -> str:
    """The host of a URL that may be resolved. Raise AddressRefused.

    Refused: other schemes than https, other ports than 443, a name or password, an address instead of a host's name in
    any spelling, names without a dot, with a trailing one, or beyond ASCII (an IDN is written in its `xn--` form).
    """
    if len(url) > URL_CHARS_MAX or not _PLAIN.fullmatch(url) or "\\" in url:
        raise AddressRefused("A URL is at most 2048 characters of plain ASCII; others are percent-encoded.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressRefused("This is not a URL.") from None
    if parts.scheme != "https":
        raise AddressRefused("A URL begins with https://.")
    if "@" in parts.netloc:
        raise AddressRefused("A URL carries no name and no password.")
    if port not in (None, PORT):
        raise AddressRefused("A URL names no other port than 443.")
    host = parts.hostname or ""
    *labels, top = host.split(".")
    if parts.netloc.lower() not in (host, f"{host}:{PORT}"):
        # Whatever else stands there, another parser might read another host.
        raise AddressRefused("A URL names its host by a full name.")
    if not labels or len(host) > HOST_CHARS_MAX or not _TOP.fullmatch(top) or not all(map(_LABEL.fullmatch, labels)):
        raise AddressRefused("A URL names its host by a full name.")
    return host


def is_public(address: str) -> bool:
    """True for an address of the open internet; false for all that leads inside, in whatever disguise."""
    try:
        parsed: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv4Address):
        return not any(parsed in network for network in _INSIDE_4)
    return parsed.scope_id is None and parsed in _PUBLIC_6 and not any(parsed in network for network in _INSIDE_6)
