"""The safeguards of proofs: what settlement, the chain, the audit, the log and receipts stand on."""

from mutants.mutant import Mutant

CHAIN = ("tests/ledger/test_chain.py", "tests/ledger/test_verify.py")
SETTLEMENT = (
    "tests/ledger/test_settlement.py",
    "tests/ledger/test_settlement_checks.py",
    "tests/ledger/test_earnings.py",
)
AUDIT = ("tests/ledger/test_audit.py",)
CHECKPOINT = ("tests/proof/test_checkpoint.py",)
LOG_STORE = ("tests/proof/test_store_contract.py",)
RECEIPT = ("tests/proof/test_receipt.py", "tests/base/test_merkle.py")
LEDGER = "shared/ledger"
PROOF = "shared/proof"

SETTLING = (
    Mutant(
        "a window is settled as soon as it ends",
        "window margin",
        f"{LEDGER}/settlement.py",
        "closed_at = horizons.read_at - MARGIN",
        "closed_at = horizons.read_at",
        SETTLEMENT,
    ),
    Mutant(
        "the horizon moves before the postings stand",
        "settlement order",
        f"{LEDGER}/settlement.py",
        "            report = _added(report, await self._settle(window))\n",
        "            await self._windows.put_horizon(band, window.ends_at)\n"
        "            report = _added(report, await self._settle(window))\n",
        SETTLEMENT,
    ),
    Mutant(
        "a settlement is not compared with what it folds",
        "settlement proof",
        f"{LEDGER}/fold_check.py",
        "elif settled is not None and not _is_settled_by(window, folded, settled):",
        "elif False:",
        SETTLEMENT,
    ),
    Mutant(
        "legs count as unsettled although they were posted",
        "epoch sum",
        f"{LEDGER}/unsettled.py",
        " if ref not in settled for amounts in listed]",
        " for amounts in listed]",
        SETTLEMENT,
    ),
)


PROOFS = (
    Mutant(
        "an entry's hash leaves out the one before it",
        "hash link",
        f"{LEDGER}/chain.py",
        'raw = f"{_LINK_PREV}{prev_hash}{_LINK_CONTENT}{content_hash},".encode()',
        'raw = f"{_LINK_PREV}{_LINK_CONTENT}{content_hash},".encode()',
        CHAIN,
    ),
    Mutant(
        "a walk does not look at the link",
        "hash link",
        f"{LEDGER}/chain.py",
        "if entry.prev_hash != self.hash:",
        "if False:",
        CHAIN,
    ),
    Mutant(
        "a walk does not hash what it reads",
        "hash link",
        f"{LEDGER}/chain.py",
        "if entry.hash != hash_entry(entry):",
        "if False:",
        CHAIN,
    ),
    Mutant(
        "a walk passes credits from nowhere",
        "conservation",
        f"{LEDGER}/chain.py",
        "if legs_micros != -entry.delta_micros:",
        "if False:",
        CHAIN,
    ),
    Mutant(
        "a transfer's other side may be of another request",
        "counterpart",
        f"{LEDGER}/legs.py",
        "(other.request_hash == entry.request_hash,",
        "(True,",
        CHAIN,
    ),
    Mutant(
        "the audit's cursor runs up to the present",
        "cursor margin",
        f"{LEDGER}/audit.py",
        "stamp.posted_at <= read_at - CURSOR_MARGIN",
        "stamp.posted_at <= read_at",
        AUDIT,
    ),
    Mutant(
        "the audit believes its own mark",
        "audit mark",
        f"{LEDGER}/verify.py",
        "if (entry.seq, entry.hash, hash_entry(entry)) != (walk.seq, walk.hash, walk.hash):",
        "if False:",
        AUDIT,
    ),
    Mutant(
        "books that do not balance are signed",
        "epoch sum",
        f"{PROOF}/checkpoint.py",
        "if totals.drift_micros:",
        "if False:",
        CHECKPOINT,
    ),
    Mutant(
        "two appends start from the same log (memory)",
        "log precondition",
        f"{PROOF}/memory.py",
        "if expected != (None if self.state_fields is None else StateVersion(self._commits)):",
        "if False:",
        CHECKPOINT,
    ),
    Mutant(
        "two appends start from the same log (Firestore)",
        "log precondition",
        f"{PROOF}/store.py",
        "batch.update(self._state(), state_document(append.state), option=option)",
        "batch.set(self._state(), state_document(append.state))",
        LOG_STORE,
        on_stack=True,
    ),
    Mutant(
        "a log shorter than what was published goes on",
        "published checkpoints",
        f"{PROOF}/checkpoint.py",
        "if published and published.size > state.size:",
        "if False:",
        CHECKPOINT,
    ),
    Mutant(
        "a note passes whoever signed it",
        "note signature",
        f"{PROOF}/note.py",
        "_require(key.verifies(note.text.encode(), line.signature),",
        "_require(True,",
        ("tests/proof/test_note.py",),
    ),
    Mutant(
        "a receipt's links lead anywhere",
        "receipt links",
        f"{PROOF}/receipt.py",
        'if _piece("links", lambda: follow_links(entry.hash, proof.links)) != stated.hash:',
        "if False:",
        RECEIPT,
    ),
    Mutant(
        "a receipt's leaf need not be in the log",
        "inclusion proof",
        f"{PROOF}/receipt.py",
        '    _piece("inclusion", lambda: _check_inclusion(proof, checkpoint))\n',
        "",
        RECEIPT,
    ),
    Mutant(
        "a Merkle proof leads to any root",
        "inclusion proof",
        "shared/base/merkle.py",
        '_require(hashed == root, "it leads to another root")',
        "_require(True, '')",
        RECEIPT,
    ),
)
