"""Reading what somebody's URL leads to: from the checked address, within bounds, no redirects, nothing of ours sent.

A host with a certificate of its own stands for the internet; the test's resolver says where it is.
"""

import asyncio
import datetime
import gzip
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.base.egress import AddressRefused, is_public
from shared.base.fetcher import NAMES_AT_ONCE_MAX, Fetched, Fetcher, NameThreads, guarded_session

HOST, URL = "pictures.example", "https://pictures.example/cat.png"
PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 1_000
TIMEOUT_S = 10.0
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Names(AbstractResolver):
    """Resolves every name to the next of these answers; the last one stays."""

    def __init__(self, port: int, *answers: tuple[str, ...]) -> None:
        self._port = port
        self._answers = list(answers)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked.append(host)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            ResolveResult(hostname=host, host=address, port=self._port, family=socket.AF_INET, proto=0, flags=0)
            for address in answer
        ]

    async def close(self) -> None:
        """Nothing is open."""


class Site:
    """A server on this machine that its certificate calls `pictures.example`."""

    def __init__(self) -> None:
        self.handler: Handler = picture
        self.requests: list[web.Request] = []
        self.port = 0
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        return await self.handler(request)

    def fetcher(self, *answers: tuple[str, ...], is_allowed: Callable[[str], bool] = lambda _: True) -> Fetcher:
        """One that finds the site at these addresses, and may go there if `is_allowed` says so."""
        names = Names(self.port, *(answers or (("127.0.0.1",),)))
        return Fetcher(lambda: guarded_session(names, is_allowed=is_allowed, tls=self.tls))


async def picture(_: web.Request) -> web.StreamResponse:
    return web.Response(body=PNG, content_type="image/png")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    site = Site()
    certificate, key = write_certificate(tmp_path)
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(certificate, key)
    site.tls.load_verify_locations(certificate)
    app = web.Application()
    app.router.add_get("/{path:.*}", site.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_tls).start()
    site.port = runner.addresses[0][1]
    yield site
    await runner.cleanup()


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for HOST, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


async def fetch(fetcher: Fetcher, url: str = URL, *, bytes_max: int = 10_000, timeout_s: float = 5.0) -> Fetched:
    try:
        return await fetcher.fetch(url, bytes_max=bytes_max, media_types={"image/png"}, timeout_s=timeout_s)
    finally:
        await fetcher.close()


async def test_a_picture_is_read_with_nothing_of_ours(site: Site) -> None:
    """No key, no cookie, no way back; the host is asked under its name."""
    assert await fetch(site.fetcher()) == Fetched(PNG, "image/png")

    (request,) = site.requests
    assert request.headers["host"] == HOST
    assert not {"authorization", "cookie", "referer", "x-api-key"} & {name.lower() for name in request.headers}


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.0.0.1", "0.1.2.3"])
async def test_a_name_that_leads_inside_is_not_called(site: Site, address: str) -> None:
    """Not even when another of its addresses is public."""
    for answer in ((address,), ("8.8.8.8", address), (address, "8.8.8.8")):
        with pytest.raises(AddressRefused):
            await fetch(site.fetcher(answer, is_allowed=is_public))

    assert not site.requests


async def test_a_name_that_changes_its_answer_is_called_where_it_was_checked(site: Site) -> None:
    """DNS rebinding: public when it is checked, inside when it is connected to. There is one answer for both."""
    checked: list[str] = []

    def is_allowed(address: str) -> bool:
        checked.append(address)
        return address == "127.0.0.1"

    names = Names(site.port, ("127.0.0.1",), ("169.254.169.254",))
    fetcher = Fetcher(lambda: guarded_session(names, is_allowed=is_allowed, tls=site.tls))
    found = await fetch(fetcher)

    assert (found.content, names.asked, checked) == (PNG, [HOST], ["127.0.0.1"])


async def test_an_answer_that_has_changed_by_the_next_connection_is_checked_again(site: Site) -> None:
    """No check outlives its connection by more than the seconds that a connector remembers a checked answer."""
    names = Names(site.port, ("127.0.0.1",), ("10.0.0.1",))
    first = Fetcher(lambda: guarded_session(names, is_allowed=lambda address: address == "127.0.0.1", tls=site.tls))
    second = Fetcher(lambda: guarded_session(names, is_allowed=lambda address: address == "127.0.0.1", tls=site.tls))

    await fetch(first)
    with pytest.raises(AddressRefused):
        await fetch(second)


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/", "https://[::1]/", "https://2130706433/", "http://pictures.example/"]
)
async def test_a_refused_url_is_not_even_resolved(site: Site, url: str) -> None:
    """An address in place of a name would pass by the resolver."""
    names = Names(site.port, ("127.0.0.1",))

    with pytest.raises(AddressRefused):
        await fetch(Fetcher(lambda: guarded_session(names, is_allowed=lambda _: True, tls=site.tls)), url)

    assert not names.asked


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(site: Site, status: int) -> None:
    """Neither to the metadata server nor anywhere else."""

    async def redirect(request: web.Request) -> web.StreamResponse:
        where = "http://169.254.169.254/" if request.path == "/cat.png" else URL
        return web.Response(status=status, headers={"location": where}, body=PNG, content_type="image/png")

    site.handler = redirect
    for path in ("cat.png", "dog.png"):
        with pytest.raises(AddressRefused):
            await fetch(site.fetcher(), f"https://{HOST}/{path}")

    assert len(site.requests) == 2


