"""The stand-in for Razorpay as a server: its API, a page on which a buyer pays, and webhooks that are delivered.

Each key id is an account of its own, whose secret is the first that it comes with. The page stands for the app's own
with Razorpay's checkout in it: it has a button for whatever a buyer does, and tells the API what the checkout hands
out.
"""

import asyncio
import json
import secrets
import sys
import time
from dataclasses import dataclass, field
from html import escape
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from local.process import HOST
from local.razorpay.account import RazorpayAccount
from local.razorpay.refusal import RazorpayRefusal
from local.razorpay.wire import credentials_of, sign, sign_payment

READY_PATH = "/_ready"
HOOK_PATH = "/_hook"
"""POST {"url", "secret"} with the account's credentials: where its events go."""
ACT_PATH = "/_act/{action}"
"""POST {"id", ...} with the account's credentials: what a buyer or a bank does, a method of `RazorpayAccount`."""
EVENTS_PATH = "/_events"
PAGE_PATH = "/pay/{account}/{order}"
ACTIONS = ("pay", "arrive", "decline", "fail_refund", "dispute", "decide", "sweep", "reach_bank", "bounce")
PAGE_ACTIONS = ("pay", "decline")
RETRY_PAUSES_S = (0.1, 0.5, 2.0, 10.0)
"""Razorpay tries for a day; whoever sits here waits for seconds."""
DELIVERY_TIMEOUT_S = 5.0
"""As Razorpay's own."""
CONFIRM_TIMEOUT_S = 30.0


@dataclass
class Customer:
    """One account, and where it wants its events."""

    account: RazorpayAccount
    key_secret: str
    url: str = ""
    secret: str = ""
    told: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


class RazorpayServer:
    """Serves any number of accounts."""

    def __init__(self) -> None:
        self._customers: dict[str, Customer] = {}

    def app(self) -> Starlette:
        """The ASGI app."""
        return Starlette(
            routes=[
                Route("/", self._index),
                Route(READY_PATH, self._ready),
                Route(HOOK_PATH, self._hook, methods=["POST"]),
                Route(ACT_PATH, self._act, methods=["POST"]),
                Route(EVENTS_PATH, self._events),
                Route(PAGE_PATH, self._page, methods=["GET", "POST"]),
                Route("/v1/{path:path}", self._api, methods=["GET", "POST", "PATCH", "PUT", "DELETE"]),
            ],
            exception_handlers={RazorpayRefusal: _refused},
        )

    async def _ready(self, request: Request) -> Response:
        return PlainTextResponse("ready")

    async def _hook(self, request: Request) -> Response:
        customer, asked = self._customer(request), await request.json()
        customer.url, customer.secret = asked["url"], asked["secret"]
        return JSONResponse({})

    async def _events(self, request: Request) -> Response:
        return JSONResponse(self._customer(request).account.events)

    async def _act(self, request: Request) -> Response:
        customer, asked = self._customer(request), await request.json()
        action, object_id = request.path_params["action"], asked.pop("id")
        if action not in ACTIONS:
            raise RazorpayRefusal("There is no such action.", status=404)
        return self._told(customer, getattr(customer.account, action)(object_id, **asked))

    async def _api(self, request: Request) -> Response:
        customer = self._customer(request)
        params = dict(request.query_params) if request.method == "GET" else await _body_of(request)
        key = request.headers.get("x-refund-idempotency")
        return self._told(customer, customer.account.handle(request.method, request.url.path, params, key))

    async def _index(self, request: Request) -> Response:
        links = [
            f'<li><a href="/pay/{escape(key_id)}/{order["id"]}">{order["id"]}</a> {_price(order)}'
            for key_id, customer in self._customers.items()
            for order in customer.account.handle("GET", "/v1/orders", {"count": 100})["items"]
            if order["status"] != "paid"
        ]
        return HTMLResponse(f"<!doctype html><title>Razorpay's stand-in</title><ul>{''.join(links)}</ul>")

    async def _page(self, request: Request) -> Response:
        customer = self._customers.get(request.path_params["account"])
        if customer is None:
            return PlainTextResponse("no such page", status_code=404)
        order = customer.account.handle("GET", f"/v1/orders/{request.path_params['order']}", {})
        if request.method == "GET":
            return HTMLResponse(_page_of(order))
        asked = dict(parse_qsl((await request.body()).decode()))
        if asked.get("action") not in PAGE_ACTIONS:
            return HTMLResponse(_page_of(order))
        payment = getattr(customer.account, asked["action"])(order["id"])
        self._told(customer, payment)
        if asked["action"] != "pay":
            return HTMLResponse(_page_of(customer.account.handle("GET", f"/v1/orders/{order['id']}", {})))
        # What the handler of Razorpay's checkout is called with.
        handed = {
            "razorpay_payment_id": payment["id"],
            "razorpay_order_id": order["id"],
            "razorpay_signature": sign_payment(order["id"], payment["id"], customer.key_secret),
        }
        confirmed = await _confirm(asked.get("confirm", ""), asked.get("token", ""), handed)
        return JSONResponse({**handed, "confirmed": confirmed})

    def _told(self, customer: Customer, answer: Any) -> Response:
        """The answer; and whatever happened is told to the webhook."""
        response = JSONResponse(answer)
        for event in customer.account.events[customer.told :]:
            customer.told += 1
            if customer.url:
                delivery = asyncio.create_task(_deliver(customer.url, customer.secret, json.dumps(event).encode()))
                customer.tasks.add(delivery)
                delivery.add_done_callback(customer.tasks.discard)
        return response

    def _customer(self, request: Request) -> Customer:
        found = credentials_of(request.headers.get("authorization", ""))
        if found is None:
            raise RazorpayRefusal("Please provide your api key for authentication purposes.", status=401)
        key_id, key_secret = found
        customer = self._customers.setdefault(
            key_id, Customer(RazorpayAccount(lambda: int(time.time())), key_secret=key_secret)
        )
        if not secrets.compare_digest(customer.key_secret.encode(), key_secret.encode()):
            raise RazorpayRefusal("Authentication failed", status=401)
        return customer


