"""Which certificates PayPal is believed by: where they lie, who vouches for them, for which name, until when."""

import asyncio
import datetime
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509

from local.paypal.authority import CERTIFICATE_PATH, CERTIFICATE_URL, NAME, Root
from shared.base.egress import AddressRefused
from shared.payments.errors import EventRefused, RailUnavailable
from shared.payments.paypal.certificates import (
    FETCHES_PER_MINUTE_MAX,
    KEPT_MAX,
    KEPT_MS_MAX,
    LIVE,
    SANDBOX,
    Realm,
    SigningCertificates,
    Source,
    certificates_in,
    realm_of,
)
from tests.ledger.builders import NOW, Ticker
from tests.payments.paypal_bench import signatory, thief

AT = datetime.datetime.fromtimestamp(NOW / 1000, datetime.UTC)
DAY = datetime.timedelta(days=1)
LIVE_NAME = "messageverificationcerts.paypal.com"


class Shelf:
    """Where certificates lie, and how often somebody came for one."""

    def __init__(self, clock: Ticker, chain: Sequence[x509.Certificate], root: x509.Certificate) -> None:
        self.chain, self.root, self.clock = chain, root, clock
        self.asked: list[str] = []
        self.is_down = False

    async def read(self, url: str) -> bytes:
        self.asked.append(url)
        await asyncio.sleep(0)
        if self.is_down:
            raise AddressRefused("nobody there")
        return signatory().certified_anew(self.chain).pem

    async def roots(self) -> Sequence[x509.Certificate]:
        return [self.root]

    def certificates(self, realm: Realm = SANDBOX) -> SigningCertificates:
        return SigningCertificates(Source(self.read, self.roots), realm, self.clock)


def shelf(chain: Sequence[x509.Certificate] | None = None, root: x509.Certificate | None = None) -> Shelf:
    good = signatory().chain
    return Shelf(Ticker(), good if chain is None else chain, root or good[-1])


async def test_the_key_of_paypals_certificate_is_known_once_it_is_prepared() -> None:
    found = shelf()
    certificates = found.certificates()

    for _ in range(3):
        await certificates.prepare(CERTIFICATE_URL)

    key = certificates.key_of(CERTIFICATE_URL, now_ms=NOW)
    assert key.public_numbers() == signatory().public_key.public_numbers()
    assert found.asked == [CERTIFICATE_URL]


TRICKS = [
    "",
    "http://api.sandbox.paypal.com/v1/notifications/certs/CERT-1",
    "https://evil.example/v1/notifications/certs/CERT-1",
    "https://api.sandbox.paypal.com.evil.example/v1/notifications/certs/CERT-1",
    "https://evil.example/api.sandbox.paypal.com/v1/notifications/certs/CERT-1",
    "https://evil.example#@api.sandbox.paypal.com/v1/notifications/certs/CERT-1",
    "https://api.sandbox.paypal.com@evil.example/v1/notifications/certs/CERT-1",
    "https://evil.example@api.sandbox.paypal.com/v1/notifications/certs/CERT-1",
    "https://evil.example\\@api.sandbox.paypal.com/v1/notifications/certs/CERT-1",
    "https://xapi.sandbox.paypal.com/v1/notifications/certs/CERT-1",
    "https://api-sandbox.paypal.com/v1/notifications/certs/CERT-1",
    "https://www.paypal.com/v1/notifications/certs/CERT-1",
    "https://paypal.com/v1/notifications/certs/CERT-1",
    "https://paypalobjects.com/v1/notifications/certs/CERT-1",
    "https://api.sandbox.paypal.com./v1/notifications/certs/CERT-1",
    "https://api.sandbox.paypal.com:443/v1/notifications/certs/CERT-1",
    "https://api.sandbox.paypal.com:8443/v1/notifications/certs/CERT-1",
    "https://API.sandbox.paypal.com/v1/notifications/certs/CERT-1",
    "https://api.sandbox.paypaI.com/v1/notifications/certs/CERT-1",
    "https://api.sandbox.pаypal.com/v1/notifications/certs/CERT-1",
    "https://127.0.0.1/v1/notifications/certs/CERT-1",
    "https://api.sandbox.paypal.com",
    "https://api.sandbox.paypal.com/",
    "https://api.sandbox.paypal.com/v1/notifications/certs/",
    "https://api.sandbox.paypal.com/v1/notifications/certs/../../oauth2/token",
    "https://api.sandbox.paypal.com/v1/notifications/certs/%2e%2e/x",
    "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1/x",
    "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1?next=https://evil.example",
    "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1#x",
    "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1\n",
    "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1 ",
    " https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1",
    "https:///v1/notifications/certs/CERT-1",
    "//api.sandbox.paypal.com/v1/notifications/certs/CERT-1",
    "https://api.paypal.com/v1/notifications/certs/CERT-1",
    "file:///v1/notifications/certs/CERT-1",
    "https://api.sandbox.paypal.com/v1/notifications/certs/" + "C" * 3_000,
]