async def test_another_host_at_the_checked_address_is_not_believed(site: Site) -> None:
    """Its certificate is for another name."""
    with pytest.raises(AddressRefused):
        await fetch(site.fetcher(), "https://bank.example/cat.png")

    assert not site.requests


async def test_what_is_too_long_is_not_read_to_its_end(site: Site) -> None:
    """Neither what says so nor what does not."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "image/png"})
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65_536)

    for handler in (picture, endless):
        site.handler = handler
        with pytest.raises(AddressRefused, match="more than 999 bytes"):
            await fetch(site.fetcher(), bytes_max=999)


async def test_what_takes_too_long_is_left(site: Site) -> None:
    """Before the answer and in the middle of it."""

    async def slow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "image/png"})
        await response.prepare(request)
        for _ in range(1_000):
            await response.write(b"x")
            await asyncio.sleep(0.05)
        return response

    site.handler = slow
    with pytest.raises(AddressRefused):
        await fetch(site.fetcher(), timeout_s=0.3)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {"content-type": "text/html"}),
        (200, {"content-type": "image/svg+xml"}),
        (200, {}),
        (200, {"content-type": "image/png", "content-encoding": "gzip"}),
        (206, {"content-type": "image/png"}),
        (404, {"content-type": "image/png"}),
        (500, {"content-type": "image/png"}),
    ],
)
async def test_what_is_no_picture_is_not_taken(site: Site, status: int, headers: dict[str, str]) -> None:
    """By its status, by its type, or because it is compressed: a small answer could then be a huge one."""

    async def other(_: web.Request) -> web.StreamResponse:
        body = gzip.compress(PNG) if "content-encoding" in headers else PNG
        return web.Response(body=body, status=status, headers=headers)

    site.handler = other
    with pytest.raises(AddressRefused):
        await fetch(site.fetcher())


async def test_all_failures_sound_alike(site: Site) -> None:
    """A closed port, a forbidden address and an unknown name cannot be told apart, or the inside could be mapped."""
    closed = Names(1, ("127.0.0.1",))
    sounds = []
    for fetcher in (
        Fetcher(lambda: guarded_session(closed, is_allowed=lambda _: True, tls=site.tls)),
        site.fetcher(("10.0.0.1",), is_allowed=is_public),
        site.fetcher(()),
    ):
        with pytest.raises(AddressRefused) as refusal:
            await fetch(fetcher)
        sounds.append(refusal.value.message)

    assert len(set(sounds)) == 1


async def test_a_proxy_of_the_environment_is_not_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would resolve the name by itself."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert (await fetch(site.fetcher())).content == PNG


async def test_names_that_nobody_answers_for_keep_no_other_name_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their owner chose them and runs their servers; providers' names are resolved in the loop's own threads."""
    silent = threading.Event()
    real = socket.getaddrinfo

    def resolve(host: Any, *rest: Any, **more: Any) -> Any:
        if str(host).endswith(".silent.example"):
            silent.wait(TIMEOUT_S)
        return real("127.0.0.1" if str(host).endswith(".example") else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    fetcher = Fetcher()
    urls = [f"https://n{number}.silent.example/" for number in range(8 * NAMES_AT_ONCE_MAX)]
    fetches = [
        asyncio.ensure_future(fetcher.fetch(url, bytes_max=1, media_types={"image/png"}, timeout_s=TIMEOUT_S))
        for url in urls
    ]
    await asyncio.sleep(0.05)
    try:
        async with asyncio.timeout(TIMEOUT_S / 2):
            assert await asyncio.get_running_loop().getaddrinfo("provider.example", 443)
    finally:
        silent.set()
        ended = await asyncio.gather(*fetches, return_exceptions=True)
    assert all(isinstance(error, AddressRefused) for error in ended)
    await fetcher.close()


async def test_a_name_is_resolved_as_the_machine_does() -> None:
    """An unknown one is an OSError, as connectors expect."""
    names = NameThreads()

    found = await names.resolve("localhost", 443, socket.AF_INET)

    assert [(one["host"], one["port"], one["family"]) for one in found[:1]] == [("127.0.0.1", 443, socket.AF_INET)]
    with pytest.raises(OSError):  # noqa: PT011 - whatever the machine calls it
        await names.resolve("nobody.invalid", 443)
    await names.close()
