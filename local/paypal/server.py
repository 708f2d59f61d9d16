"""The stand-in for PayPal as a server: its API, the page on which a buyer approves, and webhooks that are delivered.

Each client id is an account of its own. A page has no looks: it has a button for whatever a buyer can do.
"""

import asyncio
import base64
import binascii
import json
import secrets
import sys
import time
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import uvicorn
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificates
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from local.paypal.account import PayPalAccount
from local.paypal.authority import CERTIFICATE_PATH, Signatory
from local.paypal.refusal import PayPalRefusal
from local.paypal.shapes import return_url_of
from local.process import HOST

READY_PATH = "/_ready"
HOOK_PATH = "/_hook"
"""POST {"url", "webhook_id"} as the account: where its events go."""
EVENTS_PATH = "/_events"
ACT_PATH = "/_act/{action}"
"""POST {"id", ...} as the account: what a buyer or PayPal does, a method of `PayPalAccount`."""
PAGE_PATH = "/checkoutnow/{account}/{order}"
ACTIONS = ("approve", "capture", "arrive", "forget", "give_back", "reverse", "fail_refund", "dispute", "decide")
REPORT_ACTIONS = ("withdraw", "refresh")
"""The same of the account's reports."""
PAGE_ACTIONS = {"approve": "good", "approve with a bad card": "declined", "approve, to be held": "review"}
"""What a buyer can do, and what pays then. Whatever else is pressed is leaving."""
TOKEN_LIFETIME_S = 32_400
RETRY_PAUSES_S = (0.1, 0.5, 2.0, 10.0)
"""PayPal tries 25 times in three days; whoever sits here waits for seconds."""
DELIVERY_TIMEOUT_S = 30.0


@dataclass
class Customer:
    """One account, and where it wants its events."""

    account: PayPalAccount
    url: str = ""
    webhook_id: str = ""
    told: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


