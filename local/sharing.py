"""The part of the demo in which somebody's key serves somebody else's call, and earns.

Settlement waits until a window of five minutes is over. Nobody calls any more when the demo comes to it, so it is run
as if it were that late already; nothing else of it differs.
"""

import asyncio
import contextlib
import io
import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import requests
from msgspec.structs import replace

from local.contributor import MODEL, Contributor
from local.deployment import Deployment
from local.people import Person
from shared.app import App
from shared.base.settings import Settings
from shared.ledger.settlement import Settlement
from shared.ledger.windows import FirestoreLedgerWindows, Horizons
from shared.resources.models import KEY_FACT
from shared.resources.rules import OWNER_PPM, PPM

SERVED_WITHIN_S = 45.0
"""A gateway reads what keys there are beside a call, every thirty seconds."""
ASK_INTERVAL_S = 1.0
TIMEOUT_S = 60.0
LATER = timedelta(minutes=15)
Expect = Callable[[bool, str], None]


class LaterWindows(FirestoreLedgerWindows):
    """The ledger's windows some time from now."""

    async def horizons(self) -> Horizons:
        """With the server's clock ahead."""
        horizons = await super().horizons()
        return replace(horizons, read_at=horizons.read_at + LATER)


def lend(deployment: Deployment, owner: Person) -> dict[str, Any]:
    """A key that was deposited, tried at its provider, and may serve calls."""
    return Contributor(deployment, owner.token).contribute()


def served_call(deployment: Deployment, caller: Person, key_id: str, expect: Expect) -> str:
    """Call until the key has served one; the id of its receipt."""
    ends_at_s = time.monotonic() + SERVED_WITHIN_S
    body: dict[str, Any] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Who pays whom?"}],
        "max_tokens": 100,
    }
    headers = {"authorization": f"Bearer {caller.token}"}
    while True:
        answer = requests.post(f"{deployment.url}/v1/chat/completions", json=body, headers=headers, timeout=TIMEOUT_S)
        expect(answer.status_code == requests.codes.ok, f"the call is answered: {answer.text}")
        receipt_id = answer.headers["x-credence-receipt"]
        receipt = get(deployment, caller, f"/v1/receipts/{receipt_id}")
        if receipt["facts"].get(KEY_FACT) == key_id:
            return receipt_id
        expect(time.monotonic() < ends_at_s, "a contributed key serves before long")
        time.sleep(ASK_INTERVAL_S)


def settle(deployment: Deployment, advance_account_id: str, expect: Expect) -> int:
    """Settle all that was posted until now; what that posted to the owner of what use has earned of the advance."""
    # What it logs is for the log of a function, and not for those who watch the demo.
    with contextlib.redirect_stdout(io.StringIO()):
        return asyncio.run(_settle(deployment, advance_account_id, expect))


async def _settle(deployment: Deployment, advance_account_id: str, expect: Expect) -> int:
    app = App(Settings.from_environment({**os.environ, **deployment.environment}))
    windows = LaterWindows(app.firestore)
    settlement = Settlement(app.ledger_engine, windows, app.clock, readers=[app.contribution_books])
    expect((await settlement.run()).finished, "all windows are settled")
    entries = app.firestore.collection(f"accounts/{advance_account_id}/entries").stream()
    legs = [leg async for entry in entries for leg in (entry.to_dict() or {})["legs"]]
    return sum(leg["amount_micros"] for leg in legs if leg["account"].startswith("earn:"))


def check_earnings(
    deployment: Deployment, owner: Person, key_id: str, advanced_micros: int, expect: Expect
) -> dict[str, Any]:
    """What the owner has by now: 85 % of what the key served, to the micro. What of it was earned of the advance is
    posted by then, and settled now or with the next window.
    """
    contribution = Contributor(deployment, owner.token).get(key_id)
    earned = get(deployment, owner, "/v1/earnings")
    due_micros = contribution["used_micros"] * OWNER_PPM // PPM
    settled_micros = earned["settled_paid_micros"] + earned["settled_promo_micros"]
    expect(contribution["calls"] >= 1, f"settlement found the key's calls: {contribution}")
    expect(
        contribution["settled_paid_micros"] + contribution["settled_promo_micros"] == due_micros,
        f"85 % of {contribution['used_micros']} were paid: {contribution}",
    )
    expect(
        settled_micros in (due_micros, due_micros - advanced_micros),
        f"{settled_micros} settled are {due_micros}, with or without {advanced_micros} of the advance",
    )
    return {**contribution, "by_calls_micros": due_micros - advanced_micros, "earned_micros": due_micros}


def get(deployment: Deployment, person: Person, path: str) -> dict[str, Any]:
    """The answer to a GET by this person."""
    headers = {"authorization": f"Bearer {person.token}"}
    response = requests.get(deployment.url + path, headers=headers, timeout=TIMEOUT_S)
    response.raise_for_status()
    answer: dict[str, Any] = response.json()
    return answer