async def _refused(request: Request, refusal: Any) -> Response:
    return JSONResponse(refusal.body, status_code=refusal.status)


async def _body_of(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise RazorpayRefusal("The request body is no JSON object.")
    return body


async def _deliver(url: str, secret: str, raw: bytes) -> None:
    """Every try bears the same signature and the same id."""
    headers = {
        "content-type": "application/json",
        "x-razorpay-signature": sign(raw, secret),
        "x-razorpay-event-id": secrets.token_hex(7),
    }
    timeout = aiohttp.ClientTimeout(total=DELIVERY_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for pause_s in (*RETRY_PAUSES_S, None):
            try:
                async with session.post(url, data=raw, headers=headers) as response:
                    if response.status < 300:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            if pause_s is not None:
                await asyncio.sleep(pause_s)


async def _confirm(url: str, token: str, handed: dict[str, str]) -> Any:
    """Do what the app's page does with what it is handed; None where nobody said at which address."""
    if not url.startswith(f"http://{HOST}:"):
        return None
    body = {"payment_id": handed["razorpay_payment_id"], "signature": handed["razorpay_signature"]}
    timeout = aiohttp.ClientTimeout(total=CONFIRM_TIMEOUT_S)
    headers = {"authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(url, json=body, headers=headers) as response,
    ):
        return await response.json()


def _price(order: dict[str, Any]) -> str:
    return f"{order['amount']} {escape(order['currency'])} (smallest unit), {order['status']}"


def _page_of(order: dict[str, Any]) -> str:
    buttons = "".join(f'<button name="action" value="{action}">{action}</button>' for action in PAGE_ACTIONS)
    fields = (
        '<p>To call back as an app does: <input name="confirm" placeholder="http://.../v1/orders/.../confirm">'
        '<input name="token" placeholder="the user\'s token">'
    )
    return (
        f"<!doctype html><title>Pay</title><h1>Razorpay's stand-in</h1><p>{_price(order)}</p>"
        f"<form method=post>{buttons}{fields}</form>"
    )


if __name__ == "__main__":
    port = int(sys.argv[1])
    uvicorn.run(RazorpayServer().app(), host=HOST, port=port, log_level="warning", access_log=False)
