"""Everything that somebody who can write the database might do to it, and the piece that shows it.

The table in the README says the same; `test_the_documentation_says_so` holds the two together.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from local.node import REPOSITORY
from shared.base.ids import AccountId, EntryId, entry_id_of
from shared.base.merkle import leaf_hash, root_of
from shared.ledger.chain import seal
from shared.ledger.documents import entry_document, entry_from, head_document, head_from
from shared.ledger.errors import ChainBroken
from shared.ledger.memory import MemoryLedgerStore
from shared.ledger.models import GENESIS_HASH, Entry, Head, Origin
from shared.ledger.rules import apply_changes
from shared.ledger.verify import verify_ledger
from shared.proof.errors import LogBroken
from shared.proof.log import Epoch
from shared.proof.log_check import STATED_WITHIN_MS, StatementCheck, read_signed
from shared.proof.memory import MemoryLogStore, MemoryVault
from shared.proof.note import Checkpoint, open_checkpoint
from shared.proof.signer import sign_note
from shared.proof.tiles import ENTRIES
from tests.ledger.builders import ADA, BEN, CLARA, debit, engine_on, grant, opened, place, transfer
from tests.proof.builders import KEY, LogAt, in_memory, leaves_of, signer


class Scene:
    """A ledger with a signed log, and a checkpoint that somebody kept elsewhere."""

    def __init__(self, at: LogAt) -> None:
        self.at = at
        self.kept = ""

    @property
    def heads(self) -> dict[AccountId, dict[str, Any]]:
        assert isinstance(self.at.ledger, MemoryLedgerStore)
        return self.at.ledger.heads

    @property
    def entries(self) -> dict[tuple[AccountId, EntryId], dict[str, Any]]:
        assert isinstance(self.at.ledger, MemoryLedgerStore)
        return self.at.ledger.entries

    @property
    def log(self) -> MemoryLogStore:
        assert isinstance(self.at.log, MemoryLogStore)
        return self.at.log

    def ref(self, seq: int, account_id: AccountId = ADA) -> tuple[AccountId, EntryId]:
        return next(ref for ref, entry in self.entries.items() if ref[0] == account_id and entry["seq"] == seq)

    def chain(self, account_id: AccountId = ADA) -> list[Entry]:
        owned = [entry_from(ref[1], document) for ref, document in self.entries.items() if ref[0] == account_id]
        return sorted(owned, key=lambda entry: entry.seq)

    def rewrite(self, account_id: AccountId, chain: list[Entry]) -> None:
        """Put a chain in place of an account's, each entry numbered and sealed anew, and a head that fits it."""
        old = head_from(account_id, self.heads[account_id])
        stamps = {ref: document["committed_at"] for ref, document in self.entries.items()}
        for ref in [ref for ref in self.entries if ref[0] == account_id]:
            del self.entries[ref]
        head = Head(account_id)
        for entry in chain:
            lots = apply_changes(head.lots, entry.lots, may_owe=True)
            sealed = seal(
                replace(
                    entry,
                    seq=head.seq + 1,
                    prev_hash=head.hash if head.seq else GENESIS_HASH,
                    balance_micros=sum(lot.remaining_micros for lot in lots),
                )
            )
            committed_at = stamps[account_id, entry.entry_id]
            self.entries[account_id, entry.entry_id] = {**entry_document(sealed), "committed_at": committed_at}
            spent = -entry.delta_micros if entry.kind in ("debit", "capture") else 0
            head = replace(head, seq=sealed.seq, hash=sealed.hash, lots=lots, spent_micros=head.spent_micros + spent)
        posted_at = self.heads[account_id]["posted_at"]
        self.heads[account_id] = {**head_document(replace(head, holds=old.holds)), "posted_at": posted_at}


async def scene() -> Scene:
    """ADA: open, grant, debit, debit, transfer to BEN, debit; checkpoints after some of it and after all."""
    found = Scene(in_memory())
    at = found.at
    await opened(at.ledger, paid=100, accounts=(ADA, BEN))
    engine = engine_on(at.ledger)
    await engine.run(debit(10, "first"))
    await at.checkpoints().run()
    found.kept = (await at.log.state()).state.note
    at.clock.now_ms += 60_000
    for operation in (debit(11, "second"), transfer(20), debit(12, "third")):
        await engine.run(operation)
    await at.checkpoints().run()
    return found


