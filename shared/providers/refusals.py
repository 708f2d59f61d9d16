"""What a provider's refusal means to the caller. Only words about the caller's own request are passed on."""

import json
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from shared.base.errors import CredenceError
from shared.providers.errors import Fault, UpstreamBusy, UpstreamRefused, UpstreamUnavailable
from shared.providers.models import Call

_REQUEST_AT_FAULT = frozenset({400, 413, 415, 422})
_ACCOUNT_AT_FAULT = frozenset({401, 402, 403})
_MESSAGE_CHARS_MAX = 500
_ACCOUNT_WORDS = ("api key", "credit balance")
"""In a refusal of the request, these tell that our own account is meant: Google answers 400 to a wrong key, Anthropic
to an account without money."""
_ACCOUNT_STATUS = "FAILED_PRECONDITION"
"""Google's, with 400, for a region that is not served or an account without billing."""
_NO_MONEY = "insufficient_quota"
"""OpenAI's, with 429. The words beside it are no sign: Google says the same of a plain limit of the rate."""
_UNFIT_WORDS = {404: "no endpoints found that ", 429: "request too large"}
"""OpenRouter's and OpenAI's for what was asked of us: a feature that no backend has, more tokens at once than our rate
is for. Others are served meanwhile, so it is neither our account nor our rate."""
_FLAGGED = "flagged_input"
"""OpenRouter's, with 403, beside the reasons why a moderator did not let the words pass."""
_QUOTED_CHARS = 8
"""So much of a key in a row is more than chance, and more than its owner wants read by others."""
_DELAY = re.compile(r"(\d{1,6})(?:\.\d+)?s")


def refusal_of(call: Call, *, status: int, headers: Mapping[str, str], body: bytes) -> CredenceError:
    """The error for a status other than 200. It carries no key, even if the provider quotes it."""
    name = call.provider.name
    said = _parsed(body)
    if what := _unfit(status, said):
        return UpstreamUnavailable(name, what, fault=Fault.UNFIT)
    if status in _ACCOUNT_AT_FAULT or _blames_account(status, said):
        fault = Fault.KEY if status == 401 else Fault.DENIED
        return UpstreamUnavailable(name, "does not accept our account at the moment", fault=fault)
    if status == 404:
        # The address and the model's name in it are ours, so it is no fault of the request.
        return UpstreamUnavailable(name, "does not serve this at the moment", fault=Fault.DENIED)
    told_ms = _retry_after_ms(headers)
    retry_after_ms = _delay_ms(said) if told_ms is None else told_ms
    if status == 429:
        return UpstreamBusy(name, retry_after_ms)
    if status in _REQUEST_AT_FAULT:
        words = _message(said) or f"status {status}"
        words = _without_key(words, call.key.reveal())
        told = words[:_MESSAGE_CHARS_MAX].encode(errors="replace").decode()
        return UpstreamRefused(f"The provider {name} refused the request: {told}")
    if status == 529:
        return UpstreamUnavailable(name, "is overloaded", retry_after_ms=retry_after_ms)
    return UpstreamUnavailable(name, f"failed with status {status}", retry_after_ms=retry_after_ms)


def _without_key(words: str, key: str) -> str:
    """The words of a refusal with the key taken out; nothing of them when they quote a part of it."""
    words = words.replace(key, "...") if key else words
    return "its words quote a key" if quotes(words, key) else words


def quotes(words: str, key: str) -> bool:
    """Whether a part of the key stands in the words that is more than chance."""
    return any(key[start : start + _QUOTED_CHARS] in words for start in range(len(key) - _QUOTED_CHARS + 1))


def _parsed(body: bytes) -> dict[str, Any]:
    """What the refusal says, as an object. Google's streams refuse with a list of one."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if isinstance(said, list) and said:
        said = said[0]
    return said if isinstance(said, dict) else {}


def _message(said: Mapping[str, Any]) -> str:
    """The words of a refusal: each provider has them somewhere else."""
    error = said.get("error")
    if isinstance(error, dict):
        return str(error["message"]) if "message" in error else ""
    errors = said.get("errors")
    if not error and isinstance(errors, list) and errors and isinstance(errors[0], dict):
        error = errors[0].get("message")
    words = error or said.get("message") or said.get("detail") or ""
    return words if isinstance(words, str) else json.dumps(words)


def _blames_account(status: int, said: Mapping[str, Any]) -> bool:
    """True when the request is refused, or its rate, for what our account is and not for what the client asked."""
    error = said.get("error")
    if not isinstance(error, dict):
        return False
    if status == 429:
        return _NO_MONEY in (error.get("code"), error.get("type"))
    words = _message(said).casefold()
    return status == 400 and (error.get("status") == _ACCOUNT_STATUS or any(word in words for word in _ACCOUNT_WORDS))


def _unfit(status: int, said: Mapping[str, Any]) -> str:
    """What is wrong with this one request, if it is refused with a status that otherwise is about us. In our words:
    theirs may name our account.
    """
    error = said.get("error")
    metadata = error.get("metadata") if isinstance(error, dict) else None
    if status == 403 and isinstance(metadata, dict) and _FLAGGED in metadata:
        return "did not let the request's words pass"
    if status in _UNFIT_WORDS and _message(said).casefold().startswith(_UNFIT_WORDS[status]):
        return "does not serve a request of this size" if status == 429 else "does not offer what the request asks for"
    return ""


def _retry_after_ms(headers: Mapping[str, str]) -> int | None:
    """When to come back, in either of the forms of RFC 9110, or in OpenAI's own. None for what cannot be understood."""
    for name, unit_ms in (("retry-after-ms", 1), ("retry-after", 1000)):
        if (value := headers.get(name, "")).isascii() and value.isdigit() and len(value) < 8:
            return int(value) * unit_ms
    try:
        date = parsedate_to_datetime(headers["retry-after"])
        return max(0, round((date.timestamp() - time.time()) * 1000))
    except (KeyError, ValueError, OverflowError, OSError):
        return None


def _delay_ms(said: Mapping[str, Any]) -> int | None:
    """The delay that Google asks for in the refusal itself, as `{"retryDelay": "34.5s"}` among its details."""
    error = said.get("error")
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else []:
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and (match := _DELAY.fullmatch(delay)):
            return int(match[1]) * 1000
    return None
