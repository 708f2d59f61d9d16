"""Which URLs may be called on somebody's behalf: the ways around such a guard that others were hit by, and it holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.base.egress import AddressRefused, checked_host, is_public


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://example.com", "example.com"),
        ("https://example.com:443/a/b.png?x=%20#y", "example.com"),
        ("https://EXAMPLE.com/", "example.com"),
        ("HTTPS://cdn-1.example.co.uk/cat.png", "cdn-1.example.co.uk"),
        ("https://xn--mnchen-3ya.example/m%C3%BCnchen.png", "xn--mnchen-3ya.example"),
        ("https://_dmarc.example.xn--p1ai/", "_dmarc.example.xn--p1ai"),
    ],
)
def test_a_plain_https_url_is_let_pass(url: str, host: str) -> None:
    """To be resolved, and its addresses checked then."""
    assert checked_host(url) == host


@pytest.mark.parametrize(
    "url",
    [
        # Schemes.
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "//example.com/",
        "example.com",
        "",
        # Names and passwords, and what looks like a host but is one.
        "https://user@example.com/",
        "https://user:secret@example.com/",
        "https://example.com@127.0.0.1/",
        "https://@example.com/",
        "https://example.com\\@127.0.0.1/",
        # Ports.
        "https://example.com:80/",
        "https://example.com:8443/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com:x/",
        # IPv4, in every spelling that some resolver takes.
        "https://127.0.0.1/",
        "https://8.8.8.8/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://127.0.0.0x1/",
        "https://0177.0.0.1/",
        "https://017700000001/",
        "https://0/",
        "https://0.0.0.0/",
        "https://169.254.169.254/latest/meta-data/",
        "https://example.127/",
        # IPv6.
        "https://[::1]/",
        "https://[::]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:a9fe:a9fe]/",
        "https://[fe80::1%25eth0]/",
        "https://[2606:4700::1111]/",
        "https://[::1/",
        "https://[v1.x]/",
        # Names that stand for the inside, or end oddly.
        "https://localhost/",
        "https://metadata/",
        "https://localhost./",
        "https://example.com./",
        "https://example..com/",
        "https://.example.com/",
        "https://-a.example.com/",
        "https:///path",
        "https://?x",
        # Beyond ASCII: digits and dots that are normalised to plain ones, and letters that look like others.
        "https://１２７.０.０.１/",
        "https://127。0。0。1/",
        "https://exаmple.com/",
        "https://münchen.example/",
        "https://example.com/ü",
        "https://ⓔxample.com/",
        # Bytes that end a line, or that one parser drops and another does not.
        "https://example.com/\r\nx: y",
        "https://exam\tple.com/",
        "https://example.com/a b",
        " https://example.com/",
        "https://example.com/\x00",
        "https://example.com/" + "a" * 2_100,
        "https://" + "a" * 64 + ".com/",
        "https://" + "a." * 200 + "com/",
    ],
)
def test_every_other_url_is_refused(url: str) -> None:
    """Before anything is resolved."""
    with pytest.raises(AddressRefused):
        checked_host(url)


@given(st.text(max_size=60))
def test_no_text_makes_the_check_fail_otherwise(text: str) -> None:
    """Whatever stands behind the scheme, the answer is a host or a refusal."""
    try:
        host = checked_host(f"https://{text}")
    except AddressRefused:
        return
    assert "." in host
    assert host.isascii()


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.32.0.1", "2606:4700:4700::1111", "2a00::1"]
)
def test_an_address_of_the_open_internet_is_public(address: str) -> None:
    """Those just outside of what is reserved too."""
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 # nothing is bound to it
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.170",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "2606:4700::1%eth0",
        "fec0::1",
        "ff02::1",
        "not an address",
        "",
        "0x7f.1",
    ],
)
def test_an_address_of_the_inside_is_not_public(address: str) -> None:
    """Loopback, private, link-local, carriers' own, multicast, reserved, and IPv4 in the disguises of IPv6."""
    assert not is_public(address)