async def findings(found: Scene, *, note: str | None = None) -> list[str]:
    """What `verify ledger --key` says: the pieces that fail."""
    try:
        signed = await read_signed(found.log, open_checkpoint(note or (await found.log.state()).state.note, KEY))
    except LogBroken as error:
        return [str(error)]
    checks = [StatementCheck.against(signed)]
    report = await verify_ledger(found.at.archive, {}, checks=checks)
    told = [error.reason for error in report.broken]
    return told + ([f"drift of {report.drift_micros}"] if report.drift_micros else [])


def edit(field: str, value: object) -> Callable[[Scene], None]:
    def change(found: Scene) -> None:
        found.entries[found.ref(3)][field] = value

    return change


def delete(*seqs: int) -> Callable[[Scene], None]:
    def change(found: Scene) -> None:
        for ref in [found.ref(seq) for seq in seqs]:
            del found.entries[ref]

    return change


def swap(found: Scene) -> None:
    one, other = found.ref(3), found.ref(4)
    found.entries[one]["seq"], found.entries[other]["seq"] = 4, 3


def insert(found: Scene) -> None:
    found.entries[ADA, entry_id_of("inserted")] = dict(found.entries[found.ref(3)])


def insert_unnumbered(found: Scene) -> None:
    document = {name: value for name, value in found.entries[found.ref(3)].items() if name != "seq"}
    found.entries[ADA, entry_id_of("inserted")] = document


def richer_head(found: Scene) -> None:
    lots = [{**lot, "remaining_micros": lot["remaining_micros"] + 5} for lot in found.heads[ADA]["lots"]]
    found.heads[ADA] |= {"lots": lots, "balance_micros": found.heads[ADA]["balance_micros"] + 5}


def one_side_of_a_transfer(found: Scene) -> None:
    found.rewrite(BEN, [entry for entry in found.chain(BEN) if entry.kind != "transfer"])


def truncate_with_its_head(found: Scene) -> None:
    found.rewrite(ADA, found.chain()[:-1])


def rewrite_consistently(found: Scene) -> None:
    chain = found.chain()
    cheaper = replace(
        chain[2],
        delta_micros=-1,
        lots=(replace(chain[2].lots[0], delta_micros=-1),),
        legs=(replace(chain[2].legs[0], amount_micros=1),),
    )
    found.rewrite(ADA, [*chain[:2], cheaper, *chain[3:]])


def other_origin(found: Scene) -> None:
    """Promotional credits that became paid ones could be paid out; here the other way round, the legs as they were."""
    chain = found.chain()
    changed = [replace(entry, lots=tuple(replace(lot, origin=Origin.PROMO) for lot in entry.lots)) for entry in chain]
    found.rewrite(ADA, changed)


def remove_an_account(found: Scene) -> None:
    found.rewrite(BEN, [entry for entry in found.chain(BEN) if entry.kind == "none"])
    del found.heads[BEN]
    for ref in [ref for ref in found.entries if ref[0] == BEN]:
        del found.entries[ref]


def remove_an_account_and_its_statements(found: Scene) -> None:
    remove_an_account(found)
    found.log.heads.pop(BEN)
    for key in [key for key in found.log.stated if key[0] == BEN]:
        del found.log.stated[key]


def restate(found: Scene) -> None:
    """Rewrite the account and what was stated of it."""
    rewrite_consistently(found)
    head = head_from(ADA, found.heads[ADA])
    key = max(key for key in found.log.stated if key[0] == ADA)
    found.log.stated[key] |= {"hash": head.hash, "balance_micros": head.balance_micros}


def state_beside(found: Scene) -> None:
    """Rewrite the account and leave all that was stated of it, but put statements beside that fit it now."""
    rewrite_consistently(found)
    for number, ((_, seq), fields) in enumerate([item for item in found.log.stated.items() if item[0][0] == ADA]):
        entry = found.chain()[seq - 1]
        beside = {"hash": entry.hash, "balance_micros": entry.balance_micros, "leaf_index": -1 - number}
        found.log.stated[ADA, -seq] = fields | beside


