"""Small shapes that PayPal's objects are made of: ids, links, amounts."""

import re
import secrets
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from local.paypal.refusal import malformed, unprocessable

HUNDREDTHS = frozenset(
    {"AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "ILS", "INR", "MXN", "MYR", "NOK", "NZD"}
    | {"PHP", "PLN", "SEK", "SGD", "THB", "USD"}
)
WHOLE = frozenset({"HUF", "JPY", "TWD"})
_VALUE = re.compile(r"[0-9]{1,32}(\.[0-9]{1,3})?")
_ID_CHARS = "0123456789ABCDEFGHJKLMNPRSTUVWXY"
_ID_LENGTH = 17
DISPUTES_PER_PAGE = 10


def copy_of(found: Any) -> Any:
    """As it goes over the wire and back, so that nobody holds a part of somebody else's object."""
    return msgspec.json.decode(msgspec.json.encode(found))


def new_id() -> str:
    """As PayPal's look: 17 capitals and digits."""
    return "".join(secrets.choice(_ID_CHARS) for _ in range(_ID_LENGTH))


def links_of(url: str, *, up: str | None = None) -> list[dict[str, str]]:
    """An object's links to itself and to what it belongs to."""
    links = [{"href": url, "rel": "self", "method": "GET"}]
    return [*links, {"href": up, "rel": "up", "method": "GET"}] if up else links


def amount_in(amount: Any) -> Decimal:
    """What an amount says. Raise PayPalRefusal for one that PayPal does not take."""
    if not isinstance(amount, Mapping) or not _VALUE.fullmatch(str(amount.get("value"))):
        raise malformed("INVALID_PARAMETER_SYNTAX")
    if amount.get("currency_code") not in HUNDREDTHS | WHOLE:
        raise unprocessable("CURRENCY_NOT_SUPPORTED")
    value = Decimal(amount["value"])
    places = 0 if amount["currency_code"] in WHOLE else 2
    if "." in amount["value"] and len(amount["value"].partition(".")[2]) > places:
        raise unprocessable("DECIMALS_NOT_SUPPORTED" if places == 0 else "DECIMAL_PRECISION")
    return value


def amount_of(value: Decimal, currency: str) -> dict[str, str]:
    """The amount as PayPal writes it."""
    return {"currency_code": currency, "value": f"{value:.0f}" if currency in WHOLE else f"{value:.2f}"}


def return_url_of(order: Mapping[str, Any], *, is_paid: bool) -> str:
    """Where a buyer goes from the page of an order."""
    context = order["payment_source"].get("paypal", {}).get("experience_context", {})
    return str(context.get("return_url" if is_paid else "cancel_url", "about:blank"))


def event_of(event_type: str, resource_type: str, resource: Mapping[str, Any], at: str) -> dict[str, Any]:
    """What is told of something that happened: https://developer.paypal.com/api/rest/webhooks/event-names/."""
    return {
        "id": f"WH-{new_id()}-{new_id()}",
        "event_version": "1.0",
        "resource_version": "2.0",
        "create_time": at,
        "resource_type": resource_type,
        "event_type": event_type,
        "summary": event_type.replace(".", " ").lower(),
        "resource": resource,
        "links": [],
    }


def disputes_of(disputes: Sequence[Mapping[str, Any]], asked: Mapping[str, Any], api_url: str) -> dict[str, Any]:
    """A summary of each dispute of a payment, which says nothing of the outcome."""
    fields = ("dispute_id", "reason", "status", "dispute_amount", "create_time", "update_time", "links")
    wanted = asked.get("disputed_transaction_id")
    size = int(asked.get("page_size", DISPUTES_PER_PAGE))
    found = [
        {name: copy_of(one[name]) for name in fields}
        for one in disputes
        if one["disputed_transactions"][0]["seller_transaction_id"] == wanted
    ]
    more = [{"href": f"{api_url}/v1/customer/disputes?next_page_token=1", "rel": "next", "method": "GET"}]
    return {"items": found[:size], "links": more if len(found) > size else []}