@pytest.mark.parametrize("url", TRICKS)
async def test_whatever_is_not_paypals_own_address_is_not_even_asked(url: str) -> None:
    found = shelf()
    with pytest.raises(EventRefused):
        await found.certificates().prepare(url)
    with pytest.raises(EventRefused):
        found.certificates().key_of(url, now_ms=NOW)
    assert found.asked == []


async def test_the_sandbox_vouches_for_nothing_in_the_live_world() -> None:
    """Anybody has a sandbox account; and its certificate is not made out to the live name."""
    live_url = f"https://api.paypal.com{CERTIFICATE_PATH}"
    with pytest.raises(EventRefused):
        await shelf().certificates(LIVE).prepare(CERTIFICATE_URL)
    with pytest.raises(RailUnavailable):
        await shelf().certificates(LIVE).prepare(live_url)

    named = shelf([Root(AT).vouch(signatory().public_key, LIVE_NAME)])
    with pytest.raises(RailUnavailable):
        await named.certificates(LIVE).prepare(live_url)


@pytest.mark.parametrize(
    ("base_url", "realm"),
    [
        ("https://api-m.paypal.com", LIVE),
        ("https://api-m.sandbox.paypal.com", SANDBOX),
        ("https://api-m.sandbox.paypal.com.evil.example", LIVE),
        ("https://proxy.example/api-m.sandbox.paypal.com", LIVE),
    ],
)
def test_only_the_sandbox_is_the_sandbox(base_url: str, realm: Realm) -> None:
    assert realm_of(base_url) == realm


def vouched(name: str = NAME, *, until: datetime.datetime | None = None) -> Shelf:
    """PayPal's key in a certificate that the root whom we trust made out."""
    root = Root(AT)
    leaf = root.vouch(signatory().public_key, name, until=until)
    return shelf([leaf, root.certificate], root.certificate)


@pytest.mark.parametrize("name", [NAME, LIVE_NAME])
async def test_a_certificate_for_paypals_signer_is_good(name: str) -> None:
    await vouched(name).certificates().prepare(CERTIFICATE_URL)


NAMES = [
    "www.paypal.com",
    "api.sandbox.paypal.com",
    "messageverificationcerts.paypal.com.evil.example",
    "xmessageverificationcerts.paypal.com",
    "*.paypal.com.evil.example",
    "evil.example",
]


@pytest.mark.parametrize("name", NAMES)
async def test_a_genuine_certificate_for_another_name_is_not_good(name: str) -> None:
    with pytest.raises(RailUnavailable):
        await vouched(name).certificates().prepare(CERTIFICATE_URL)


async def test_a_certificate_that_nobody_we_trust_vouches_for_is_not_good() -> None:
    """Whoever has it made out to PayPal's name by themselves; with their own root beside it, too."""
    for chain in (thief().chain, thief().chain[:1], [*thief().chain, signatory().chain[-1]]):
        with pytest.raises(RailUnavailable):
            await shelf(chain).certificates().prepare(CERTIFICATE_URL)


