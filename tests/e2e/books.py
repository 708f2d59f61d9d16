"""The ledger behind a deployment, for tests that fund a wallet exactly or look at what a call left on it."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import pytest

from local.node import REPOSITORY
from local.people import Person
from local.stack import Stack
from shared.app import App
from shared.base.clock import Clock, system_clock
from shared.base.ids import AccountId, EntryId
from shared.base.settings import Settings
from shared.ledger.documents import entry_from
from shared.ledger.models import Entry, EntryKind, Head

SETTLED_TIMEOUT_S = 20.0
VERIFY_TIMEOUT_S = 60.0
LIFETIME_MS = 10**9


class Books:
    """One project's ledger, through the same code as the functions', in this process."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    @classmethod
    @contextmanager
    def of(cls, stack: Stack, project_id: str) -> Iterator[Self]:
        with pytest.MonkeyPatch.context() as patched:
            environment = stack.environment(project_id)
            patched.setenv("FIRESTORE_EMULATOR_HOST", environment["FIRESTORE_EMULATOR_HOST"])
            yield cls(environment)

    def app(self, clock: Clock = system_clock) -> App:
        """A fresh process's view: nothing remembered. Use it in one event loop."""
        return App(Settings.from_environment(self.environment), clock)

    async def fund(self, person: Person, amount_micros: int) -> None:
        """Open the person's wallet and put exactly so much on it."""
        ledger = self.app().ledger
        await ledger.open(account_of(person))
        if amount_micros:
            await ledger.grant_promo(account_of(person), amount_micros, lifetime_ms=LIFETIME_MS, key="exact", facts={})

    async def head(self, person: Person) -> Head:
        return await self.app().ledger.head(account_of(person))

    async def entries(self, person: Person) -> list[Entry]:
        """All of the account's entries, in order."""
        found = self.app().firestore.collection(f"accounts/{account_of(person)}/entries").stream()
        read = [entry_from(EntryId(snapshot.id), snapshot.to_dict() or {}) async for snapshot in found]
        return sorted(read, key=lambda entry: entry.seq)

    async def charges(self, person: Person) -> list[Entry]:
        return [entry for entry in await self.entries(person) if entry.kind is EntryKind.CAPTURE]

    async def until(self, person: Person, holds: Callable[[Head], bool]) -> Head:
        """The head once it is as expected: what a call settles after its client left takes a moment."""
        gives_up_at = time.monotonic() + SETTLED_TIMEOUT_S
        while not holds(head := await self.head(person)):
            assert time.monotonic() < gives_up_at, f"still {head}"
            await asyncio.sleep(0.05)
        return head

    def verify(self, person: Person) -> dict[str, Any]:
        """What the verifier that anybody can run says of the account; it must be intact."""
        command = [sys.executable, "-m", "credence", "verify", "account", account_of(person), "--json"]
        environment = {**os.environ, **self.environment}
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            timeout=VERIFY_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        assert report["intact"]
        return report


def account_of(person: Person) -> AccountId:
    return AccountId(f"user:{person.uid}")
