"""The checkpoint: every signed root ends with books that balance, nothing is stated twice, nothing signed is lost."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from shared.base.ids import AccountId
from shared.base.merkle import leaf_hash, root_of
from shared.ledger.archive import Changes, Stamp
from shared.ledger.documents import lane_of
from shared.ledger.memory import MemoryLedgerArchive, MemoryLedgerStore
from shared.proof.checkpoint import BROKEN, UNBALANCED, CheckpointLimits
from shared.proof.errors import CommitLost, VaultUnavailable
from shared.proof.log import Epoch, Statement, append_epoch, checked_edge, signed, tiles_to_extend
from shared.proof.memory import MemoryLogStore, MemoryVault
from shared.proof.note import open_checkpoint
from shared.proof.vault import Published, Vault
from tests.ledger.builders import ADA, BEN, CLARA, chance_of, debit, engine_on, opened, transfer
from tests.proof.builders import (
    KEY,
    OTHER,
    FaultyLog,
    FaultyVault,
    Killed,
    LogAt,
    epochs_in,
    in_memory,
    last_checkpoint,
    leaves_of,
    signed_leaves,
)

MINUTE_MS = 60_000
ALL = (ADA, BEN, CLARA)


async def test_a_run_states_every_account_and_signs_the_sum(at: LogAt) -> None:
    """On both stores: the leaves, the root over them, the record, the note in the vault."""
    await opened(at.ledger, paid=100, accounts=ALL)
    await engine_on(at.ledger).run(debit(30))
    await engine_on(at.ledger).run(transfer(20))

    report = await at.checkpoints().run()

    assert (report.size, report.epoch, report.heads, report.refused, report.finished) == (4, 1, 3, None, True)
    leaves = await signed_leaves(at)
    checkpoint = await last_checkpoint(at)
    assert checkpoint.root == root_of([leaf_hash(leaf) for leaf in leaves])
    logged = await at.log.logged(ALL)
    assert {logged[name].statement.leaf: logged[name].leaf_index for name in ALL} == {
        leaf: index for index, leaf in enumerate(leaves[:3])
    }
    assert logged[ADA].statement.balance_micros == 50
    (record,) = epochs_in(leaves)
    assert (record.epoch, record.accounts, record.balance_micros, record.unsettled_micros) == (1, 3, 270, -270)
    assert (record.heads, leaves[-1]) == (3, record.leaf)
    published = await at.vault.latest()
    assert published is not None
    assert published.note == (await at.log.state()).state.note


async def test_the_log_shows_no_names_and_no_balances(at: LogAt) -> None:
    await opened(at.ledger, paid=123_456_789, accounts=ALL)
    await at.checkpoints().run()

    for leaf in (await signed_leaves(at))[:-1]:
        assert leaf.decode().split("\n")[0] == "credence.head.v1"
        assert len(leaf.decode().split("\n")[1]) == 64
        assert b"ada" not in leaf
        assert b"123456789" not in leaf


async def test_only_what_changed_is_stated_again(at: LogAt) -> None:
    """And a quiet minute is an epoch record alone."""
    await opened(at.ledger, paid=100, accounts=ALL)
    checkpoints = at.checkpoints()
    await checkpoints.run()
    await engine_on(at.ledger).run(debit(30))

    second, third = await checkpoints.run(), await checkpoints.run()

    assert [second.heads, third.heads] == [1, 0]
    assert [record.heads for record in epochs_in(await signed_leaves(at))] == [3, 1, 0]
    assert [third.epoch, third.size] == [3, 7]


async def test_an_empty_ledger_balances(at: LogAt) -> None:
    report = await at.checkpoints().run()

    assert (report.size, report.epoch, report.refused) == (1, 1, None)
    (record,) = epochs_in(await signed_leaves(at))
    assert (record.accounts, record.balance_micros, record.unsettled_micros) == (0, 0, 0)


async def test_money_from_nowhere_is_not_signed(memory_log: LogAt, capsys: pytest.CaptureFixture[str]) -> None:
    """It raises an alarm, appends nothing, and goes on by itself once the books balance."""
    at = memory_log
    store: MemoryLogStore = at.log  # type: ignore[assignment]
    await opened(at.ledger, paid=100, accounts=ALL)
    await at.checkpoints().run()
    before = await at.log.state()
    at.ledger.heads[ADA]["balance_micros"] += 7  # type: ignore[attr-defined]

    report = await at.checkpoints().run()

    assert (report.refused, report.drift_micros, report.size) == (UNBALANCED, 7, before.state.size)
    assert await at.log.state() == before
    assert store.alarms[UNBALANCED] == {
        "accounts": 3,
        "balances_micros": 307,
        "unsettled_micros": -300,
        "drift_micros": 7,
        "raised": True,
    }
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["drift_micros"] for line in lines if line["message"] == UNBALANCED] == [7]

    at.ledger.heads[ADA]["balance_micros"] -= 7  # type: ignore[attr-defined]
    assert (await at.checkpoints().run()).refused is None
    assert store.alarms[UNBALANCED]["raised"] is False


async def test_many_accounts_take_several_commits_each_signed() -> None:
    """What is over the bound of a run is left for the next one."""
    at = in_memory(CheckpointLimits(heads_max=40, page_accounts_max=7, commit_statements_max=9))
    names = [type(ADA)(f"user:{number}") for number in range(60)]
    await opened(at.ledger, paid=5, accounts=names)

    first, second = await at.checkpoints().run(), await at.checkpoints().run()

    assert (first.heads, first.finished) == (40, False)
    # Forty statements are five commits of nine at most. The next run meets the same accounts first, for the margin.
    assert len(at.vault.notes) == 5 + 1  # type: ignore[attr-defined]
    while not second.finished:
        second = await at.checkpoints().run()
        at.clock.now_ms += MINUTE_MS
    leaves = await signed_leaves(at)
    assert sorted(await at.log.logged(names)) == sorted(names)
    assert len(set(leaves)) == len(leaves)
    assert sum(record.heads for record in epochs_in(leaves)) == 60


async def test_a_cursor_waits_for_what_may_still_appear(memory_log: LogAt) -> None:
    """It passes an account only when its posting lies well behind the server's time."""
    at = memory_log
    await opened(at.ledger, paid=1, accounts=ALL)
    await at.checkpoints().run()
    assert (await at.log.state()).state.cursors == {}

    at.clock.now_ms += MINUTE_MS
    await at.checkpoints().run()
    assert {stamp.account_id for stamp in (await at.log.state()).state.cursors.values()} <= set(ALL)
    assert (await at.log.state()).state.cursors


