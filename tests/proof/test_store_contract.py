"""What a checkpoint relies on, on both stores: all or nothing, one after the other, and read back as written."""

import asyncio
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from shared.ledger.archive import Stamp
from shared.proof.errors import CommitLost, LogBroken, TileWrong
from shared.proof.log import Append, LoggedHead, LogState, Statement
from shared.proof.store import state_from, tile_from
from shared.proof.tiles import ENTRIES
from tests.ledger.builders import ADA, BEN
from tests.proof.builders import LogAt

STAMP = Stamp(datetime(2026, 1, 1, 12, 30, 15, 123000, tzinfo=UTC), ADA)
STATE = LogState(3, "ab" * 32, 2, "a note\n", {0: STAMP, 3: Stamp(STAMP.posted_at, BEN)}, 1_800_000_000_000)


def stated(seq: int, leaf_index: int, account_id: str = ADA) -> LoggedHead:
    return LoggedHead(
        Statement(ADA if account_id == ADA else BEN, seq, f"{seq:064x}", -5, 1_800_000_000_000), leaf_index
    )


FIRST = Append(STATE, {(0, 0): b"\x00" * 96, (ENTRIES, 0): b"\x00\x01a"}, [stated(7, 0), stated(1, 1, BEN)])


async def test_nothing_is_there_before_the_first_append(at: LogAt) -> None:
    known = await at.log.state()

    assert (known.state, known.version) == (LogState(), None)
    assert await at.log.tiles([(0, 0)]) == {}
    assert await at.log.logged([ADA]) == {}
    assert await at.log.first_statement(ADA, 1) is None


async def test_an_append_is_read_back_as_it_was_written(at: LogAt) -> None:
    version = await at.log.append(FIRST, None)

    known = await at.log.state()
    assert (known.state, known.version) == (STATE, version)
    assert await at.log.tiles([(0, 0), (ENTRIES, 0), (1, 0)]) == FIRST.tiles
    assert await at.log.logged([ADA, BEN]) == {ADA: stated(7, 0), BEN: stated(1, 1, BEN)}


async def test_the_first_statement_from_an_entry_on_is_found(at: LogAt) -> None:
    """In the order of numbers, and of this account alone."""
    version = await at.log.append(FIRST, None)
    later = replace(FIRST, state=replace(STATE, size=5), heads=[stated(10, 3), stated(100, 4)])
    await at.log.append(later, version)

    for from_seq, expected in ((1, 7), (7, 7), (8, 10), (11, 100), (101, None)):
        found = await at.log.first_statement(ADA, from_seq)
        assert (found.statement.seq if found else None) == expected
    assert (await at.log.logged([ADA]))[ADA] == stated(100, 4)


async def test_an_append_over_an_older_state_writes_nothing(at: LogAt) -> None:
    version = await at.log.append(FIRST, None)
    other = Append(replace(STATE, size=9, cursors={}), {(0, 0): b"\x01" * 96, (0, 1): b""}, [stated(8, 5)])

    for stale in (None,):
        with pytest.raises(CommitLost):
            await at.log.append(other, stale)
    await at.log.append(replace(FIRST, state=replace(STATE, size=4), tiles={}, heads=[]), version)
    with pytest.raises(CommitLost):
        await at.log.append(other, version)

    assert (await at.log.state()).state.size == 4
    assert await at.log.tiles([(0, 0), (0, 1)]) == {(0, 0): FIRST.tiles[0, 0]}
    assert (await at.log.logged([ADA]))[ADA] == stated(7, 0)


async def test_of_appends_at_once_one_is_written(at: LogAt) -> None:
    """Also where each believes to be the first."""
    version = None
    for turn in range(3):
        # Each grows the log, as every append does: a write that changes nothing gives a document no new version.
        appends = [replace(FIRST, state=replace(STATE, size=10 + turn, epoch=number)) for number in range(4)]
        outcomes = await asyncio.gather(*(at.log.append(one, version) for one in appends), return_exceptions=True)
        won = [number for number, outcome in enumerate(outcomes) if not isinstance(outcome, BaseException)]
        assert len(won) == 1
        assert all(isinstance(outcome, CommitLost) for n, outcome in enumerate(outcomes) if n not in won)
        known = await at.log.state()
        assert (known.state.epoch, known.version) == (won[0], outcomes[won[0]])
        version = known.version


async def test_cursors_that_are_gone_are_gone(at: LogAt) -> None:
    """The state is written whole, its maps too."""
    version = await at.log.append(FIRST, None)
    await at.log.append(replace(FIRST, state=replace(STATE, cursors={1: STAMP})), version)

    assert (await at.log.state()).state.cursors == {1: STAMP}


async def test_an_alarm_may_be_raised_and_cleared_twice(at: LogAt) -> None:
    names = ("log_broken", "epoch_unbalanced")
    assert await at.log.alarms_raised(names) == frozenset()
    for _ in range(2):
        await at.log.raise_alarm("log_broken", {"reason": "test"})
        assert await at.log.alarms_raised(names) == {"log_broken"}
    for _ in range(2):
        await at.log.clear_alarm("log_broken")
        assert await at.log.alarms_raised(names) == frozenset()


@pytest.mark.parametrize("fields", [{}, {"bytes": None}, {"bytes": 10**12}, {"bytes": "text"}])
def test_a_document_without_bytes_is_no_tile(fields: dict[str, object]) -> None:
    with pytest.raises(TileWrong):
        tile_from(fields)


@pytest.mark.parametrize(
    "damage", [{"size": "3"}, {"size": True}, {"root": 3}, {"cursors": []}, {"cursors": {"0": {}}}, {"note": None}]
)
def test_a_state_that_is_none_is_not_built_upon(damage: dict[str, object]) -> None:
    from shared.proof.store import state_document

    with pytest.raises(LogBroken):
        state_from({**state_document(STATE), **damage})
    with pytest.raises(LogBroken):
        state_from({})
