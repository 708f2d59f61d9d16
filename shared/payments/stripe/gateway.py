"""Stripe's REST API over aiohttp, which the functions that call it may load.

Not Stripe's own library: importing it takes 0.15 s, half of a cold start. A contract test has the library and this
speak with the same stand-in.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import msgspec

from shared.base.secret import Secret
from shared.payments.connections import Connections, Found

API_VERSION = "2026-10-28.endive"
"""The version whose shapes `rail.py` reads; an account's default may be another."""
SECOND_API = "/v2/"
"""Takes JSON instead of forms: https://docs.stripe.com/api-v2-overview."""
Params = Mapping[str, Any]


class StripeApi(Protocol):
    """What the rail asks of Stripe. Raise RailUnavailable when nothing is known of the outcome, or RailRefused."""

    async def get(self, path: str, params: Params, *, account: str | None = None) -> dict[str, Any]:
        """Read an object or a list: ours, or that of a connected account."""

    async def post(self, path: str, params: Params, *, key: str, account: str | None = None) -> dict[str, Any]:
        """Make something, once per key; for a connected account where one is named."""


class StripeGateway(Connections):
    """The client that the functions share."""

    name = "Stripe"

    def __init__(self, api_key: Secret, base_url: str) -> None:
        super().__init__(base_url)
        self._api_key = api_key

    async def get(self, path: str, params: Params, *, account: str | None = None) -> dict[str, Any]:
        query = form_of(params)
        return await self._ask("GET", f"{path}?{query}" if query else path, None, _on_behalf_of(account))

    async def post(self, path: str, params: Params, *, key: str, account: str | None = None) -> dict[str, Any]:
        headers = {"idempotency-key": key, **_on_behalf_of(account)}
        if path.startswith(SECOND_API):
            json = {**headers, "content-type": "application/json"}
            return await self._ask("POST", path, msgspec.json.encode(params), json)
        return await self._ask("POST", path, form_of(params).encode(), headers)

    async def _attempt(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, Found]:
        common = {
            "authorization": f"Bearer {self._api_key.reveal()}",
            "stripe-version": API_VERSION,
            "content-type": "application/x-www-form-urlencoded",
        }
        return await self._send(method, path, content, {**common, **headers})

    def _word_of(self, body: Found) -> object:
        error = body.get("error")
        return error.get("code") or error.get("type") if isinstance(error, dict) else None

    def _passes(self, status: int, body: Found) -> bool:
        """Another request of the same key is under way; it is the only 409 that passes."""
        return status == 409 and self._word_of(body) == "idempotency_key_in_use"


def _on_behalf_of(account: str | None) -> dict[str, str]:
    return {"stripe-account": account} if account is not None else {}


def form_of(params: Params) -> str:
    """Parameters as Stripe reads them: `line_items[0][quantity]=1`."""
    return urlencode(_flat("", params), quote_via=quote)


def _flat(name: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [pair for key, inner in value.items() for pair in _flat(f"{name}[{key}]" if name else key, inner)]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [pair for index, inner in enumerate(value) for pair in _flat(f"{name}[{index}]", inner)]
    return [(name, str(value))]
