"""Exports: what was written is verified without a network, and what is no export is refused in words."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from credence.__main__ import main
from credence.books import Books, NotExported
from shared.base.ids import AccountId
from shared.ledger.memory import MemoryLedgerArchive, MemoryLedgerStore, MemoryLedgerWindows
from shared.ledger.verify import verify_ledger
from tests.ledger.builders import ADA, BEN, debit, engine_on, opened, transfer
from tests.proof.builders import KEY, in_memory

Line = dict[str, Any]
INTACT, BROKEN, UNREADABLE = 0, 1, 2


async def books() -> Books:
    """Two accounts, a signed log, and a band that was settled."""
    at = in_memory()
    assert isinstance(at.ledger, MemoryLedgerStore)
    await opened(at.ledger, paid=100, accounts=(ADA, BEN))
    # A fact may be named like one of our times, and its text may look like one.
    await engine_on(at.ledger).run(debit(10, posted_at="2027-01-15T08:00:00+00:00", settled_until="soon"))
    await engine_on(at.ledger).run(transfer(20))
    await at.checkpoints().run()
    windows = MemoryLedgerWindows(at.ledger)
    windows.settled_until[0] = datetime(2020, 1, 1, tzinfo=UTC)
    return Books(at.archive, windows, at.log)


@pytest.fixture
async def exported() -> list[Line]:
    """The lines of an export."""
    return [json.loads(line) async for line in (await books()).lines(lambda _: None)]


def verified(folder: Path, lines: list[Line] | str, *options: str) -> int:
    """The exit code of `verify ledger --export`."""
    file = folder / "books.jsonl"
    file.write_text(lines if isinstance(lines, str) else "".join(f"{json.dumps(line)}\n" for line in lines))
    return main(["verify", "ledger", "--export", str(file), *options])


def test_an_export_is_what_was_exported(
    exported: list[Line], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verified(tmp_path, exported, "--key", str(KEY)) == INTACT
    assert capsys.readouterr().out.startswith("intact: 2 accounts, 7 entries")


def first(what: str, change: Callable[[Line], object]) -> Callable[[list[Line]], None]:
    """Change the first line of its kind."""
    return lambda lines: change(next(line for line in lines if line["what"] == what)) and None


def fields(what: str, **values: object) -> Callable[[list[Line]], None]:
    return first(what, lambda line: line["fields"].update(values))


def line(what: str, **values: object) -> Callable[[list[Line]], None]:
    return first(what, lambda line: line.update(values))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (line("entry", fields=[]), UNREADABLE),
        (line("entry", fields=None), UNREADABLE),
        (line("entry", account=5), UNREADABLE),
        (line("entry", account="user:\ud800"), UNREADABLE),
        (line("entry", id=5), UNREADABLE),
        (line("horizon", settled_until=5), UNREADABLE),
        (line("horizon", settled_until="2020-01-01T00:00:00"), UNREADABLE),
        (line("horizon", band="0"), UNREADABLE),
        (line("head", documents=float("inf")), UNREADABLE),
        (line("head", fields="text"), UNREADABLE),
        (line("statement", fields=None), UNREADABLE),
        (line("leaves", index=None), UNREADABLE),
        (line("leaves", bytes=None), UNREADABLE),
        (line("log", state=None), UNREADABLE),
        (fields("statement", seq=float("inf")), UNREADABLE),
        (fields("entry", facts={"half": "\ud800"}), UNREADABLE),
        (fields("statement", leaf_index=-1), BROKEN),
        (fields("statement", leaf_index=10**4000), BROKEN),
        (fields("entry", committed_at="2020-01-01T00:00:00"), BROKEN),
        (fields("entry", committed_at="9999"), BROKEN),
        (fields("entry", seq=True), BROKEN),
        (fields("entry", delta_micros=10**4000), BROKEN),
        (fields("head", lots="text"), BROKEN),
        (line("head", fields=None), BROKEN),
        (lambda lines: lines.remove(next(line for line in lines if line["what"] == "head")), UNREADABLE),
        (lambda lines: lines.append(lines[-1]), UNREADABLE),
        (line("end", accounts=3), UNREADABLE),
        (line("leaves", bytes="!!!!"), UNREADABLE),
    ],
)
def test_whatever_a_file_holds_is_judged_in_words(
    exported: list[Line],
    tmp_path: Path,
    change: Callable[[list[Line]], None],
    code: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No traceback: the exit code of one is that of a broken ledger."""
    change(exported)

    assert verified(tmp_path, exported, "--key", str(KEY)) == code
    told = capsys.readouterr()
    assert told.out if code == BROKEN else told.err