TAMPERINGS: dict[str, tuple[Callable[[Scene], None], str]] = {
    **{
        f"edits an entry's {field} into {value!r}": (edit(field, value), piece)
        for field, value, piece in (
            ("delta_micros", -9, "its hash differs"),
            ("balance_micros", 91, "its hash differs"),
            ("facts", {"reason": "other"}, "its hash differs"),
            ("at_ms", 7, "its hash differs"),
            ("kind", "capture", "its hash differs"),
            ("hash", "f" * 64, "was changed after it was written"),
            ("prev_hash", "f" * 64, "does not link"),
            ("request_hash", "f" * 64, "its hash differs"),
            ("hold_id", "other", "its hash differs"),
            ("hold_id", "-", "no hold is named like this"),
            ("hold_id", "", "no hold is named like this"),
            ("payees", ["earn:thief"], "names other payees"),
            ("account", BEN, "belongs to another account"),
            ("lane", 63, "another lane"),
            ("committed_at", None, "no time of commit"),
        )
    },
    "deletes the first entry": (delete(1), "one is missing"),
    "deletes a middle entry": (delete(3), "one is missing"),
    "deletes the last entry": (delete(6), "is missing"),
    "swaps two entries": (swap, "does not link"),
    "inserts an entry": (insert, "follows|hash|is missing|doubled"),
    "inserts an entry without a number": (insert_unnumbered, "7 entry documents and 6 entries"),
    "writes a richer head": (richer_head, "not what the entries fold to"),
    "removes one side of a transfer": (one_side_of_a_transfer, "no counterpart|signed"),
    "cuts entries off and sets the head back": (truncate_with_its_head, "was signed and is gone"),
    "rewrites an account consistently": (rewrite_consistently, "was rewritten"),
    "changes the origin of credits": (other_origin, "turns credits of one origin"),
    "removes a whole account": (remove_an_account, "no counterpart|was signed and is gone"),
    "removes an account and all statements about it": (remove_an_account_and_its_statements, "is not kept"),
    "rewrites an account and what was stated of it": (restate, "and was changed"),
    "rewrites an account and adds statements that were never logged": (state_beside, "or never logged"),
}


async def test_an_untouched_ledger_shows_nothing() -> None:
    """Against the last checkpoint, and against one that was kept from before."""
    found = await scene()

    assert await findings(found) == []
    assert await findings(found, note=found.kept) == []


@pytest.mark.parametrize("name", TAMPERINGS)
async def test_tampering_with_the_ledger_is_found(name: str) -> None:
    tamper, piece = TAMPERINGS[name]
    found = await scene()
    tamper(found)

    told = await findings(found)

    assert any(any(part in reason for part in piece.split("|")) for reason in told), told


async def test_a_rewritten_account_that_was_stated_anew_is_found() -> None:
    """Without the last statement about it an account is news, so what it was rewritten to is signed once more."""
    found = await scene()
    await opened(found.at.ledger, paid=50, accounts=(CLARA,))
    await found.at.checkpoints().run()
    grant_of_clara = found.chain(CLARA)[1]
    found.rewrite(CLARA, [found.chain(CLARA)[0], replace(grant_of_clara, facts=(("reason", "other"),))])
    del found.log.heads[CLARA]
    # Not under its own name, which the new statement will take, but kept: every leaf has its document.
    kept = found.log.stated.pop((CLARA, 2))
    found.log.stated = {(CLARA, -2): kept, **found.log.stated}

    report = await found.at.checkpoints().run()

    assert (report.refused, report.heads) == (None, 1)
    assert "two different things were signed" in (await findings(found))[0]


async def test_an_account_that_is_kept_out_of_the_log_is_found() -> None:
    """Its head says after each posting that it is of long ago, so no run states it, and it could be rewritten."""
    found = await scene()
    found.at.clock.now_ms += 60_000
    await found.at.checkpoints().run()
    await engine_on(found.at.ledger).run(debit(5, "hidden"))
    found.heads[ADA]["posted_at"] = datetime(2020, 1, 1, tzinfo=UTC)
    for _ in range(3):
        found.at.clock.now_ms += STATED_WITHIN_MS // 2
        assert (await found.at.checkpoints().run()).heads == 0

    assert "was not signed long after" in (await findings(found))[0]