async def test_a_note_that_was_not_published_is_published_by_the_next_run(memory_log: LogAt) -> None:
    """Before anything else is signed, so the vault has every note."""
    at = memory_log
    vault: MemoryVault = at.vault  # type: ignore[assignment]
    await opened(at.ledger, paid=1, accounts=ALL)
    at.vault = FaultyVault(vault, lost=1.0)
    with pytest.raises(VaultUnavailable):
        await at.checkpoints().run()
    assert vault.notes == {}
    with pytest.raises(VaultUnavailable):
        await at.checkpoints().run()
    at.vault = vault

    report = await at.checkpoints().run()

    assert sorted(vault.notes) == [4, report.size]
    assert report.epoch == 2


async def test_an_append_whose_answer_was_lost_is_not_repeated(memory_log: LogAt) -> None:
    at = memory_log
    await opened(at.ledger, paid=1, accounts=ALL)
    at.log = FaultyLog(at.log, unacknowledged=1.0)  # type: ignore[arg-type]

    report = await at.checkpoints().run()

    assert (report.heads, report.epoch, report.size) == (3, 1, 4)


async def test_a_run_gives_up_when_no_append_arrives(memory_log: LogAt) -> None:
    at = memory_log
    at.log = FaultyLog(at.log, lost=1.0)  # type: ignore[arg-type]

    with pytest.raises(CommitLost):
        await at.checkpoints().run()


