"""What a chat through our gateway costs beside the same chat straight to the model.

The model is the stand-in, which answers at once, so what is left is ours: the caller checked, credits held, the call
relayed and captured, the entry chained. One request after the other, in turns of ten whose order rotates, gives what
each call adds (a difference of two requests of the same round and place); many at once give the rate. The load comes
from this process, which is neither the gateway nor the model. With PEER=1, LiteLLM's proxy without a database takes
part in the same rounds. Memory is read after all calls, thousands to each; the gateway has every function loaded then,
a deployed one has one. In the end every account is verified, and must show one capture for each call.
"""

import asyncio
import json
import os
import re
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from google.cloud import firestore

from bench.peer import new_master_key, start_litellm
from bench.report import BenchFailed, at_most, median, percentile, rotations, run_bench, say, spread
from bench.usage import process_id_of, resident_mib
from local.deployment import Deployment
from local.people import People
from local.stack import Stack
from shared.base.ids import AccountId
from shared.ledger.archive import FirestoreLedgerArchive
from shared.ledger.models import EntryKind
from shared.ledger.verify import verify_account

MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct"
ROUNDS, ROUNDS_QUICK = 60, 3
WARM_UP_ROUNDS, WARM_UP_ROUNDS_QUICK = 12, 1
TURN, TURN_QUICK = 10, 1
"""Calls of one endpoint in a row. Each has the processor's caches to itself then, as on a machine of its own; in turns
of one call, each would first fetch back what the others' calls have driven out of them."""
WARM_UP_CALLS_EACH, WARM_UP_CALLS_EACH_QUICK = 64, 1
"""Calls of each user to each endpoint, whole and streamed, before anything counts. The emulator is a Java program:
a commit takes a quarter of its first time once some thousands of them have made Java compile it. Firestore is warm."""
AT_ONCE, AT_ONCE_QUICK = 32, 4
CALLS_EACH, CALLS_EACH_QUICK = 10, 2
"""Calls of one of those at once, one after the other."""
BURSTS, BURSTS_QUICK = 5, 1
USERS, USERS_QUICK = AT_ONCE, AT_ONCE_QUICK
"""Each makes far fewer calls in a minute than an account may (HOLDS_PER_WINDOW_MAX)."""
CALL_TIMEOUT_S = 20.0
IDLE_S_MAX = 2.0
"""Uvicorn closes a connection idle for 5 seconds; one that sat out the others' bursts must not be used again."""
ADDED_RATIO_MAX = 0.4
FIRST_TOKEN_RATIO_MAX = 0.5
WHOLE, STREAM, FIRST_TOKEN = "", "stream_", "first_token_"
"""What is timed, as figures' names begin: a whole answer, a streamed one to its last byte, to its first word."""
_WORD = re.compile(rb'"content": ?"[^"]')
DIRECT, OURS, PEER = "direct", "ours", "peer"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where calls go, and as whom. An endpoint without tokens asks for none."""

    name: str
    url: str
    tokens: Sequence[str] = ()
    calls: Counter[int] = field(default_factory=Counter)
    """How many calls each user has made."""


class Load:
    """Makes calls and times them."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._bodies = {stream: _body(stream) for stream in (False, True)}

    async def call_ms(self, endpoint: Endpoint, user: int, *, stream: bool) -> dict[str, float]:
        """One call, by what is timed of it. Raise BenchFailed when it is not answered in full."""
        headers = {"content-type": "application/json"}
        if endpoint.tokens:
            headers["authorization"] = f"Bearer {endpoint.tokens[user]}"
        started_at_s = time.perf_counter()
        try:
            async with self._session.post(endpoint.url, data=self._bodies[stream], headers=headers) as response:
                answer, first_token_at_s = b"", None
                async for piece in response.content.iter_any():
                    answer += piece
                    if first_token_at_s is None and _WORD.search(answer):
                        first_token_at_s = time.perf_counter()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise BenchFailed(f"{endpoint.name} did not answer: {type(error).__name__} {error}") from error
        took_ms = (time.perf_counter() - started_at_s) * 1000
        cut = stream and not answer.endswith(b"data: [DONE]\n\n")
        if response.status != 200 or first_token_at_s is None or cut:
            raise BenchFailed(f"{endpoint.name} answered {response.status}: {answer[-500:]!r}")
        endpoint.calls[user] += 1
        return {STREAM: took_ms, FIRST_TOKEN: (first_token_at_s - started_at_s) * 1000} if stream else {WHOLE: took_ms}

    async def burst_per_s(self, endpoint: Endpoint, at_once: int, calls_each: int, *, stream: bool) -> float:
        """Calls answered in a second while `at_once` users call, each again as soon as it has its answer."""

        async def keep_calling(user: int) -> None:
            for _ in range(calls_each):
                await self.call_ms(endpoint, user, stream=stream)

        started_at_s = time.perf_counter()
        await asyncio.gather(*(keep_calling(user) for user in range(at_once)))
        return at_once * calls_each / (time.perf_counter() - started_at_s)