async def test_an_account_that_waits_for_its_statement_is_not_accused() -> None:
    found = await scene()
    found.at.clock.now_ms += 60_000
    await found.at.checkpoints().run()
    await engine_on(found.at.ledger).run(debit(5, "new"))
    found.heads[ADA]["posted_at"] = datetime(2020, 1, 1, tzinfo=UTC)
    found.at.clock.now_ms += STATED_WITHIN_MS
    await found.at.checkpoints().run()

    assert await findings(found) == []


async def test_a_forged_epoch_sum_is_not_what_was_signed() -> None:
    """Whoever writes another sum into the log has another root; who has the key as well must still balance."""
    found = await scene()
    state = (await found.log.state()).state
    leaves = await leaves_of(found.log, state.size)
    record = Epoch.read(leaves[-1])
    assert record is not None
    forged = [*leaves[:-1], replace(record, balance_micros=record.balance_micros + 5).leaf]
    found.log.tile_bytes[ENTRIES, 0] = b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in forged)

    assert "do not lead to the root" in (await findings(found))[0]
    root = Checkpoint(state_origin(), len(forged), _root(forged))
    note = await sign_note(root.text, signer())
    assert "does not balance" in (await findings(found, note=note))[0]


def state_origin() -> str:
    return signer().verifier_key.name


def _root(leaves: list[bytes]) -> bytes:
    return root_of([leaf_hash(leaf) for leaf in leaves])


async def test_minting_is_not_signed() -> None:
    """Credits written onto a head, with an entry or without one, make an epoch that does not balance."""
    found = await scene()
    richer_head(found)

    report = await found.at.checkpoints().run()

    assert report.refused == "epoch_unbalanced"


async def test_a_fork_shows_against_a_checkpoint_that_somebody_kept() -> None:
    """A log that was thrown away and begun anew signs well and does not hold what was signed before."""
    found = await scene()
    found.at.log, found.at.vault = MemoryLogStore(), MemoryVault()
    found.at.clock.now_ms += 60_000
    await found.at.checkpoints().run()
    await engine_on(found.at.ledger).run(grant(1, "more"))
    await found.at.checkpoints().run()

    assert await findings(found) == []
    assert "do not lead to the root" in (await findings(found, note=found.kept))[0]


async def test_an_old_checkpoint_put_back_is_refused_by_the_vault() -> None:
    """The log and its state set back together; what was published stands in storage that is locked."""
    found = await scene()
    before = dict(found.log.tile_bytes), dict(found.log.state_fields or {}), dict(found.log.stated)
    await engine_on(found.at.ledger).run(place(1))
    await engine_on(found.at.ledger).run(debit(1, "hidden"))
    found.at.clock.now_ms += 60_000
    await found.at.checkpoints().run()
    found.log.tile_bytes, found.log.state_fields, found.log.stated = before

    report = await found.at.checkpoints().run()

    assert report.refused == "log_broken"


async def test_what_was_never_signed_can_still_be_rewritten() -> None:
    """The honest limit: between two checkpoints, about a minute, only a user's own receipt is a witness."""
    found = await scene()
    await engine_on(found.at.ledger).run(debit(5, "new"))
    found.rewrite(ADA, found.chain()[:-1])

    assert await findings(found) == []


async def test_a_purchase_that_was_never_made_looks_like_any_other() -> None:
    """The honest limit: its sides cancel, its chain holds, it is signed; only the payment provider knows better."""
    found = await scene()
    await engine_on(found.at.ledger).run(grant(10**9, "forged"))

    assert (await found.at.checkpoints().run()).refused is None
    assert await findings(found) == []


async def test_a_check_that_sees_a_broken_chain_says_where() -> None:
    """A statement that no entry bears is the chain's fault where the chain has one."""
    found = await scene()
    edit("delta_micros", -9)(found)

    with pytest.raises(ChainBroken):
        raise (await verify_ledger(found.at.archive, {})).broken[0]


def test_the_documentation_says_so() -> None:
    """Nothing is claimed there that is not shown here."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for claim in (
        "edits, deletes, inserts or reorders",
        "rewrites a whole account",
        "sets its head back",
        "puts an old",
        "that was never made",
    ):
        assert claim in text
