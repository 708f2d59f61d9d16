"""Calls that programs of independent clients make, and what the client and our books say of them afterwards."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.deployment import Deployment
from local.node import node_command
from local.people import Person
from shared.ledger.models import EntryKind
from tests.e2e.books import Books
from tests.independent.environment import PROGRAMS, PYTHON, client_environment, run

COMMANDS: dict[str, list[str | Path]] = {
    "openai": [sys.executable, PROGRAMS / "openai_calls.py"],
    "ai": node_command(PROGRAMS / "ai_calls.mjs"),
    "litellm": [PYTHON, PROGRAMS / "litellm_calls.py"],
}
SETTINGS = {
    # Prices and tokenizers would be fetched from the internet.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOG": "CRITICAL",
    # A library that a client brings must not see whose machine it is on.
    "DO_NOT_TRACK": "1",
}


@dataclass(frozen=True)
class Call:
    """One thing that a person does with a client."""

    client: str
    name: str
    kind: str
    prompt: str
    model: str
    timeout_s: float | None
    person: Person
    deployment: Deployment


@dataclass(frozen=True)
class Told:
    """What the client says of its call."""

    call: Call
    text: str
    usage: dict[str, int] | None
    error: dict[str, Any] | None

    @property
    def attempts_free(self) -> int:
        """How many of its requests cost nothing in the end, from the gateway's log."""
        account = f'"account":"user:{self.call.person.uid}"'
        lines = self.call.deployment.log.splitlines()
        return sum('"message":"call_released"' in line and account in line for line in lines)


def make_calls(client: str, calls: Sequence[Call], home: Path) -> dict[str, Told]:
    """Make all of them at once with one client; what it said of each, by name."""
    asked = {
        call.name: {
            "url": f"{call.deployment.url}/v1",
            "key": call.person.token,
            "kind": call.kind,
            "prompt": call.prompt,
            "model": call.model,
            "timeout_s": call.timeout_s,
        }
        for call in calls
    }
    done = run(COMMANDS[client], client_environment(home, **SETTINGS), sent=json.dumps(asked))
    assert done.returncode == 0, done.stdout + done.stderr
    answers: Mapping[str, dict[str, Any]] = json.loads(done.stdout)
    return {
        call.name: Told(call, answers[call.name]["text"], answers[call.name]["usage"], answers[call.name]["error"])
        for call in calls
    }


async def settled(books: Books, person: Person) -> list[dict[str, str]]:
    """The facts of what the person was charged for, once no hold is left. The balance has lost exactly the charges."""
    head = await books.until(person, lambda head: not head.holds)
    entries = await books.entries(person)
    charges = [entry for entry in entries if entry.kind is EntryKind.CAPTURE]
    assert head.balance_micros == sum(entry.delta_micros for entry in entries)
    for entry in charges:
        assert 0 < -entry.delta_micros <= int(dict(entry.facts)["held_micros"])
    return [dict(entry.facts) for entry in charges]


def usage_charged(charges: Sequence[Mapping[str, str]]) -> dict[str, int]:
    """The two counts that clients know, over all charges: the parts of a prompt that cost something else are in it."""
    prompt = ("prompt_tokens", "cached_tokens", "cache_write_tokens", "cache_write_long_tokens")
    return {
        "prompt_tokens": sum(int(facts.get(name, 0)) for facts in charges for name in prompt),
        "completion_tokens": sum(int(facts.get("completion_tokens", 0)) for facts in charges),
    }
