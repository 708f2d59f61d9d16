"""LangChain's own integration tests of a chat model, through ChatOpenAI pointed at the gateway."""

import json
import os
import re
from collections import Counter
from pathlib import Path

from local.deployment import Deployment
from local.stack import Stack
from tests.clients import add_member
from tests.e2e.books import Books
from tests.independent.calls import settled, usage_charged
from tests.independent.environment import PROGRAMS, PYTHON, client_environment, run

SUITE = PROGRAMS / "langchain_suite.py"
PYTEST = [PYTHON, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-c", os.devnull, "-o", "asyncio_mode=auto"]
LEFT_OUT = {
    "test_audio_inputs": "not for sale; the suite's file has a test that it is refused",
    "test_pdf_inputs": "the same",
    "test_pdf_tool_message": "the same",
    "test_stream_time": "it times a recording of earlier traffic, and so no gateway",
}
UNTOLD = (2, 20)
"""The one call of test_astream_events_v3, whose usage LangChain tells no callback."""
TESTS_MIN = 48
"""Fewer would mean that tests were not found, or that the suite lost some."""


async def test_langchains_suite_passes_and_pays_for_each_of_its_calls(
    stack: Stack, deployment: Deployment, books: Books, tmp_path: Path
) -> None:
    """Nothing is skipped. Every charge is of an answer that came, by its receipt, and of a usage that was told."""
    member, told_file = add_member(stack, deployment), tmp_path / "told.jsonl"
    address = {"GATEWAY_URL": f"{deployment.url}/v1", "GATEWAY_KEY": member.token, "TOLD_FILE": str(told_file)}
    left_out = [f"--deselect={SUITE.name}::TestCredence::{name}" for name in LEFT_OUT]
    # Our own settings and conftest files are not for it: the clients' environment has not what they import.
    options = [f"--rootdir={PROGRAMS}", f"--confcutdir={PROGRAMS}", *left_out]

    done = run([*PYTEST, *options, SUITE], client_environment(tmp_path, **address))

    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"^(\d+) passed, (\d+) deselected(, \d+ warnings)? in ", done.stdout, re.MULTILINE)
    assert passed, done.stdout
    assert int(passed[1]) >= TESTS_MIN
    await settled(books, member)
    charges = {entry.entry_id: entry for entry in await books.charges(member)}
    told = [json.loads(line) for line in told_file.read_text(encoding="utf-8").splitlines()]
    receipts = {line["receipt"]: line["cost_micros"] for line in told if "receipt" in line}
    assert receipts.keys() == charges.keys()
    for receipt, cost_micros in receipts.items():
        # A stream's headers are sent before it is charged.
        assert cost_micros in (None, str(-charges[receipt].delta_micros))
    usages = [line for line in told if "receipt" not in line]
    charged = _alike([usage_charged([dict(entry.facts)]) for entry in charges.values()])
    charged.subtract(_alike(usages))
    assert sorted(charged.elements()) == [UNTOLD]
    assert min(charged.values()) == 0


def _alike(usages: list[dict[str, int]]) -> Counter[tuple[int, int]]:
    """How often there was each."""
    return Counter((usage["prompt_tokens"], usage["completion_tokens"]) for usage in usages)
