"""The stand-in for Stripe as a server: its API, pages for buyers and recipients, and webhooks that are delivered.

Each API key is an account of its own. A page has no looks: it has a button for whatever a buyer or a bank can do.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from typing import Any

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from local.process import HOST
from local.stripe.account import StripeAccount
from local.stripe.objects import PLATFORM
from local.stripe.refusal import StripeRefusal
from local.stripe.wire import parse_form, sign

READY_PATH = "/_ready"
HOOK_PATH = "/_hook"
"""POST {"url", "secret"} with the account's API key: where its events go. With "connect" it is said of the events of
connected accounts and of those that tell of transfers."""
ACT_PATH = "/_act/{action}"
"""POST {"id", ...} with the account's API key: what a buyer, a recipient or a bank does; one of `_actions`."""
PAGE_PATH = "/pay/{account}/{session}"
ONBOARD_PATH = "/onboard/{account}/{link}"
PAGE_ACTIONS = ("pay", "decline", "expire")
ONBOARD_ACTIONS = ("onboard", "change_bank", "restrict")
LIVE_PREFIXES = ("sk_live_", "rk_live_")
_HOOKS = ("payments", "connect")
RETRY_PAUSES_S = (0.1, 0.5, 2.0, 10.0)
"""Stripe tries for three days; whoever sits here waits for seconds."""
DELIVERY_TIMEOUT_S = 30.0


@dataclass
class Customer:
    """One account, and where it wants its events: a URL and a secret for each kind of them."""

    account: StripeAccount
    hooks: dict[str, tuple[str, str]] = field(default_factory=dict)
    told: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


