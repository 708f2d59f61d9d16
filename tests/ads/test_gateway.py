"""Google's keys: fetched through the guard, kept for a day, asked for anew within bounds; and its own signatures."""

import asyncio
import json
from collections.abc import Callable

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from local.admob import LocalAdMob
from shared.ads import gateway
from shared.ads.errors import CallbackForged, VerifierKeysUnavailable
from shared.ads.gateway import VerifierKeys, keys_at
from shared.ads.models import SignedCallback
from shared.ads.rules import read_callback
from tests.base.test_fetcher import HOST, Site
from tests.ledger.builders import Ticker

NONCE = "0123456789abcdef" * 3
KEYS_URL = f"https://{HOST}/admob/reward/verifier-keys.json"
GOOGLE_KEY = {
    "keyId": 3335741209,
    "base64": "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE+nzvoGqvDeB9+SzE6igTl7TyK4JBbglwir9oTcQt"
    "a8NuG26ZpZFxt+F2NDk7asTE6/2Yc8i1ATcGIqtuS5hv0Q==",
}
"""A key that Google has published for years."""
BARE_TRY = (
    "ad_network=5450213213286189855&ad_unit=1234567890&timestamp=1588756506292&transaction_id=123456789"
    "&signature=MEQCIA54vhOTh9NjebJJZM6Pvgcz1UMd6Jn3G6WQ8czPoEPdAiBwXX1aOG4Cz219vH_VPXicw5K9w8XqOmWHYmQgKtJmsA"
    "&key_id=3335741209"
)
TRY_WITH_ITEM = (
    "ad_network=5450213213286189855&ad_unit=1234567890&reward_amount=1&reward_item=Odblokowanie%20pu%C5%82apki"
    "&timestamp=1790368140021&transaction_id=123456789"
    "&signature=MEQCIBYBhBjuiTygD-Ut7pLNhlwO7nGVjhNUwGgDxjnSVM8zAiACnmc0o7rWmbCISEv5w6D9LQceSZezNFAQD18qqIuipA"
    "&key_id=3335741209"
)
"""What AdMob's dashboard sent to other people's servers when they had it try their address."""


class KeyFile:
    """What is published, how often it was read, and whether it can be had."""

    def __init__(self, *keys: dict[str, object]) -> None:
        self.keys = list(keys)
        self.reads = 0
        self.down = False

    async def read(self) -> bytes:
        self.reads += 1
        await asyncio.sleep(0)
        if self.down:
            raise OSError
        return json.dumps({"keys": self.keys}).encode()


def signed(admob: LocalAdMob, **changed: str | int | None) -> SignedCallback:
    return read_callback(admob.callback("text", NONCE, **changed))


@pytest.mark.parametrize("query", [BARE_TRY, TRY_WITH_ITEM])
async def test_signatures_of_google_itself_verify(query: str) -> None:
    """Over the percent-decoded query: `%20` is a space and `%C5%82` a letter."""
    keys = VerifierKeys(KeyFile(GOOGLE_KEY).read, Ticker())

    await keys.verify(read_callback(query))
    for forged in (
        query.replace("timestamp=1", "timestamp=2"),
        query.replace("%20", "+") if "%20" in query else query.replace("=123456789&", "=123456780&"),
    ):
        with pytest.raises(CallbackForged):
            await keys.verify(read_callback(forged))


async def test_a_forged_callback_is_refused() -> None:
    """Changed anywhere, signed by another key under the same id, or with a signature that is none."""
    admob = LocalAdMob.new()
    imposter = LocalAdMob(LocalAdMob.new().key, admob.key_id)
    keys = VerifierKeys(KeyFile(admob.published_key()).read, Ticker())
    genuine = signed(admob, transaction_id="ab12")

    await keys.verify(genuine)
    for forged in (
        signed(imposter),
        SignedCallback(genuine.callback, genuine.message + b"&user_id=ben", genuine.signature, genuine.key_id),
        SignedCallback(genuine.callback, genuine.message, b"", genuine.key_id),
        SignedCallback(genuine.callback, genuine.message, genuine.signature[:-1], genuine.key_id),
        SignedCallback(genuine.callback, genuine.message, b"\x30\x06\x02\x01\x00\x02\x01\x00", genuine.key_id),
    ):
        with pytest.raises(CallbackForged):
            await keys.verify(forged)


async def test_a_plus_is_not_a_space() -> None:
    """An item named `a+b` is signed as such; a space sent as a plus is not what was signed."""
    admob = LocalAdMob.new()
    keys = VerifierKeys(KeyFile(admob.published_key()).read, Ticker())

    await keys.verify(signed(admob, reward_item="a+b"))
    with pytest.raises(CallbackForged):
        await keys.verify(read_callback(admob.callback("text", NONCE, reward_item="a b").replace("a%20b", "a+b")))


