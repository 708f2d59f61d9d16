"""A walk from the first entry finds every kind of tampering and names it."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.base.ids import AccountId, EntryId, entry_id_of
from shared.ledger.chain import seal
from shared.ledger.documents import LANES, entry_from, lane_of
from shared.ledger.errors import AccountAbsent, ChainBroken
from shared.ledger.memory import MemoryLedgerArchive, MemoryLedgerStore
from shared.ledger.verify import verify_account, verify_ledger
from tests.ledger.builders import ADA, BEN, CLARA, NOW, debit, engine_on, opened
from tests.ledger.tampering import LedgerAt, document_at, filled, in_memory, reseal, rewrite


async def broken(ledger: LedgerAt, account_id: AccountId = ADA) -> ChainBroken:
    with pytest.raises(ChainBroken) as caught:
        await verify_account(ledger.archive, account_id)
    report = await verify_ledger(ledger.archive, (await ledger.windows.horizons()).settled_until)
    assert account_id in {error.account_id for error in report.broken}
    assert not report.intact
    return caught.value


async def test_an_intact_ledger_verifies(ledger: LedgerAt) -> None:
    await filled(ledger)

    account = await verify_account(ledger.archive, ADA)
    seen: list[tuple[int, int]] = []
    report = await verify_ledger(ledger.archive, {}, lambda accounts, entries: seen.append((accounts, entries)))

    assert (account.entries, account.balance_micros) == (5, 45)
    assert report.intact
    assert (report.accounts, report.entries) == (3, 10)
    assert (report.balance_micros, report.unsettled_micros) == (265, -265)
    assert seen[-1] == (3, 10)


async def test_an_account_that_never_was_is_absent(ledger: LedgerAt) -> None:
    with pytest.raises(AccountAbsent):
        await verify_account(ledger.archive, ADA)


@pytest.mark.parametrize(
    "fields",
    [
        {"delta_micros": -9},
        {"balance_micros": 91},
        {"facts": {"reason": "other"}},
        {"at_ms": NOW + 1},
        {"request_hash": "f" * 64},
        {"prev_hash": "f" * 64},
        {"hash": "f" * 64},
        {"kind": "capture"},
        {"hold_id": "other"},
        {"legs": [{"account": "earn:thief", "origin": "paid", "amount_micros": 10}]},
        {"lots": [{"origin": "promo", "expires_at_ms": None, "delta_micros": -10}]},
        {"account": BEN},
        {"lane": (lane_of(ADA) + 1) % LANES},
        {"format": 2},
        {"delta_micros": -10.0},
        {"seq": 3.0},
    ],
    ids=lambda fields: f"{next(iter(fields))}-{json.dumps(next(iter(fields.values())))[:12]}",
)
async def test_an_edited_entry_is_named(ledger: LedgerAt, fields: dict[str, Any]) -> None:
    await filled(ledger)
    entry_id = await rewrite(ledger, ADA, 3, **fields)

    error = await broken(ledger)

    assert (error.account_id, error.entry_id) == (ADA, entry_id)


async def test_a_forged_entry_with_its_proper_hash_breaks_the_link_after_it(ledger: LedgerAt) -> None:
    await filled(ledger)
    await reseal(ledger, ADA, 3, facts={"reason": "other"})

    assert (await broken(ledger)).seq == 4


async def test_a_forged_last_entry_is_not_what_the_head_carries(ledger: LedgerAt) -> None:
    await filled(ledger)
    await reseal(ledger, ADA, 5, facts={"reason": "other"})

    assert "head" in (await broken(ledger)).reason


async def test_a_deleted_entry_is_named(ledger: LedgerAt) -> None:
    await filled(ledger)
    entry_id, _ = await document_at(ledger, ADA, 3)
    await ledger.delete_entry(ADA, entry_id)

    assert (await broken(ledger)).seq == 4


async def test_a_deleted_last_entry_is_named(ledger: LedgerAt) -> None:
    await filled(ledger)
    entry_id, _ = await document_at(ledger, ADA, 5)
    await ledger.delete_entry(ADA, entry_id)

    error = await broken(ledger)

    assert error.seq == 5
    assert "missing" in error.reason


@pytest.mark.parametrize("seq", [3, 6, 1_000_000, 0, -1, "3", None])
async def test_an_inserted_entry_is_found(ledger: LedgerAt, seq: object) -> None:
    """Wherever it claims to stand, and if it does not even say."""
    await filled(ledger)
    _, document = await document_at(ledger, ADA, 3)
    inserted = {**document, "seq": seq} if seq is not None else {k: v for k, v in document.items() if k != "seq"}
    await ledger.put_entry(ADA, entry_id_of("inserted"), inserted)

    await broken(ledger)


async def test_swapped_entries_are_named(ledger: LedgerAt) -> None:
    await filled(ledger)
    first, second = await document_at(ledger, ADA, 3), await document_at(ledger, ADA, 4)
    await ledger.put_entry(ADA, first[0], {**first[1], "seq": 4})
    await ledger.put_entry(ADA, second[0], {**second[1], "seq": 3})

    assert (await broken(ledger)).seq == 3


@pytest.mark.parametrize(
    "fields",
    [
        {"seq": 4},
        {"hash": "f" * 64},
        {"balance_micros": 10**9},
        {"balance_micros": 50, "lots": [{"origin": "paid", "expires_at_ms": None, "remaining_micros": 50}]},
        {"lots": [{"origin": "promo", "expires_at_ms": None, "remaining_micros": 45}]},
        {"spent_micros": 0},
        {"lane": (lane_of(ADA) + 1) % LANES},
        {"posted_at": None},
    ],
    ids=lambda fields: next(reversed(fields)),
)
async def test_an_edited_head_is_found(ledger: LedgerAt, fields: dict[str, Any]) -> None:
    await filled(ledger)
    await ledger.edit_head(ADA, **fields)

    assert (await broken(ledger)).account_id == ADA


async def test_entries_whose_head_was_deleted_are_found(ledger: LedgerAt) -> None:
    await filled(ledger)
    await ledger.delete_head(CLARA)

    assert "head" in (await broken(ledger, CLARA)).reason


async def test_a_transfer_without_its_counterpart_is_named(ledger: LedgerAt) -> None:
    await filled(ledger)
    entry_id, _ = await document_at(ledger, ADA, 4)
    await ledger.delete_entry(BEN, entry_id)

    error = await broken(ledger)

    assert (error.seq, error.entry_id) == (4, entry_id)


@pytest.mark.parametrize(
    "fields",
    [
        {"request_hash": "f" * 64},
        {"legs": [{"account": ADA, "origin": "paid", "amount_micros": -19}]},
        {"legs": [{"account": CLARA, "origin": "paid", "amount_micros": -20}]},
        {"kind": "grant"},
    ],
    ids=["request", "amount", "payer", "kind"],
)
async def test_a_transfer_whose_counterpart_says_otherwise_is_named(ledger: LedgerAt, fields: dict[str, Any]) -> None:
    """Both chains may have been forged into shape; the pair still gives it away."""
    await filled(ledger)
    await reseal(ledger, BEN, 3, **fields)

    assert (await broken(ledger)).seq == 4


async def test_a_counterpart_that_was_changed_is_named_from_both_sides(ledger: LedgerAt) -> None:
    """Whoever checks one account alone still learns that the other one's entry is not what was written."""
    await filled(ledger)
    await rewrite(ledger, BEN, 3, facts={"reason": "other"})

    assert "changed after it was written" in (await broken(ledger)).reason