class PayPalServer:
    """Serves any number of accounts."""

    def __init__(self, address: str, signatory: Signatory) -> None:
        self._address = address
        self._signatory = signatory
        self._customers: dict[str, Customer] = {}
        self._tokens: dict[str, tuple[str, float]] = {}

    def app(self) -> Starlette:
        """The ASGI app."""
        return Starlette(
            routes=[
                Route(READY_PATH, self._ready),
                Route(HOOK_PATH, self._hook, methods=["POST"]),
                Route(EVENTS_PATH, self._events),
                Route(ACT_PATH, self._act, methods=["POST"]),
                Route(PAGE_PATH, self._page, methods=["GET", "POST"]),
                Route(CERTIFICATE_PATH, self._certificate),
                Route("/v1/oauth2/token", self._token, methods=["POST"]),
                Route("/v1/{path:path}", self._api, methods=["GET", "POST"]),
                Route("/v2/{path:path}", self._api, methods=["GET", "POST"]),
            ]
        )

    async def _ready(self, request: Request) -> Response:
        return PlainTextResponse("ready")

    async def _certificate(self, request: Request) -> Response:
        return Response(self._signatory.pem, media_type="application/x-pem-file")

    async def _token(self, request: Request) -> Response:
        """https://developer.paypal.com/api/rest/authentication/."""
        client_id, _, secret = _basic(request)
        asked = dict(parse_qsl((await request.body()).decode()))
        if not client_id or not secret:
            return JSONResponse({"error": "invalid_client", "error_description": "Refused."}, status_code=401)
        if asked.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, status_code=400)
        token = f"A21AA{secrets_text()}"
        self._tokens[token] = client_id, time.time() + TOKEN_LIFETIME_S
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_LIFETIME_S, "scope": ""}
        return JSONResponse({**answer, "app_id": "APP-80W284485P519543T", "nonce": secrets_text()})

    async def _hook(self, request: Request) -> Response:
        customer, asked = self._customer(_basic(request)[0]), await request.json()
        customer.url, customer.webhook_id = asked["url"], asked["webhook_id"]
        return JSONResponse({})

    async def _events(self, request: Request) -> Response:
        return JSONResponse(self._customer(_basic(request)[0]).account.events)

    async def _act(self, request: Request) -> Response:
        customer, asked = self._customer(_basic(request)[0]), await request.json()
        action, object_id = request.path_params["action"], asked.pop("id")
        if action not in (*ACTIONS, *REPORT_ACTIONS):
            return JSONResponse({"name": "NO_SUCH_ACTION"}, status_code=404)
        actor = customer.account if action in ACTIONS else customer.account.reports
        return self._told(customer, lambda: getattr(actor, action)(object_id, **asked) or {})

    async def _api(self, request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        client_id, good_until_s = self._tokens.get(token, ("", 0.0))
        if time.time() >= good_until_s:
            return JSONResponse({"name": "AUTHENTICATION_FAILURE", "details": []}, status_code=401)
        customer, raw = self._customer(client_id), await request.body()
        is_get = request.method == "GET"
        asked: dict[str, Any] = dict(request.query_params) if is_get else json.loads(raw or b"{}")
        key = request.headers.get("paypal-request-id")
        return self._told(
            customer,
            lambda: customer.account.handle(request.method, request.url.path, asked, key),
            status=200 if is_get else 201,
        )

    async def _page(self, request: Request) -> Response:
        customer = self._customers.get(request.path_params["account"])
        order_id = request.path_params["order"]
        if customer is None:
            return PlainTextResponse("no such page", status_code=404)
        try:
            order = customer.account.handle("GET", f"/v2/checkout/orders/{order_id}", {})
        except PayPalRefusal:
            return PlainTextResponse("no such page", status_code=404)
        if request.method == "GET":
            return HTMLResponse(_page_of(order))
        pressed = dict(parse_qsl((await request.body()).decode())).get("action", "")
        if funding := PAGE_ACTIONS.get(pressed):
            self._told(customer, lambda: customer.account.approve(order_id, funding=funding))
        return RedirectResponse(return_url_of(order, is_paid=bool(funding)), status_code=303)

    def _told(self, customer: Customer, work: Any, *, status: int = 200) -> Response:
        """The answer; and whatever happened is told to the webhook."""
        try:
            response = JSONResponse(work(), status_code=status)
        except PayPalRefusal as refusal:
            response = JSONResponse(refusal.body, status_code=refusal.status)
        for event in customer.account.events[customer.told :]:
            customer.told += 1
            if customer.url:
                raw = json.dumps(event).encode()
                # Signed once: a retry is the same transmission.
                headers = self._signatory.sign(raw, customer.webhook_id, int(time.time()))
                delivery = asyncio.create_task(_deliver(customer.url, raw, headers))
                customer.tasks.add(delivery)
                delivery.add_done_callback(customer.tasks.discard)
        return response

    def _customer(self, client_id: str) -> Customer:
        if client_id not in self._customers:
            page_url = f"http://{self._address}/checkoutnow/{client_id}"
            account = PayPalAccount(lambda: int(time.time()), page_url, f"http://{self._address}")
            self._customers[client_id] = Customer(account)
        return self._customers[client_id]


def secrets_text() -> str:
    """Something nobody guesses."""
    return secrets.token_urlsafe(32)


def _basic(request: Request) -> tuple[str, str, str]:
    """Who asks, by name and password."""
    try:
        text = base64.b64decode(request.headers.get("authorization", "").removeprefix("Basic ")).decode()
    except (binascii.Error, UnicodeDecodeError):
        text = ""
    return text.partition(":")


async def _deliver(url: str, raw: bytes, headers: dict[str, str]) -> None:
    timeout = aiohttp.ClientTimeout(total=DELIVERY_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for pause_s in (*RETRY_PAUSES_S, None):
            try:
                sent = {"content-type": "application/json", **headers}
                async with session.post(url, data=raw, headers=sent) as response:
                    if response.status < 300:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            if pause_s is not None:
                await asyncio.sleep(pause_s)


def _page_of(order: dict[str, Any]) -> str:
    buttons = "".join(
        f'<button name="action" value="{action}">{action}</button>' for action in (*PAGE_ACTIONS, "cancel")
    )
    amount = order["purchase_units"][0]["amount"]
    price = f"{escape(amount['value'])} {escape(amount['currency_code'])}"
    return (
        f"<!doctype html><title>Pay</title><h1>PayPal's stand-in</h1><p>{price}</p><form method=post>{buttons}</form>"
    )


if __name__ == "__main__":
    port, key_file, certificates_file = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    signing_key: Any = load_pem_private_key(key_file.read_bytes(), None)
    signatory = Signatory(signing_key, load_pem_x509_certificates(certificates_file.read_bytes()))
    server = PayPalServer(f"{HOST}:{port}", signatory)
    uvicorn.run(server.app(), host=HOST, port=port, log_level="warning", access_log=False)