async def test_runs_at_once_never_fork_the_log(at: LogAt) -> None:
    """On both stores: they follow each other or give up, and every note in the vault leads to the next."""
    await opened(at.ledger, paid=100, accounts=ALL)

    outcomes = await asyncio.gather(*(at.checkpoints().run() for _ in range(4)), return_exceptions=True)

    assert all(isinstance(outcome, CommitLost) or not isinstance(outcome, BaseException) for outcome in outcomes)
    assert any(not isinstance(outcome, BaseException) and outcome.refused is None for outcome in outcomes)
    await assert_sound(at)


async def assert_sound(at: LogAt) -> None:
    """Every published checkpoint is the root of a prefix of the log, ends with a record, and balances."""
    leaves = await signed_leaves(at)
    hashes = [leaf_hash(leaf) for leaf in leaves]
    for size, note in at.vault.notes.items():  # type: ignore[attr-defined]
        checkpoint = open_checkpoint(note, KEY)
        assert checkpoint.size == size
        assert checkpoint.root == root_of(hashes[:size])
        (record,) = epochs_in(leaves[size - 1 : size])
        assert record.balance_micros + record.unsettled_micros == 0
    records = epochs_in(leaves)
    assert [record.epoch for record in records] == list(range(1, len(records) + 1))
    assert sum(record.heads for record in records) == len(leaves) - len(records)
    assert len(set(leaves)) == len(leaves)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
async def test_faults_never_make_the_log_lie(seed: int) -> None:
    """Lost and unacknowledged appends, deaths after them, a vault that fails, runs at once; then all is stated."""
    at = in_memory(CheckpointLimits(heads_max=6, page_accounts_max=2, commit_statements_max=2))
    inner_log, inner_vault = at.log, at.vault
    at.log = FaultyLog(inner_log, chance_of(seed), 0.2, 0.2, 0.1)  # type: ignore[arg-type]
    at.vault = FaultyVault(inner_vault, chance_of(seed + 100), 0.2, 0.2)  # type: ignore[arg-type]
    chance = chance_of(seed + 200)
    await opened(at.ledger, paid=10_000, accounts=ALL)
    for number in range(40):
        engine = engine_on(at.ledger)
        await engine.run(debit(1 + number, f"debit {number}", by=chance.choice(ALL)))
        at.clock.now_ms += chance.choice([1_000, 30_000, MINUTE_MS, -5_000])
        runs = (at.checkpoints(late_ms=number).run() for number in range(chance.choice([1, 1, 2, 3])))
        for outcome in await asyncio.gather(*runs, return_exceptions=True):
            if isinstance(outcome, BaseException):
                assert isinstance(outcome, CommitLost | VaultUnavailable | Killed), repr(outcome)
            else:
                assert outcome.refused is None, outcome
        at.vault, faulty = inner_vault, at.vault
        await assert_sound(at)
        at.vault = faulty
    at.log, at.vault = inner_log, inner_vault
    for _ in range(4):
        at.clock.now_ms += MINUTE_MS
        await at.checkpoints().run()
    await assert_sound(at)
    logged = await at.log.logged(ALL)
    for name in ALL:
        document: Any = at.ledger.heads[name]  # type: ignore[attr-defined]
        assert (logged[name].statement.seq, logged[name].statement.hash) == (document["seq"], document["hash"])


async def broken_by(at: LogAt) -> str:
    """What the alarm says after a run."""
    report = await at.checkpoints().run()
    assert report.refused == BROKEN
    alarm = at.log.alarms[BROKEN]  # type: ignore[attr-defined]
    assert alarm["raised"] is True
    return str(alarm["reason"])


async def grown(at: LogAt, runs: int = 3) -> None:
    await opened(at.ledger, paid=100, accounts=ALL)
    for number in range(runs):
        await at.checkpoints().run()
        await engine_on(at.ledger).run(debit(1, f"debit {number}"))


@dataclass
class _HesitatingVault:
    """Says what it has published last only when it is told to."""

    inner: Vault
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    answering: asyncio.Event = field(default_factory=asyncio.Event)

    async def latest(self) -> Published | None:
        self.asked.set()
        await self.answering.wait()
        return await self.inner.latest()

    async def publish(self, size: int, note: str) -> None:
        await self.inner.publish(size, note)


