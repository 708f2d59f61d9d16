"""Asks a provider about a contributed key: at its own configured address, and nowhere else.

Nothing that a client wrote becomes part of an address. Connections follow no redirect, and custom endpoints are called
through the guarded session, as for any call: `shared/providers/connections.py`.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from shared.base.secret import Secret
from shared.base.together import all_of
from shared.providers.connections import Answer, Connections
from shared.providers.errors import Fault, UpstreamRefused, UpstreamUnavailable
from shared.providers.models import Call, Provider, Wire
from shared.providers.openai_wire import OpenaiWire
from shared.providers.refusals import quotes
from shared.resources.models import Probed
from shared.resources.rules import dollars_to_micros

TIMEOUT_S = 20.0
MODELS_LISTED_MAX = 10_000
PROBES_AT_ONCE = 4
PROBE_TOKENS = 16
"""What a try of a model asks for; some providers refuse less."""
LISTED = frozenset({"anthropic", "deepseek", "google", "google-openai", "mistral", "openai", "openrouter"})
"""Providers whose list of models says what a key may call. Others show it to everybody, or say nothing."""
LIMIT_HEADERS_MAX = 16
LIMIT_CHARS_MAX = 64
_LIMIT_WORDS = ("ratelimit", "rate-limit")
_PROMPT = [{"role": "user", "content": "Say ok."}]


class ProviderProbe:
    """Belongs to one event loop. Every method raises UpstreamBusy or UpstreamUnavailable, whose fault says why."""

    def __init__(self) -> None:
        self._connections = Connections()
        self._openai = OpenaiWire(self._connections)

    async def probe(
        self, provider: Provider, secret: Secret, names: Mapping[str, str], chats: frozenset[str]
    ) -> Probed:
        """What the provider says of a key. `names` has its name of each model by ours; `chats` are those that chat."""
        call = Call(provider, secret, TIMEOUT_S, silence_s=TIMEOUT_S)
        limit_micros = await self._limit_micros(call) if provider.name == "openrouter" else None
        if provider.name in LISTED:
            listed, limits = await self._list(call)
            served = tuple(ours for ours, theirs in names.items() if theirs in listed)
            return Probed(served, limit_micros, limits)
        return Probed(await self._tried(call, {ours: name for ours, name in names.items() if ours in chats}))

    async def close(self) -> None:
        """Close the connections."""
        await self._connections.close()

    async def _list(self, call: Call) -> tuple[frozenset[str], tuple[tuple[str, str], ...]]:
        path, headers = _listing(call)
        async with await self._connections.get(call, path, headers) as answer:
            said = await answer.to_object()
            return _names_in(said), _limits_in(answer, call.key)

    async def _limit_micros(self, call: Call) -> int | None:
        """OpenRouter shows its list to everybody, so the key is proved here, where its limit stands in dollars.

        https://openrouter.ai/docs/api-reference/limits
        """
        async with await self._connections.get(call, "/key", _bearer(call)) as answer:
            data = (await answer.to_object()).get("data")
        left = data.get("limit_remaining") if isinstance(data, dict) else None
        return dollars_to_micros(left) if isinstance(left, int | float) and not isinstance(left, bool) else None

    async def _tried(self, call: Call, names: Mapping[str, str]) -> tuple[str, ...]:
        """The models that answer, and those that could not be asked just now while others did: what is left out here
        is never tried again. Raise what is wrong with the key itself, or with all of them.
        """
        gate = asyncio.Semaphore(PROBES_AT_ONCE)

        async def attempt(theirs: str) -> UpstreamUnavailable | None:
            async with gate:
                try:
                    payload = {"model": theirs, "messages": _PROMPT, "max_tokens": PROBE_TOKENS}
                    await self._openai.chat(call, payload)
                except UpstreamRefused:
                    return UpstreamUnavailable(call.provider.name, "refused to be tried", fault=Fault.DENIED)
                except UpstreamUnavailable as error:
                    if error.fault is Fault.KEY:
                        raise
                    return error
                return None

        faults = await all_of(attempt(theirs) for theirs in names.values())
        down = [fault is not None and fault.fault is Fault.DOWN for fault in faults]
        if names and None not in faults:
            # While any of them is down, nobody knows that the key is good for none.
            raise UpstreamUnavailable(
                call.provider.name, "answered for no model", fault=Fault.DOWN if any(down) else Fault.DENIED
            )
        told = zip(names, faults, down, strict=True)
        return tuple(ours for ours, fault, is_down in told if fault is None or is_down)


def _listing(call: Call) -> tuple[str, dict[str, str]]:
    """Where the provider lists its models, and how it is shown the key: in a header, for URLs are written into logs."""
    match call.provider.wire:
        case Wire.ANTHROPIC:
            key = {"x-api-key": call.key.reveal(), "anthropic-version": "2023-06-01"}
            return "/models?limit=1000", key
        case Wire.GOOGLE:
            return "/models?pageSize=1000", {"x-goog-api-key": call.key.reveal()}
        case Wire.OPENAI:
            return "/models", _bearer(call)


def _bearer(call: Call) -> dict[str, str]:
    return {"authorization": f"Bearer {call.key.reveal()}"}


def _names_in(said: Mapping[str, Any]) -> frozenset[str]:
    """The names in a list, as OpenAI and Anthropic write it (`data`, `id`) or as Google does (`models`, `name`)."""
    rows = said.get("data", said.get("models"))
    names = set()
    for row in (rows if isinstance(rows, list) else [])[:MODELS_LISTED_MAX]:
        name = (row.get("id") or row.get("name")) if isinstance(row, dict) else None
        if isinstance(name, str):
            names |= {name, name.removeprefix("models/")}
    return frozenset(names)


def _limits_in(answer: Answer, key: Secret) -> tuple[tuple[str, str], ...]:
    """What the headers say of limits. A header that quotes the key is left out: limits are shown to people."""
    found = sorted(
        (name.lower(), value)
        for name, value in answer.headers.items()
        if any(word in name.lower() for word in _LIMIT_WORDS)
        and len(value) <= LIMIT_CHARS_MAX
        and not quotes(value, key.reveal())
    )
    return tuple(found[:LIMIT_HEADERS_MAX])
