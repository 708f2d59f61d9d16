"""The audit finds what was tampered with since the last run, keeps saying so, and never accuses a living ledger."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.base.ids import AccountId
from shared.ledger.archive import Stamp
from shared.ledger.audit import CURSOR_MARGIN, Audit, AuditLimits, may_pass
from shared.ledger.documents import BANDS, band_of, lane_of
from shared.ledger.marks import START, mark_document, mark_from
from shared.ledger.models import Origin
from shared.ledger.verify import ACCOUNTS_AT_ONCE, verify_account, verify_ledger
from tests.ledger.builders import (
    ADA,
    BEN,
    CLARA,
    Ticker,
    debit,
    engine_on,
    grant,
    open_account,
    opened,
    transfer,
)
from tests.ledger.tampering import LedgerAt, document_at, filled, in_memory, rewrite


async def test_a_ledger_that_is_posted_to_meanwhile_is_never_accused(ledger: LedgerAt) -> None:
    await opened(ledger.store, paid=10_000, accounts=(ADA, BEN, CLARA))
    engine = engine_on(ledger.store)
    audit = Audit(ledger.archive, ledger.marks, Ticker())
    done = False

    async def post() -> None:
        number = 0
        while not done:
            number += 1
            await engine.run(debit(1, f"d{number}"))
            await engine.run(transfer(1, f"t{number}", by=BEN, to=CLARA))
            await asyncio.sleep(0)

    posting = asyncio.ensure_future(post())
    for _ in range(2):
        report = await verify_ledger(ledger.archive, {})
        assert report.broken == ()
        assert report.drift_micros == 0
        await verify_account(ledger.archive, ADA)
        runs = await asyncio.gather(audit.run(), audit.run(), audit.run_full())
        assert [run.broken for run in runs] == [(), (), ()]
    done = True
    await posting


@pytest.mark.slow
async def test_head_and_count_are_of_one_moment_however_busy_the_account(firestore_ledger: LedgerAt) -> None:
    await opened(firestore_ledger.store, paid=10_000, accounts=(ADA, BEN, CLARA))
    engine = engine_on(firestore_ledger.store)
    done = False

    async def post(name: str) -> None:
        number = 0
        while not done:
            number += 1
            await engine.run(transfer(1, f"{name}{number}", by=BEN, to=CLARA))

    posting = asyncio.gather(post("a"), post("b"))
    seen = [await firestore_ledger.archive.head_and_count(CLARA) for _ in range(80)]
    done = True
    await posting

    assert [count for _, count in seen] == [head["seq"] if head else None for head, _ in seen]
    assert seen[0][1] < seen[-1][1]


def audit_of(ledger: LedgerAt) -> Audit:
    return Audit(ledger.archive, ledger.marks, Ticker())


async def test_an_audit_walks_what_is_new_and_nothing_twice(ledger: LedgerAt) -> None:
    await filled(ledger)

    first = await audit_of(ledger).run()
    again = await audit_of(ledger).run()
    await engine_on(ledger.store).run(debit(1, "new"))
    after = await audit_of(ledger).run()

    assert (first.accounts, first.entries, first.finished, first.broken) == (3, 10, True, ())
    assert again.entries == 0
    assert after.entries == 1
    assert (await ledger.marks.mark(ADA)).seq == 6


async def test_a_break_is_alarmed_until_the_account_verifies_again(
    ledger: LedgerAt, capsys: pytest.CaptureFixture[str]
) -> None:
    await filled(ledger)
    entry_id, original = await document_at(ledger, ADA, 3)
    await rewrite(ledger, ADA, 3, balance_micros=1)

    for _ in range(2):
        report = await audit_of(ledger).run()
        assert [(alarm.account_id, alarm.seq, alarm.entry_id) for alarm in report.broken] == [(ADA, 3, entry_id)]
        assert [alarm.account_id for alarm in await ledger.marks.open_alarms(10)] == [ADA]
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [(line["severity"], line["message"], line["account"]) for line in lines] == [
            ("CRITICAL", "ledger_broken", ADA)
        ]

    assert (await ledger.marks.mark(BEN)).seq == 3
    await ledger.put_entry(ADA, entry_id, original)
    mended = await audit_of(ledger).run()

    assert mended.broken == ()
    assert await ledger.marks.open_alarms(10) == []
    assert (await ledger.marks.mark(ADA)).seq == 5


async def test_a_full_audit_finds_what_lies_before_the_mark_and_keeps_saying_so(ledger: LedgerAt) -> None:
    await filled(ledger)
    await audit_of(ledger).run()
    await rewrite(ledger, ADA, 3, balance_micros=1)
    await engine_on(ledger.store).run(debit(1, "new"))

    assert (await audit_of(ledger).run()).broken == ()
    full = await audit_of(ledger).run_full()
    later = await audit_of(ledger).run()

    assert [(alarm.account_id, alarm.seq) for alarm in full.broken] == [(ADA, 3)]
    assert [(alarm.account_id, alarm.seq) for alarm in later.broken] == [(ADA, 3)]


async def test_a_stray_document_found_by_a_full_audit_stays_alarmed(ledger: LedgerAt) -> None:
    await filled(ledger)
    await audit_of(ledger).run()
    await ledger.put_entry(ADA, "stray", {"seq": "none"})

    assert (await audit_of(ledger).run()).broken == ()
    assert len((await audit_of(ledger).run_full()).broken) == 1
    assert len((await audit_of(ledger).run()).broken) == 1
    await ledger.delete_entry(ADA, "stray")
    assert (await audit_of(ledger).run()).broken == ()


async def test_a_full_audit_finds_a_deleted_head(ledger: LedgerAt) -> None:
    await filled(ledger)
    await audit_of(ledger).run()
    await ledger.delete_head(CLARA)

    assert [alarm.account_id for alarm in (await audit_of(ledger).run_full()).broken] == [CLARA]


async def test_a_chain_cut_back_and_written_anew_contradicts_its_mark(ledger: LedgerAt) -> None:
    """Whole in itself, so no walk can tell; only who remembers can."""
    await opened(ledger.store, paid=100)
    await engine_on(ledger.store).run(debit(10))
    await audit_of(ledger).run()
    entry_id, _ = await document_at(ledger, ADA, 3)
    _, second = await document_at(ledger, ADA, 2)
    await ledger.delete_entry(ADA, entry_id)
    lots = [{"origin": "paid", "expires_at_ms": None, "remaining_micros": 100}]
    await ledger.edit_head(ADA, seq=2, hash=second["hash"], lots=lots, balance_micros=100, spent_micros=0)
    assert (await verify_account(ledger.archive, ADA)).entries == 2
    short = await audit_of(ledger).run_full()

    await engine_on(ledger.store).run(debit(9, "other"))
    await engine_on(ledger.store).run(debit(9, "more"))
    rewritten = await audit_of(ledger).run()

    assert "cut back" in short.broken[0].reason
    assert rewritten.broken[0].seq == 3


async def test_a_forged_mark_is_overruled_by_a_full_audit(ledger: LedgerAt) -> None:
    await filled(ledger)
    await audit_of(ledger).run()
    mark = await ledger.marks.mark(ADA)
    forged = mark_from({**mark_document(mark), "spent_micros": 1})
    await ledger.marks.put_mark(ADA, forged)

    assert len((await audit_of(ledger).run_full()).broken) == 1


async def test_a_balance_forged_in_head_and_mark_alike_is_found_by_a_full_audit(ledger: LedgerAt) -> None:
    await filled(ledger)
    await audit_of(ledger).run()
    mark = await ledger.marks.mark(ADA)
    lots = [{"origin": "paid", "expires_at_ms": None, "remaining_micros": 10**9}]
    await ledger.edit_head(ADA, lots=lots, balance_micros=10**9)
    await ledger.marks.put_mark(ADA, mark_from({**mark_document(mark), "lots": lots}))
    assert (await audit_of(ledger).run()).broken == ()

    full = await audit_of(ledger).run_full()

    assert [alarm.account_id for alarm in full.broken] == [ADA]
    assert len((await audit_of(ledger).run()).broken) == 1


async def test_a_run_is_bounded_and_the_next_goes_on() -> None:
    ledger = in_memory()
    await opened(ledger.store, paid=1_000, accounts=(ADA, BEN))
    engine = engine_on(ledger.store)
    await asyncio.gather(*(engine.run(debit(1, f"d{i}")) for i in range(100)))
    audit = Audit(ledger.archive, ledger.marks, Ticker(), AuditLimits(account_entries_max=30))

    runs = [await audit.run() for _ in range(4)]

    assert [run.finished for run in runs] == [False, False, False, True]
    assert [run.entries for run in runs] == [32, 30, 30, 12]
    assert (await ledger.marks.mark(ADA)).seq == 102


async def test_a_run_used_up_leaves_the_rest_to_the_next() -> None:
    clock = Ticker()
    ledger = in_memory(clock)
    people = [AccountId(f"user:{i}") for i in range(200)]
    await opened(ledger.store, paid=5, accounts=people)
    audit = Audit(ledger.archive, ledger.marks, clock, AuditLimits(accounts_max=50, entries_max=60))

    reports = []
    for _ in range(20):
        clock.now_ms += 60_000
        reports.append(await audit.run())
        if reports[-1].finished:
            break

    assert all(report.accounts <= 50 and report.entries <= 60 for report in reports)
    assert sum(report.entries for report in reports) == 400
    assert reports[-1].finished


async def test_a_cursor_waits_for_what_may_still_become_visible() -> None:
    """A commit received earlier and shown later must not be passed; and a busy account is audited all the same."""
    clock = Ticker()
    ledger = in_memory(clock)
    await opened(ledger.store, paid=100)
    report = await Audit(ledger.archive, ledger.marks, clock).run()
    assert report.entries == 2
    assert await ledger.marks.cursors(BANDS) == {}

    clock.now_ms += 60_000
    assert (await Audit(ledger.archive, ledger.marks, clock).run()).entries == 0
    stamp = (await ledger.marks.cursors(BANDS))[band_of(ADA)]
    assert may_pass(stamp, stamp.posted_at + CURSOR_MARGIN)
    assert not may_pass(stamp, stamp.posted_at + CURSOR_MARGIN - timedelta(milliseconds=1))


async def test_a_cursor_set_ahead_skips_nothing() -> None:
    """Whoever writes it there would be rid of the audit: nothing is ever posted after it."""
    clock = Ticker()
    ledger = in_memory(clock)
    await opened(ledger.store, paid=100)
    for band in range(BANDS):
        await ledger.marks.put_cursor(band, Stamp(datetime.fromtimestamp(clock() / 1000 + 1, UTC), ADA))

    assert (await Audit(ledger.archive, ledger.marks, clock).run()).entries == 2


async def test_accounts_posted_to_in_one_millisecond_are_all_seen() -> None:
    clock = Ticker()
    ledger = in_memory(clock)
    people = [AccountId(f"user:{i}") for i in range(300)]
    await opened(ledger.store, accounts=people)
    clock.now_ms += 60_000

    report = await Audit(ledger.archive, ledger.marks, clock, AuditLimits(page_accounts_max=2)).run()

    assert report.accounts == 300
    assert report.finished


async def test_notes_come_back_as_they_were_written(ledger: LedgerAt) -> None:
    await filled(ledger)
    await audit_of(ledger).run()
    mark = await ledger.marks.mark(ADA)
    changes = await ledger.archive.changed_after([lane_of(ADA)], None, 10)
    stamp = changes.stamps[0]
    await ledger.marks.put_cursor(3, stamp)

    assert mark.lots[0].origin is Origin.PAID
    assert (await ledger.marks.cursors(BANDS))[3] == stamp
    assert await ledger.marks.cursors(3) == {}
    assert await ledger.marks.mark(AccountId("user:nobody")) == START
    later = await ledger.archive.changed_after([lane_of(ADA)], Stamp(stamp.posted_at, stamp.account_id), 10)
    assert stamp not in later.stamps


async def test_changes_come_in_order_page_by_page(ledger: LedgerAt) -> None:
    """A head that states no moment of its writing is not in that order, and ends no run."""
    people = [AccountId(f"user:{i}") for i in range(400) if lane_of(AccountId(f"user:{i}")) in (7, 9)][:7]
    for person in people:
        await engine_on(ledger.store).run(open_account(person))
    await engine_on(ledger.store).run(grant(5, to=people[0]))
    for posted_at in ("soon", 5):
        await ledger.edit_head(people.pop(), posted_at=posted_at)

    found: list[AccountId] = []
    after: Stamp | None = None
    while page := (await ledger.archive.changed_after([7, 8, 9], after, 2)).stamps:
        found += [stamp.account_id for stamp in page]
        after = page[-1]

    assert sorted(found) == sorted(people)
    assert (await ledger.archive.changed_after([8], None, 2)).stamps == ()


LOT = {"origin": "paid", "expires_at_ms": None, "remaining_micros": 1}


@pytest.mark.parametrize(
    "fields",
    [
        {"seq": float("inf")},
        {"seq": 1.0},
        {"seq": "1"},
        {"spent_micros": float("nan")},
        {"spent_micros": True},
        {"lots": [LOT | {"remaining_micros": "1"}]},
        {"lots": [LOT | {"expires_at_ms": "never"}]},
        {"lots": ["paid"]},
        {"lots": None},
        {"status": "other"},
    ],
)
def test_a_note_that_only_looks_like_a_mark_is_none(fields: dict[str, Any]) -> None:
    """The audit passes over it and walks from the first entry; it would end in the middle of a run otherwise."""
    with pytest.raises((KeyError, TypeError, ValueError)):
        mark_from({**mark_document(START), **fields})


async def test_an_unreadable_mark_skips_nothing(firestore_ledger: Any) -> None:
    await filled(firestore_ledger)
    await firestore_ledger.client.document(f"audit_marks/{ADA}").set({"seq": "many", "hash": 3})
    await firestore_ledger.client.document(f"audit_marks/band:{band_of(ADA)}").set({"posted_at": "x"})

    report = await audit_of(firestore_ledger).run()

    assert report.entries == 10
    assert report.broken == ()
    assert (await firestore_ledger.marks.mark(ADA)).seq == 5


async def test_as_many_accounts_as_are_walked_at_once_all_find_room() -> None:
    """What one sets aside while it is walked leaves enough for those beside it."""
    limits = AuditLimits()
    assert limits.account_entries_max * ACCOUNTS_AT_ONCE <= limits.entries_max

    clock = Ticker()
    ledger = in_memory(clock)
    people = [AccountId(f"user:{i}") for i in range(BANDS * ACCOUNTS_AT_ONCE * 2)]
    await opened(ledger.store, accounts=people)

    report = await Audit(ledger.archive, ledger.marks, clock).run()

    assert (report.entries, report.finished) == (len(people), True)
