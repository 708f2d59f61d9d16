"""Lets web apps on any origin call us.

Safe for every origin, because a caller is known by a token in a header that a page must set itself: no browser sends
anybody's session along unasked. Starlette's middleware would do the same, but a deployed function has no place for it.
"""

from starlette.requests import Request
from starlette.responses import Response

PREFLIGHT_LIFETIME_S = 7200
"""The longest that Chromium remembers an answer; Firefox would take a day."""
METHODS = frozenset({"GET", "POST"})
SHOWN_HEADERS = (
    "x-request-id, x-should-retry, retry-after, retry-after-ms, location, content-disposition, x-credence-model, "
    "x-credence-provider, x-credence-route, x-credence-attempts, x-credence-receipt, x-credence-cost-micros, "
    "x-credence-balance-micros, x-credence-cache, x-credence-conversation, x-credence-repeat, x-credence-media-type, "
    "x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, "
    "payment-required, payment-response"
)
"""Beside the few that every page may read. A test finds those of ours that are missing."""


def is_preflight(request: Request) -> bool:
    """Whether a browser asks on a page's behalf if the page may call."""
    return request.method == "OPTIONS" and "access-control-request-method" in request.headers


def preflight_response(request: Request, method: str) -> Response:
    """Yes, with the method it means to use and the headers it wants to set. Any page may ask; the call itself needs a
    token. Of a path with two methods either function is asked, so `method`, its own, is named only for want of another.
    """
    meant = request.headers.get("access-control-request-method", "")
    asked = request.headers.get("access-control-request-headers", "")
    headers = {
        "access-control-allow-methods": meant if meant in METHODS else method,
        "access-control-allow-headers": asked if asked.isascii() and asked.isprintable() else "",
        "access-control-max-age": str(PREFLIGHT_LIFETIME_S),
        "vary": "access-control-request-headers",
    }
    return show_to_pages(Response(status_code=204, headers=headers))


def show_to_pages(response: Response) -> Response:
    """Let the calling page read the response and our headers on it."""
    response.headers["access-control-allow-origin"] = "*"
    response.headers["access-control-expose-headers"] = SHOWN_HEADERS
    return response