def measure(quick: bool) -> dict[str, Any]:
    """Start everything, call, verify."""
    with ExitStack() as until_done:
        folder = Path(until_done.enter_context(tempfile.TemporaryDirectory(prefix="credence-")))
        stack = until_done.enter_context(Stack(say))
        deployment = until_done.enter_context(Deployment(stack, f"demo-bench-{secrets.token_hex(6)}", events=False))
        people = People(stack.auth_address)
        users_count = USERS_QUICK if quick else USERS
        say(f"Signing up {users_count} users")
        users = [people.add(deployment.project_id) for _ in range(users_count)]
        ours = Endpoint(OURS, f"{deployment.url}/v1/chat/completions", [user.token for user in users])
        process_ids = {OURS: deployment.process_id}
        endpoints = [Endpoint(DIRECT, f"{stack.standin_url}/chat/completions"), ours]
        if os.environ.get("PEER", "0") not in ("", "0"):
            key = new_master_key()
            peer = start_litellm(folder, model=MODEL, upstream_url=stack.standin_url, master_key=key)
            until_done.enter_context(peer)
            process_ids[PEER] = process_id_of(peer)
            endpoints.append(Endpoint(PEER, f"http://{peer.address}/v1/chat/completions", [key] * users_count))
        os.environ["FIRESTORE_EMULATOR_HOST"] = stack.firestore_address
        times, rates = asyncio.run(_call(endpoints, f"{deployment.url}/v1/account", quick))
        memory_mib = {name: resident_mib(process_id) for name, process_id in process_ids.items()}
        accounts = [AccountId(f"user:{user.uid}") for user in users]
        calls = {account: ours.calls[number] for number, account in enumerate(accounts)}
        captures = asyncio.run(_verify(deployment.project_id, calls))
        return _figures(times, rates, memory_mib, calls=sum(calls.values()), captures=captures)


Times = dict[tuple[str, str], list[float]]
"""By endpoint and what is timed: milliseconds of one call after the other, the same place for the same round."""
Rates = dict[tuple[str, bool], list[float]]
"""By endpoint and stream or not: calls in a second, burst after burst."""


async def _call(endpoints: Sequence[Endpoint], account_url: str, quick: bool) -> tuple[Times, Rates]:
    """All calls; what each took, and the rates of the bursts."""
    timeout = aiohttp.ClientTimeout(total=CALL_TIMEOUT_S)
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_S_MAX)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        ours = next(endpoint for endpoint in endpoints if endpoint.name == OURS)
        for token in ours.tokens:
            async with session.post(account_url, headers={"authorization": f"Bearer {token}"}) as response:
                if response.status != 200:
                    raise BenchFailed(f"an account could not be started: {await response.text()}")
        load = Load(session)
        by_name = {endpoint.name: endpoint for endpoint in endpoints}
        say("Warming up")
        calls_each = WARM_UP_CALLS_EACH_QUICK if quick else WARM_UP_CALLS_EACH
        for endpoint in endpoints:
            for stream in (False, True):
                await load.burst_per_s(endpoint, USERS_QUICK if quick else USERS, calls_each, stream=stream)
        times = await _call_in_turn(load, by_name, quick)
        return times, await _call_at_once(load, by_name, quick)


async def _call_in_turn(load: Load, endpoints: Mapping[str, Endpoint], quick: bool) -> Times:
    rounds = ROUNDS_QUICK if quick else ROUNDS
    warm_up_rounds = WARM_UP_ROUNDS_QUICK if quick else WARM_UP_ROUNDS
    times: Times = {(name, timed): [] for name in endpoints for timed in (WHOLE, STREAM, FIRST_TOKEN)}
    users_count = USERS_QUICK if quick else USERS
    say(f"{rounds} rounds of {', '.join(endpoints)}, whole and streamed")
    for number, names in enumerate(rotations(list(endpoints), warm_up_rounds + rounds)):
        for stream in (False, True):
            for name in names:
                for turn in range(TURN_QUICK if quick else TURN):
                    user = (number * TURN + turn) % users_count
                    took = await load.call_ms(endpoints[name], user, stream=stream)
                    if number >= warm_up_rounds:
                        for timed, took_ms in took.items():
                            times[name, timed].append(took_ms)
    return times