@pytest.mark.parametrize("payee", [BEN, "thief:ben"])
async def test_credits_moved_to_an_account_without_an_entry_are_found(payee: str) -> None:
    """A chain that is whole in itself, and pays a wallet that nobody credited, or what nobody settles."""
    ledger = in_memory()
    await opened(ledger.store, paid=100)
    await engine_on(ledger.store).run(debit(10))
    entry_id, document = await document_at(ledger, ADA, 3)
    changed = {**document, "legs": [{"account": payee, "origin": "paid", "amount_micros": 10}]}
    entry = seal(entry_from(EntryId(entry_id), changed))
    await ledger.put_entry(ADA, entry_id, {**changed, "hash": entry.hash})
    await ledger.edit_head(ADA, hash=entry.hash)

    assert (await broken(ledger)).seq == 3


async def test_a_name_without_anything_of_the_ledger_does_not_end_the_walk() -> None:
    """Firestore lists every name under which there is a document of any kind; anybody who may write can add some."""
    ledger = in_memory()
    await opened(ledger.store, paid=100)
    assert isinstance(ledger.store, MemoryLedgerStore)

    report = await verify_ledger(_WithGhost(ledger.store), {})

    assert (report.intact, report.accounts, report.entries) == (True, 1, 2)


class _WithGhost(MemoryLedgerArchive):
    async def account_ids(self) -> AsyncIterator[AccountId]:
        yield AccountId("user:aaron")
        async for account_id in super().account_ids():
            yield account_id
