"""`python -m credence verify`, run as an operator runs it."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from credence.__main__ import main
from local.stack import Stack
from tests.ledger.builders import ADA
from tests.ledger.tampering import OnFirestore, filled, rewrite

ROOT = Path(__file__).parent.parent.parent


async def verify(*arguments: str, environment: dict[str, str]) -> tuple[int | None, str, str]:
    """Exit code, standard output, standard error."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "credence", "verify", *arguments),
        env={**kept, **environment},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_an_intact_ledger_is_zero_and_a_broken_one_is_named(
    stack: Stack, project_id: str, firestore_ledger: OnFirestore
) -> None:
    environment = stack.environment(project_id)
    await filled(firestore_ledger)

    code, out, err = await verify("ledger", "--project", project_id, environment=environment)
    assert (code, out.split(":")[0]) == (0, "intact"), err
    assert "3/3 accounts" in err
    code, out, _ = await verify("account", ADA, "--project", project_id, "--json", environment=environment)
    assert code == 0
    assert json.loads(out) == {"intact": True, "account": ADA, "entries": 5, "balance_micros": 45}

    entry_id = await rewrite(firestore_ledger, ADA, 3, at_ms=1)

    code, out, _ = await verify("account", ADA, "--project", project_id, environment=environment)
    assert code == 1
    assert f"{ADA} entry 3 {entry_id}" in out
    code, out, _ = await verify("ledger", "--project", project_id, "--json", environment=environment)
    assert code == 1
    assert [(fault["account"], fault["seq"], fault["entry_id"]) for fault in json.loads(out)["broken"]] == [
        (ADA, 3, entry_id)
    ]


async def test_an_account_that_is_not_there_cannot_be_read(stack: Stack, project_id: str) -> None:
    code, out, err = await verify(
        "account", "user:nobody", "--project", project_id, environment=stack.environment(project_id)
    )

    assert (code, out) == (2, "")
    assert "no such account" in err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["everything"],
        ["account", "--project", "demo"],
        ["account", "nocolon", "--project", "demo"],
        ["account", "user:a/b", "--project", "demo"],
        ["ledger"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_two(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROJECT_ID", raising=False)
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    try:
        code = main(["verify", *arguments])
    except SystemExit as end:
        code = int(end.code or 0)

    assert code == 2
    assert capsys.readouterr().err


async def test_a_ledger_that_does_not_answer_is_two() -> None:
    """Nothing listens on port 1."""
    code, out, err = await verify("ledger", "--project", "demo", environment={"FIRESTORE_EMULATOR_HOST": "127.0.0.1:1"})

    assert (code, out) == (2, "")
    assert "does not answer" in err
    assert "Traceback" not in err


async def test_an_export_is_verified_without_a_network(
    stack: Stack, project_id: str, firestore_ledger: OnFirestore, tmp_path: Path
) -> None:
    """Exported with the database, checked with nothing but the file; a changed or cut file shows."""
    environment = stack.environment(project_id)
    await filled(firestore_ledger)
    file = tmp_path / "books.jsonl"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "credence", "export", file, "--project", project_id),
        env={**os.environ, **environment},
        cwd=ROOT,
    )
    assert await process.wait() == 0

    code, out, err = await verify("ledger", "--export", str(file), environment={})
    assert (code, out.split(":")[0]) == (0, "intact"), err

    text = file.read_text()
    file.write_text(text.replace('"delta_micros":-10,', '"delta_micros":-9,'))
    code, out, _ = await verify("ledger", "--export", str(file), environment={})
    assert (code, f"{ADA} entry 3" in out) == (1, True)
    file.write_text("".join(text.splitlines(keepends=True)[:-1]))
    assert (await verify("ledger", "--export", str(file), environment={}))[0] == 2
    file.write_text("nonsense\n")
    assert (await verify("ledger", "--export", str(file), environment={}))[0] == 2
