"""`make demo` as a stranger runs it, on a stack of its own."""

import os
import subprocess
import sys

import pytest

from local.node import REPOSITORY

PROMPT = "Does a ledger dream of chained sheep?"
DEMO_TIMEOUT_S = 180.0
STEPS = (
    "1. Sign up, verify the e-mail address, start the account",
    "2. Buy a pack, and watch the balance as an app does",
    "3. Chat through the official OpenAI client, streamed",
    "4. Read the receipt",
    "5. Have a job researched, watch it as an app does, and kill its worker on purpose",
    "6. Verify the chain from the raw documents",
    "7. Sign the books, and check the receipt offline with the public key alone",
    "8. Forge a copy: make the call look a tenth as dear, then verify the copy",
    "9. Let somebody's key serve this person's call, and pay its owner",
    "10. Be paid out for what one earned",
    "the bank took it, the webhook told: paid",
    "Every step held.",
)


@pytest.mark.stack
def test_demo_shows_every_step_and_holds() -> None:
    """Its prompt can be chosen, it says who answered, and the forged entry is named."""
    plain = {name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "EMULATOR_HOST"))}
    # Set and empty, so that no key of a developer's own `.env` makes the test call a real provider.
    environment = {**plain, "PROMPT": PROMPT, "HUGGINGFACE_API_KEY": "", "OPENROUTER_API_KEY": ""}

    done = subprocess.run(
        [sys.executable, "-m", "local.demo"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEMO_TIMEOUT_S,
        check=False,
    )

    said = done.stdout
    assert done.returncode == 0, said + done.stderr
    assert [step for step in STEPS if step not in said] == []
    assert said.index(f"you    {PROMPT}") < said.index(f"“{PROMPT}”")
    assert "at the local stand-in" in said
    forged = said.partition("forged entry ")[2].split()[0]
    assert "broken: user:" in said
    assert forged in said.partition("broken: ")[2].splitlines()[0]
