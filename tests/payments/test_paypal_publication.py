"""How PayPal's certificates are fetched: from its own host over TLS, through the guard, no redirects, within bounds."""

import datetime
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509

from local.paypal.authority import CERTIFICATE_PATH, CERTIFICATE_URL, Signatory
from shared.base.fetcher import Fetcher, guarded_session
from shared.payments.errors import RailUnavailable
from shared.payments.paypal.certificates import (
    CHAIN_BYTES_MAX,
    SANDBOX,
    SigningCertificates,
    Source,
    published,
)
from tests.ledger.builders import NOW, Ticker
from tests.payments.paypal_bench import signatory

HOST = "api.sandbox.paypal.com"


class Names(AbstractResolver):
    """Every name is this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="127.0.0.1", port=self._port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing is open."""


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Callable[[Handler], Awaitable[Source]]]:
    """Have PayPal's host answer as the test says; what is published there, read through the guard over TLS."""
    server, runners = Signatory.new(datetime.datetime.now(datetime.UTC), HOST), []
    (tmp_path / "chain.pem").write_bytes(server.pem)
    (tmp_path / "key.pem").write_bytes(server.key_pem)
    (tmp_path / "root.pem").write_bytes(server.certified_anew(server.chain[-1:]).pem)
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")
    client_tls = ssl.create_default_context(cafile=str(tmp_path / "root.pem"))

    async def start(handler: Handler) -> Source:
        app = web.Application()
        app.router.add_get("/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_tls).start()
        names = Names(runner.addresses[0][1])
        source = published(lambda: Fetcher(lambda: guarded_session(names, is_allowed=lambda _: True, tls=client_tls)))

        async def roots() -> Sequence[x509.Certificate]:
            return signatory().chain[-1:]

        return Source(source.chain, roots)

    yield start
    for runner in runners:
        await runner.cleanup()


async def test_what_paypal_publishes_is_read_over_the_guard(serve: Callable[[Handler], Awaitable[Source]]) -> None:
    """Whatever type PayPal calls it by: it proves itself."""
    asked = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request)
        return web.Response(body=signatory().pem, content_type="application/whatever")

    certificates = SigningCertificates(await serve(answer), SANDBOX, Ticker())
    await certificates.prepare(CERTIFICATE_URL)

    assert certificates.key_of(CERTIFICATE_URL, now_ms=NOW)
    assert [(request.host, request.path) for request in asked] == [(HOST, CERTIFICATE_PATH)]
    assert "authorization" not in asked[0].headers


async def test_a_redirect_is_not_followed(serve: Callable[[Handler], Awaitable[Source]]) -> None:
    asked = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response(status=302, headers={"location": f"https://{HOST}/elsewhere"}, body=signatory().pem)

    with pytest.raises(RailUnavailable):
        await SigningCertificates(await serve(answer), SANDBOX, Ticker()).prepare(CERTIFICATE_URL)
    assert asked == [CERTIFICATE_PATH]


async def test_what_is_too_long_is_no_certificate(serve: Callable[[Handler], Awaitable[Source]]) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=signatory().pem + b"\n" * CHAIN_BYTES_MAX)

    with pytest.raises(RailUnavailable):
        await SigningCertificates(await serve(answer), SANDBOX, Ticker()).prepare(CERTIFICATE_URL)


async def test_this_machine_has_roots() -> None:
    """They are what every TLS connection of ours trusts; none of them vouches for our stand-in."""

    async def ours(_: str) -> bytes:
        return signatory().pem

    roots = await published().roots()

    assert len(roots) > 20
    with pytest.raises(RailUnavailable):
        await SigningCertificates(Source(ours, published().roots), SANDBOX, Ticker()).prepare(CERTIFICATE_URL)