async def test_the_first_certificate_counts_and_no_other() -> None:
    """A thief's, followed by PayPal's genuine ones."""
    with pytest.raises(RailUnavailable):
        await shelf([thief().chain[0], *signatory().chain]).certificates().prepare(CERTIFICATE_URL)


@pytest.mark.parametrize("until", [AT - DAY, AT + datetime.timedelta(days=400)])
async def test_a_certificate_is_good_in_its_time_only(until: datetime.datetime) -> None:
    with pytest.raises(RailUnavailable):
        await vouched(until=until).certificates().prepare(CERTIFICATE_URL)


async def test_a_certificate_that_ends_while_it_is_kept_ends_at_once() -> None:
    found = vouched(until=AT + datetime.timedelta(minutes=5))
    certificates = found.certificates()
    await certificates.prepare(CERTIFICATE_URL)

    with pytest.raises(EventRefused):
        certificates.key_of(CERTIFICATE_URL, now_ms=NOW + 301_000)


async def test_no_certificate_is_kept_for_longer_than_a_day() -> None:
    """What PayPal withdraws is not published any more."""
    found = shelf()
    certificates = found.certificates()
    await certificates.prepare(CERTIFICATE_URL)
    found.clock.now_ms += KEPT_MS_MAX
    found.is_down = True

    with pytest.raises(RailUnavailable):
        await certificates.prepare(CERTIFICATE_URL)
    with pytest.raises(EventRefused):
        certificates.key_of(CERTIFICATE_URL, now_ms=found.clock.now_ms)


async def test_what_could_not_be_had_is_had_once_it_is_there() -> None:
    found = shelf()
    certificates = found.certificates()
    found.is_down = True
    with pytest.raises(RailUnavailable):
        await certificates.prepare(CERTIFICATE_URL)
    found.is_down = False

    await certificates.prepare(CERTIFICATE_URL)

    assert certificates.key_of(CERTIFICATE_URL, now_ms=NOW)


async def test_many_events_at_once_ask_once() -> None:
    found = shelf()
    certificates = found.certificates()

    await asyncio.gather(*(certificates.prepare(CERTIFICATE_URL) for _ in range(50)))

    assert found.asked == [CERTIFICATE_URL]


async def test_a_stranger_cannot_have_us_ask_paypal_at_will() -> None:
    """And what is known already stays good meanwhile."""
    found = shelf()
    certificates = found.certificates()
    await certificates.prepare(CERTIFICATE_URL)
    found.is_down = True
    for number in range(100):
        with pytest.raises(RailUnavailable):
            await certificates.prepare(f"{CERTIFICATE_URL}-{number}")

    assert len(found.asked) == FETCHES_PER_MINUTE_MAX
    await certificates.prepare(CERTIFICATE_URL)
    found.clock.now_ms += 60_000
    found.is_down = False
    await certificates.prepare(f"{CERTIFICATE_URL}-new")


async def test_few_certificates_are_kept() -> None:
    found = shelf()
    certificates = found.certificates()
    for number in range(KEPT_MAX + 1):
        await certificates.prepare(f"{CERTIFICATE_URL}-{number}")

    with pytest.raises(EventRefused):
        certificates.key_of(f"{CERTIFICATE_URL}-0", now_ms=NOW)
    assert certificates.key_of(f"{CERTIFICATE_URL}-{KEPT_MAX}", now_ms=NOW)


@pytest.mark.parametrize("content", [b"", b"no certificate", json.dumps({"error": 1}).encode()])
async def test_what_is_no_certificate_is_none(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "certificates.pem"
    file.write_bytes(content)
    with pytest.raises(RailUnavailable):
        await SigningCertificates(certificates_in(str(file)), SANDBOX, Ticker()).prepare(CERTIFICATE_URL)


async def test_a_file_stands_for_paypal_where_somebody_plays_it(tmp_path: Path) -> None:
    file = tmp_path / "certificates.pem"
    file.write_bytes(signatory().pem)
    certificates = SigningCertificates(certificates_in(str(file)), SANDBOX, Ticker())

    await certificates.prepare(CERTIFICATE_URL)

    assert certificates.key_of(CERTIFICATE_URL, now_ms=NOW)