async def test_an_epoch_is_never_of_a_moment_before_the_one_it_follows(memory_log: LogAt) -> None:
    """A run that begins before another one and ends after it states the ledger as it is then, or later."""
    hesitating = _HesitatingVault(memory_log.vault)
    await opened(memory_log.ledger, paid=100, accounts=(ADA,))
    slow = asyncio.ensure_future(replace(memory_log, vault=hesitating).checkpoints().run())
    await hesitating.asked.wait()
    await asyncio.sleep(0)
    await opened(memory_log.ledger, paid=100, accounts=(BEN,))
    await memory_log.checkpoints().run()

    hesitating.answering.set()
    await slow

    epochs = epochs_in(await signed_leaves(memory_log))
    assert [(record.epoch, record.accounts) for record in epochs] == [(1, 2), (2, 2)]


async def test_a_log_set_back_to_an_older_state_is_noticed(memory_log: LogAt) -> None:
    """As by restoring a backup: the vault knows better."""
    at = memory_log
    await grown(at, 1)
    kept = dict(at.log.state_fields)  # type: ignore[attr-defined]
    await at.checkpoints().run()
    at.log.state_fields = kept  # type: ignore[attr-defined]

    assert "the vault has a checkpoint of size" in await broken_by(at)


async def test_a_cursor_set_ahead_is_noticed(memory_log: LogAt) -> None:
    """By it all accounts would count as read, for ever, and none be stated again."""
    at = memory_log
    await grown(at)
    ahead = {"posted_at": datetime.fromtimestamp(at.clock.now_ms / 1000 + 1, UTC), "account": ADA}
    at.log.state_fields["cursors"]["0"] = ahead  # type: ignore[attr-defined]

    assert "cannot have been posted to yet" in await broken_by(at)


async def test_a_log_that_was_emptied_is_noticed(memory_log: LogAt) -> None:
    at = memory_log
    await grown(at)
    at.log.state_fields = None  # type: ignore[attr-defined]

    assert "the vault has a checkpoint of size" in await broken_by(at)


async def test_a_note_that_is_not_the_vaults_is_noticed(memory_log: LogAt) -> None:
    at = memory_log
    await grown(at)
    vault: MemoryVault = at.vault  # type: ignore[assignment]
    vault.notes[max(vault.notes)] += "another line\n"

    assert "the vault has another checkpoint" in await broken_by(at)


async def test_a_changed_tile_is_noticed(memory_log: LogAt) -> None:
    """Before anything is built on it."""
    at = memory_log
    await grown(at)
    tiles = at.log.tile_bytes  # type: ignore[attr-defined]
    tiles[0, 0] = bytes([tiles[0, 0][0] ^ 1]) + tiles[0, 0][1:]

    assert "do not lead to the root" in await broken_by(at)


async def test_a_rewritten_log_with_a_fitting_root_is_noticed(memory_log: LogAt) -> None:
    """Whoever may write every document still has no key: what was signed is not where the new log begins."""
    at = memory_log
    await grown(at)
    tiles, state = at.log.tile_bytes, at.log.state_fields  # type: ignore[attr-defined]
    tiles[0, 0] = bytes([tiles[0, 0][0] ^ 1]) + tiles[0, 0][1:]
    hashes = [tiles[0, 0][place : place + 32] for place in range(0, len(tiles[0, 0]), 32)]
    state["root"] = root_of(hashes).hex()

    assert "not the one that was signed last" in await broken_by(at)


async def test_a_leaf_that_was_never_signed_is_not_built_upon(memory_log: LogAt) -> None:
    """Whoever can write the log's documents could otherwise have a statement of theirs signed by the next run."""
    at = memory_log
    await grown(at)
    store: MemoryLogStore = at.log  # type: ignore[assignment]
    known = await store.state()
    stored = await store.tiles(tiles_to_extend(known.state.size))
    edge = checked_edge(known.state, stored, KEY)
    forged = Statement(AccountId("user:thief"), 1, "ab" * 32, 10**15, 0)
    append = append_epoch(known.state, edge, [forged], Epoch(known.state.epoch + 1, 3, 0, 0, 1, 0))
    await store.append(signed(append, known.state.note, {}), known.version)

    assert "not the one that was signed last" in await broken_by(at)