async def test_keys_are_kept_for_a_day_and_no_longer() -> None:
    """A key that Google withdrew is refused then; and when Google cannot be reached, nothing is believed."""
    admob, clock = LocalAdMob.new(), Ticker()
    file = KeyFile(admob.published_key())
    keys = VerifierKeys(file.read, clock)
    for _ in range(3):
        await keys.verify(signed(admob))
    clock.now_ms += gateway.KEYS_LIFETIME_MS - 1
    await keys.verify(signed(admob))
    assert file.reads == 1

    clock.now_ms += 1
    file.down = True
    with pytest.raises(VerifierKeysUnavailable):
        await keys.verify(signed(admob))
    clock.now_ms += gateway.FAILED_REFETCH_MS
    file.down, file.keys = False, [LocalAdMob.new().published_key()]
    with pytest.raises(CallbackForged):
        await keys.verify(signed(admob))


async def test_a_new_key_is_found_when_it_is_first_used() -> None:
    """Google rotates them; the old one stays good while it is published."""
    old, new, clock = LocalAdMob.new(), LocalAdMob.new(), Ticker()
    file = KeyFile(old.published_key())
    keys = VerifierKeys(file.read, clock)
    await keys.verify(signed(old))

    file.keys.append(new.published_key())
    clock.now_ms += gateway.UNKNOWN_KEY_REFETCH_MS
    await keys.verify(signed(new))
    await keys.verify(signed(old))
    assert file.reads == 2


@pytest.mark.parametrize("down", [False, True])
async def test_a_flood_of_unknown_keys_makes_us_ask_once_a_minute(down: bool) -> None:
    """Whether Google answers or not; and those that we know are verified meanwhile."""
    admob, clock = LocalAdMob.new(), Ticker()
    file = KeyFile(admob.published_key())
    keys = VerifierKeys(file.read, clock)
    await keys.verify(signed(admob))
    file.down = down
    clock.now_ms += gateway.UNKNOWN_KEY_REFETCH_MS
    strangers = [LocalAdMob(admob.key, str(key_id)) for key_id in range(200)]

    outcomes = await asyncio.gather(*(keys.verify(signed(one)) for one in strangers), return_exceptions=True)
    clock.now_ms += gateway.UNKNOWN_KEY_REFETCH_MS - 1
    outcomes += await asyncio.gather(*(keys.verify(signed(one)) for one in strangers), return_exceptions=True)
    await keys.verify(signed(admob))

    assert {type(outcome) for outcome in outcomes} == {CallbackForged}
    assert file.reads == 2


async def test_while_there_are_no_keys_we_ask_once_a_second() -> None:
    """However many wait for them, of whom all are told to come again."""
    admob, clock = LocalAdMob.new(), Ticker()
    file = KeyFile(admob.published_key())
    file.down = True
    keys = VerifierKeys(file.read, clock)

    outcomes = await asyncio.gather(*(keys.verify(signed(admob)) for _ in range(50)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {VerifierKeysUnavailable}
    assert file.reads == 1
    clock.now_ms += gateway.FAILED_REFETCH_MS
    file.down = False
    await asyncio.gather(*(keys.verify(signed(admob)) for _ in range(50)))
    assert file.reads == 2


def _other_key(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> dict[str, object]:
    admob = LocalAdMob.new()
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {"keyId": int(admob.key_id), "base64": gateway.base64.b64encode(der).decode()}


@pytest.mark.parametrize(
    "make",
    [
        lambda: {"keyId": 1, "base64": "?"},
        lambda: {"keyId": 1, "base64": "AAAA"},
        lambda: {"keyId": 1},
        lambda: _other_key(ed25519.Ed25519PrivateKey.generate()),
        lambda: _other_key(ec.generate_private_key(ec.SECP384R1())),
    ],
)
async def test_a_key_of_another_kind_does_not_spoil_the_others(make: Callable[[], dict[str, object]]) -> None:
    admob = LocalAdMob.new()

    await VerifierKeys(KeyFile(make(), admob.published_key()).read, Ticker()).verify(signed(admob))
    with pytest.raises(VerifierKeysUnavailable):
        await VerifierKeys(KeyFile(make()).read, Ticker()).verify(signed(admob))


async def test_keys_come_over_tls_through_the_guard(site: Site) -> None:
    """From a public address only, as JSON, within bounds; whatever else comes is no keys."""
    admob, clock = LocalAdMob.new(), Ticker()
    asked: list[str] = []

    async def publish(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(text=admob.verifier_keys(), content_type="application/json")

    async def too_much(_: web.Request) -> web.Response:
        return web.Response(body=b" " * (gateway.KEYS_BYTES_MAX + 1), content_type="application/json")

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=admob.verifier_keys(), content_type="text/html")

    site.handler = publish
    await VerifierKeys(keys_at(KEYS_URL, site.fetcher), clock).verify(signed(admob))
    assert asked == ["/admob/reward/verifier-keys.json"]
    for handler, fetcher in (
        (publish, lambda: site.fetcher(is_allowed=lambda _: False)),
        (too_much, site.fetcher),
        (page, site.fetcher),
    ):
        site.handler = handler
        with pytest.raises(VerifierKeysUnavailable):
            await VerifierKeys(keys_at(KEYS_URL, fetcher), clock).verify(signed(admob))
    assert len(asked) == 1
