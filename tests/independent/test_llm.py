"""Simon Willison's `llm` on the command line, told of the gateway as its documentation says: a YAML file and a key."""

import json
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from local.deployment import Deployment
from local.people import Person
from local.stack import Stack
from tests.clients import add_member
from tests.e2e.books import Books
from tests.independent.calls import settled, usage_charged
from tests.independent.environment import PYTHON, client_environment, run

MODELS = """
- model_id: credence
  model_name: meta-llama/Meta-Llama-3.1-8B-Instruct
  api_base: {url}/v1
  api_key_name: credence
  supports_tools: true
"""


class CommandLine:
    """One person's `llm`, with a folder of its own."""

    def __init__(self, deployment: Deployment, person: Person, folder: Path) -> None:
        self.person = person
        self._folder = folder
        self._environment = client_environment(folder, LLM_USER_PATH=str(folder))
        (folder / "extra-openai-models.yaml").write_text(MODELS.format(url=deployment.url), encoding="utf-8")
        (folder / "keys.json").write_text(json.dumps({"credence": person.token}), encoding="utf-8")

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run([PYTHON, "-m", "llm", *arguments], self._environment)

    def said(self, *arguments: str) -> str:
        """What a command that must succeed writes."""
        done = self(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def logged(self) -> dict[str, int]:
        """What it noted of the usage of its calls, and how many they were, in the database of its log."""
        with closing(sqlite3.connect(self._folder / "logs.db")) as log:
            counted = "select count(*), sum(input_tokens), sum(output_tokens) from turns"
            calls, prompt_tokens, completion_tokens = log.execute(counted).fetchone()
        return {"calls": calls, "prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}


@pytest.fixture
def llm(stack: Stack, deployment: Deployment, tmp_path: Path) -> CommandLine:
    return CommandLine(deployment, add_member(stack, deployment), tmp_path)


@pytest.mark.parametrize(
    ("arguments", "expected", "calls"),
    [
        (["Hello"], "You wrote: “Hello”.", 1),
        (["Hello", "--no-stream"], "You wrote: “Hello”.", 1),
        (["Which version is it?", "--tool", "llm_version", "--tools-debug"], "local stand-in", 2),
    ],
    ids=["stream", "whole", "tools"],
)
async def test_what_llm_logs_of_its_usage_is_what_was_charged(
    llm: CommandLine, books: Books, arguments: list[str], expected: str, calls: int
) -> None:
    """Streamed or not, and over all calls of a model that a prompt takes."""
    said = llm.said("prompt", "--model", "credence", *arguments)

    charges = await settled(books, llm.person)
    assert expected in said
    assert len(charges) == calls
    assert llm.logged() == {"calls": calls, **usage_charged(charges)}


async def test_a_refusal_is_told_and_free(llm: CommandLine, books: Books) -> None:
    """It exits with what the gateway said."""
    done = llm("prompt", "--model", "credence", "x" * 100, "--option", "max_tokens", "99999999")

    assert done.returncode != 0
    assert "max_tokens" in done.stderr
    assert await settled(books, llm.person) == []