@pytest.mark.parametrize("epoch", [0, 2, 4, 10**9])
async def test_an_epoch_that_is_not_the_logs_own_is_not_counted_on(memory_log: LogAt, epoch: int) -> None:
    """Signed once, a wrong number would make the log unverifiable for ever."""
    at = memory_log
    await grown(at)
    at.log.state_fields["epoch"] = epoch  # type: ignore[attr-defined]

    assert "does not end with the epoch" in await broken_by(at)


async def test_an_entry_that_cannot_be_read_is_an_alarm(memory_log: LogAt) -> None:
    """Its legs are in no sum, so nothing can be signed until somebody has looked."""
    at = memory_log
    await grown(at)
    entries: Any = at.ledger.entries  # type: ignore[attr-defined]
    next(iter(entries.values()))["legs"] = "none"

    assert "ChainBroken" in await broken_by(at)


async def test_a_note_of_another_key_is_noticed(memory_log: LogAt) -> None:
    at = memory_log
    await grown(at)
    report = await at.checkpoints(OTHER).run()

    assert report.refused == BROKEN


async def test_a_head_that_went_back_is_an_alarm_and_no_statement(
    memory_log: LogAt, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was logged of it stays; the next real posting is logged again."""
    at = memory_log
    await grown(at)
    before = await at.log.logged([ADA])
    at.ledger.heads[ADA]["seq"] -= 2  # type: ignore[attr-defined]

    report = await at.checkpoints().run()

    assert (report.refused, report.heads) == (None, 0)
    assert await at.log.logged([ADA]) == before
    assert "log_head_rewritten" in capsys.readouterr().out


async def test_a_head_that_cannot_be_read_does_not_stop_the_others(
    memory_log: LogAt, capsys: pytest.CaptureFixture[str]
) -> None:
    at = memory_log
    await opened(at.ledger, paid=100, accounts=ALL)
    at.ledger.heads[BEN]["lots"] = "none"  # type: ignore[attr-defined]

    report = await at.checkpoints().run()

    assert (report.refused, report.heads) == (None, 2)
    assert sorted(await at.log.logged(ALL)) == [ADA, CLARA]
    assert "log_head_unreadable" in capsys.readouterr().out


async def test_leaves_are_those_of_the_signed_log_only(memory_log: LogAt) -> None:
    """The store may know more than is signed; a checkpoint speaks for its own size."""
    at = memory_log
    await grown(at)
    sizes = sorted(at.vault.notes)  # type: ignore[attr-defined]

    for old, new in pairwise(sizes):
        assert (await leaves_of(at.log, new))[:old] == await leaves_of(at.log, old)


class Busy(MemoryLedgerArchive):
    """An archive during whose pages the first account is posted to again."""

    def __init__(self, at: LogAt, account_id: AccountId) -> None:
        assert isinstance(at.ledger, MemoryLedgerStore)
        super().__init__(at.ledger)
        self._ledger, self._account_id, self._posted = at.ledger, account_id, False

    async def changed_after(self, lanes: Sequence[int], after: Stamp | None, limit: int) -> Changes:
        page = await super().changed_after(lanes, after, limit)
        if page.stamps and not self._posted:
            self._posted = True
            self._ledger.clock.now_ms += 5  # type: ignore[attr-defined]
            await engine_on(self._ledger).run(debit(1, "meanwhile", by=self._account_id))
        return page


async def test_an_account_that_comes_up_on_two_pages_is_stated_once() -> None:
    """Posted to while its band is read; two leaves of one entry would make two receipts of it."""
    at = in_memory(CheckpointLimits(page_accounts_max=1))
    people = [AccountId(f"user:{number}") for number in range(400)]
    one, other = sorted(person for person in people if lane_of(person) == 3)[:2]
    await opened(at.ledger, paid=10, accounts=(one, other))
    at.archive = Busy(at, one)

    report = await at.checkpoints().run()

    leaves = await signed_leaves(at)
    assert len(set(leaves)) == len(leaves)
    assert report.heads == 2