@pytest.mark.parametrize("what", ["head", "entry", "horizon", "log", "leaves"])
def test_a_line_that_stands_twice_is_refused(exported: list[Line], tmp_path: Path, what: str) -> None:
    """One reader would take the first and another the last."""
    exported.insert(-1, next(line for line in exported if line["what"] == what))

    assert verified(tmp_path, exported, "--key", str(KEY)) == UNREADABLE


async def test_a_large_export_is_read_in_time_that_grows_with_it(tmp_path: Path) -> None:
    """Each entry is looked at as often in a file of many accounts as in one of few."""

    async def looked_at(accounts: int) -> float:
        at = in_memory()
        await opened(at.ledger, paid=100, accounts=[AccountId(f"user:{number}") for number in range(accounts)])
        assert isinstance(at.ledger, MemoryLedgerStore)
        file = tmp_path / f"{accounts}.jsonl"
        whole = Books(at.archive, MemoryLedgerWindows(at.ledger), at.log)
        file.write_text("".join([line async for line in whole.lines(lambda _: None)]))
        archive = Books.in_file(file).archive
        assert isinstance(archive, MemoryLedgerArchive)
        entries = _Counted(archive._store.entries)
        archive._store.entries = entries
        await verify_ledger(archive, {})
        return entries.looks / len(entries)

    assert await looked_at(40) <= 1.1 * await looked_at(10)


@pytest.mark.parametrize("options", [["--key", ""], ["--checkpoint", "kept.note"]])
def test_a_check_that_was_asked_for_is_never_left_out(
    exported: list[Line], tmp_path: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A variable that is empty, or a key that was forgotten, must not make an unchecked log look checked."""
    assert verified(tmp_path, exported, *options) == UNREADABLE
    assert "--key" in capsys.readouterr().err


def test_a_document_cannot_write_lines_of_ours(
    exported: list[Line], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line("entry", id="\r\x1b[2Kintact: 2 accounts\n")(exported)

    assert verified(tmp_path, exported) == BROKEN
    assert capsys.readouterr().out.startswith("broken: user:ada entry 1 \\r\\x1b[2Kintact: 2 accounts\\n: ")


@pytest.mark.parametrize("text", ["", "nonsense\n", "null\n", "[]\n", "[" * 100_000, '{"what":"end","what":"end"}\n'])
def test_what_is_no_export_cannot_be_read(tmp_path: Path, text: str) -> None:
    assert verified(tmp_path, text) == UNREADABLE


async def test_a_document_that_cannot_be_written_down_is_named() -> None:
    """Nothing of ours holds bytes; whoever put them there must not keep the rest from being checked in silence."""
    kept = await books()
    kept.archive._store.heads[BEN]["note"] = b"bytes"  # type: ignore[attr-defined]

    with pytest.raises(NotExported, match="head of user:ben"):
        async for _ in kept.lines(lambda _: None):
            pass


class _Counted(dict[Any, Any]):
    """Counts how often a value or a key is looked at."""

    looks = 0

    def __getitem__(self, key: Any) -> Any:
        self.looks += 1
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[Any]:
        for key in super().__iter__():
            self.looks += 1
            yield key

    def items(self) -> Any:
        return [(key, self[key]) for key in self]