class StripeServer:
    """Serves any number of accounts."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._customers: dict[str, Customer] = {}

    def app(self) -> Starlette:
        """The ASGI app."""
        return Starlette(
            routes=[
                Route(READY_PATH, self._ready),
                Route(HOOK_PATH, self._hook, methods=["POST"]),
                Route(ACT_PATH, self._act, methods=["POST"]),
                Route(PAGE_PATH, self._page, methods=["GET", "POST"]),
                Route(ONBOARD_PATH, self._onboard, methods=["GET", "POST"]),
                Route("/v2/{path:path}", self._api, methods=["GET", "POST"]),
                Route("/v1/{path:path}", self._api, methods=["GET", "POST"]),
            ]
        )

    async def _ready(self, request: Request) -> Response:
        return PlainTextResponse("ready")

    async def _hook(self, request: Request) -> Response:
        customer, asked = self._customer(request), await request.json()
        customer.hooks[_HOOKS[bool(asked.get("connect"))]] = (asked["url"], asked["secret"])
        return JSONResponse({})

    async def _act(self, request: Request) -> Response:
        customer, asked = self._customer(request), await request.json()
        action, object_id = request.path_params["action"], asked.pop("id")
        act = _actions(customer.account).get(action)
        if act is None:
            return JSONResponse({"error": {"code": "no_such_action"}}, status_code=404)
        return self._told(customer, lambda: act(object_id, **asked) or {})

    async def _api(self, request: Request) -> Response:
        customer = self._customer(request)
        if request.method == "GET":
            params = parse_form(request.url.query)
        elif request.url.path.startswith("/v2/"):
            params = await request.json()
        else:
            params = parse_form((await request.body()).decode())
        key, owner = request.headers.get("idempotency-key"), request.headers.get("stripe-account", PLATFORM)
        handle = customer.account.handle
        return self._told(customer, lambda: handle(request.method, request.url.path, params, key, owner))

    async def _page(self, request: Request) -> Response:
        customer = self._customers.get(request.path_params["account"])
        session_id = request.path_params["session"]
        if customer is None:
            return PlainTextResponse("no such page", status_code=404)
        session = customer.account.handle("GET", f"/v1/checkout/sessions/{session_id}", {})
        if request.method == "GET":
            return HTMLResponse(_page_of(session))
        action = parse_form((await request.body()).decode()).get("action")
        if action in PAGE_ACTIONS:
            self._told(customer, lambda: getattr(customer.account, action)(session_id) or {})
        return RedirectResponse(session["success_url" if action == "pay" else "cancel_url"], status_code=303)

    async def _onboard(self, request: Request) -> Response:
        customer = self._customers.get(request.path_params["account"])
        if customer is None:
            return PlainTextResponse("no such page", status_code=404)
        connect = customer.account.connect
        try:
            link = connect.link(request.path_params["link"])
        except StripeRefusal as refusal:
            return JSONResponse(refusal.body, status_code=refusal.status)
        if request.method == "GET":
            return HTMLResponse(_page("Get paid", f"Account {link['account']}", ONBOARD_ACTIONS))
        action = parse_form((await request.body()).decode()).get("action")
        if action in ONBOARD_ACTIONS:
            self._told(customer, lambda: getattr(connect, action)(link["account"]))
        return RedirectResponse(link["use_case"]["account_onboarding"]["return_url"], status_code=303)

    def _told(self, customer: Customer, work: Any) -> Response:
        """The answer; and whatever happened is told to the webhook."""
        try:
            response = JSONResponse(work())
        except StripeRefusal as refusal:
            return JSONResponse(refusal.body, status_code=refusal.status)
        for event in customer.account.events[customer.told :]:
            customer.told += 1
            url, secret = customer.hooks.get(_hook_of(event), ("", ""))
            if url:
                delivery = asyncio.create_task(_deliver(url, secret, json.dumps(event).encode()))
                customer.tasks.add(delivery)
                delivery.add_done_callback(customer.tasks.discard)
        return response

    def _customer(self, request: Request) -> Customer:
        api_key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if api_key not in self._customers:
            page_url = f"http://{self._address}/pay/{api_key}"
            is_live = api_key.startswith(LIVE_PREFIXES)
            account = StripeAccount(lambda: int(time.time()), page_url, is_live=is_live)
            self._customers[api_key] = Customer(account)
        return self._customers[api_key]


async def _deliver(url: str, secret: str, raw: bytes) -> None:
    timeout = aiohttp.ClientTimeout(total=DELIVERY_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for pause_s in (*RETRY_PAUSES_S, None):
            headers = {"content-type": "application/json", "stripe-signature": sign(raw, secret, int(time.time()))}
            try:
                async with session.post(url, data=raw, headers=headers) as response:
                    if response.status < 300:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            if pause_s is not None:
                await asyncio.sleep(pause_s)


def _actions(account: StripeAccount) -> dict[str, Callable[..., Any]]:
    """What can be done from outside. The first argument is the object's id; for a top-up and a sweep, the currency."""
    of_account = ("pay", "arrive", "decline", "expire", "fail_refund", "dispute", "decide", "warn")
    return {
        **{name: getattr(account, name) for name in of_account},
        **{name: getattr(account.connect, name) for name in ONBOARD_ACTIONS},
        "top_up": account.bank.top_up,
        "sweep": account.bank.sweep,
        "payout_arrive": account.bank.arrive,
        "payout_fail": account.bank.fail,
        "payout_cancel": account.bank.cancel,
    }


def _hook_of(event: dict[str, Any]) -> str:
    """Which of the two kinds an event is of."""
    is_connect = "account" in event or event["object"] == "v2.core.event" or event["type"].startswith("transfer.")
    return _HOOKS[is_connect]


def _page_of(session: dict[str, Any]) -> str:
    price = f"{session['amount_total']} {escape(session['currency']).upper()} (smallest unit)"
    return _page("Pay", price, PAGE_ACTIONS)


def _page(title: str, text: str, actions: tuple[str, ...]) -> str:
    buttons = "".join(f'<button name="action" value="{action}">{action}</button>' for action in actions)
    return (
        f"<!doctype html><title>{title}</title><h1>Stripe's stand-in</h1>"
        f"<p>{text}</p><form method=post>{buttons}</form>"
    )


if __name__ == "__main__":
    port = int(sys.argv[1])
    server = StripeServer(f"{HOST}:{port}")
    uvicorn.run(server.app(), host=HOST, port=port, log_level="warning", access_log=False)