async def _call_at_once(load: Load, endpoints: Mapping[str, Endpoint], quick: bool) -> Rates:
    bursts = BURSTS_QUICK if quick else BURSTS
    at_once, calls_each = (AT_ONCE_QUICK, CALLS_EACH_QUICK) if quick else (AT_ONCE, CALLS_EACH)
    rates: Rates = {(name, stream): [] for name in endpoints for stream in (False, True)}
    say(f"{bursts} bursts of {at_once} at once, whole and streamed")
    # The first burst opens the connections; it does not count.
    for number, names in enumerate(rotations(list(endpoints), 1 + bursts)):
        for stream in (False, True):
            for name in names:
                rate = await load.burst_per_s(endpoints[name], at_once, calls_each, stream=stream)
                if number:
                    rates[name, stream].append(rate)
    return rates


async def _verify(project_id: str, calls: Mapping[AccountId, int]) -> int:
    """How many captures there are. Raise ChainBroken or BenchFailed unless every account has one for each of its calls,
    in a chain that holds, and no hold left.
    """
    say(f"Verifying {len(calls)} accounts")
    client = firestore.AsyncClient(project=project_id)
    archive = FirestoreLedgerArchive(client)
    captures = 0
    for account_id, calls_made in calls.items():
        await verify_account(archive, account_id)
        kinds = Counter([entry["kind"] async for _, entry in archive.entry_documents(account_id)])
        if kinds[EntryKind.CAPTURE.value] != calls_made:
            raise BenchFailed(f"{account_id} made {calls_made} calls and was charged {dict(kinds)}")
        captures += kinds[EntryKind.CAPTURE.value]
        head = await archive.head_document(account_id)
        if head is None or head["holds"]:
            raise BenchFailed(f"{account_id} still has holds")
    client.close()
    return captures


def _figures(
    times: Times, rates: Rates, memory_mib: Mapping[str, float], *, calls: int, captures: int
) -> dict[str, Any]:
    ours, peer = _added(times, OURS), _added(times, PEER)

    def ratio(name: str) -> float | None:
        added, peers = ours[name], peer[name]
        return added / peers if added is not None and peers else None

    added_ratio, first_token_ratio = ratio("added_p50_ms"), ratio("first_token_added_p50_ms")
    return {
        **ours,
        "rps": _rate(rates, OURS, stream=False),
        "stream_rps": _rate(rates, OURS, stream=True),
        "direct_rps": _rate(rates, DIRECT, stream=False),
        "stream_direct_rps": _rate(rates, DIRECT, stream=True),
        **{f"peer_{name}": figure for name, figure in peer.items()},
        "peer_rps": _rate(rates, PEER, stream=False),
        "peer_stream_rps": _rate(rates, PEER, stream=True),
        "added_ratio": added_ratio,
        "first_token_added_ratio": first_token_ratio,
        "memory_mib": memory_mib[OURS],
        "peer_memory_mib": memory_mib.get(PEER),
        "calls": calls,
        "captures": captures,
        "targets": {
            "added_ratio": at_most(ADDED_RATIO_MAX, added_ratio),
            "first_token_added_ratio": at_most(FIRST_TOKEN_RATIO_MAX, first_token_ratio),
        },
        "noise": {
            "rounds": len(times[DIRECT, WHOLE]),
            "direct_ms": spread(times[DIRECT, WHOLE]),
            "ours_ms": spread(times[OURS, WHOLE]),
            "rps": spread(rates[OURS, False]),
        },
    }


def _added(times: Times, name: str) -> dict[str, float | None]:
    """What an endpoint adds to the direct call of the same round; `None` for one that took no part."""
    figures: dict[str, float | None] = {}
    for timed in (WHOLE, STREAM, FIRST_TOKEN):
        pairs = zip(times.get((name, timed), []), times[DIRECT, timed], strict=False)
        added = [through_ms - direct_ms for through_ms, direct_ms in pairs]
        for percent in (50, 95):
            figures[f"{timed}added_p{percent}_ms"] = percentile(added, percent) if added else None
    return figures


def _rate(rates: Rates, name: str, *, stream: bool) -> float | None:
    return median(rates[name, stream]) if (name, stream) in rates else None


def _body(stream: bool) -> bytes:
    body: dict[str, Any] = {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "You are brief."},
            {"role": "user", "content": "In one sentence: why should an AI bill be provable?"},
        ],
        "max_tokens": 64,
        "stream": stream,
    }
    if stream:
        body["stream_options"] = {"include_usage": True}
    return json.dumps(body).encode()


if __name__ == "__main__":
    sys.exit(run_bench("bench.chat", measure))
