"""PayPal's REST API over aiohttp, which the functions that call it may load. The token is fetched when it is needed.

Not PayPal's own library, which is synchronous and knows no disputes. A contract test has the library and this speak
with the same stand-in.
"""

import base64
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from shared.base.clock import Clock
from shared.base.flight import SingleFlight
from shared.base.log import write_line
from shared.base.secret import Secret
from shared.payments.connections import Connections, Found
from shared.payments.errors import RailUnavailable

TOKEN_MARGIN_MS = 60_000
"""So long before its end a token is not used any more: a request takes less, its retries included."""
TOKEN_LIFETIME_S_MAX = 9 * 3_600
"""What PayPal gives today. One that claims to live longer is fetched anew all the same."""
Params = Mapping[str, str]


class PayPalApi(Protocol):
    """What the rail asks of PayPal. Raise RailUnavailable when nothing is known of the outcome, or RailRefused."""

    async def get(self, path: str, params: Params) -> dict[str, Any]:
        """Read an object or a list."""

    async def post(self, path: str, body: Mapping[str, Any], *, key: str) -> dict[str, Any]:
        """Make something, once per key for as long as PayPal remembers it: hours for orders, 45 days for refunds."""


class _Token(Struct, frozen=True):
    text: str
    good_until_ms: int


class PayPalGateway(Connections):
    """The client that the functions share, and its token."""

    name = "PayPal"
    accepted = (200, 201)

    def __init__(self, client_id: str, client_secret: Secret, base_url: str, clock: Clock) -> None:
        super().__init__(base_url)
        self._client_id = client_id
        self._client_secret = client_secret
        self._clock = clock
        self._token: _Token | None = None
        self._flight: SingleFlight[None, _Token] = SingleFlight()

    async def get(self, path: str, params: Params) -> dict[str, Any]:
        return await self._ask("GET", f"{path}?{urlencode(params)}" if params else path, None, {})

    async def post(self, path: str, body: Mapping[str, Any], *, key: str) -> dict[str, Any]:
        return await self._ask("POST", path, msgspec.json.encode(body), {"paypal-request-id": key})

    async def _attempt(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, Found]:
        token = await self._good_token()
        common = {"content-type": "application/json", "authorization": f"Bearer {token.text}"}
        status, body = await self._send(method, path, content, {**common, **headers})
        if status == 401 and self._token is token:
            # Withdrawn before its end. Who was quicker may have a new one already.
            self._token = None
        return status, body

    def _word_of(self, body: Found) -> object:
        """The issue says more than the name, which is one of eight: developer.paypal.com/api/rest/responses/."""
        details = body.get("details")
        first = details[0] if isinstance(details, list) and details and isinstance(details[0], dict) else {}
        return first.get("issue") or body.get("name") or body.get("error")

    def _passes(self, status: int, body: Found) -> bool:
        """A token that is good no more, and another request of the same key under way: the only 409 that passes."""
        return status == 401 or (status == 409 and self._word_of(body) == "PREVIOUS_REQUEST_IN_PROGRESS")

    async def _good_token(self) -> _Token:
        if self._token is not None and self._clock() < self._token.good_until_ms:
            return self._token
        return await self._flight.run(None, self._fetch_token)

    async def _fetch_token(self) -> _Token:
        """Raise RailUnavailable: what was to be asked with the token is still to be done."""
        asked_at_ms = self._clock()
        credentials = base64.b64encode(f"{self._client_id}:{self._client_secret.reveal()}".encode()).decode()
        headers = {"authorization": f"Basic {credentials}", "content-type": "application/x-www-form-urlencoded"}
        status, body = await self._send("POST", "/v1/oauth2/token", b"grant_type=client_credentials", headers)
        text, lifetime_s = body.get("access_token"), body.get("expires_in")
        if status not in self.accepted or not isinstance(text, str) or not isinstance(lifetime_s, int):
            write_line("ERROR", "paypal_token_refused", status=status, code=self._code_of(status, body))
            raise RailUnavailable(self.name)
        lifetime_ms = min(lifetime_s, TOKEN_LIFETIME_S_MAX) * 1000 - TOKEN_MARGIN_MS
        self._token = _Token(text, asked_at_ms + lifetime_ms)
        return self._token
