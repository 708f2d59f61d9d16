"""The safeguards of those who check what was signed: the log, receipts, and an export of both, one by one."""

from mutants.mutant import Mutant, granted, unasked

PROOF = "shared/proof"
TAMPERING = ("tests/proof/test_tampering.py",)
CHECKPOINT = ("tests/proof/test_checkpoint.py",)
BOOKS, NOTE, RECEIPT = ("tests/proof/test_books.py",), ("tests/proof/test_note.py",), ("tests/proof/test_receipt.py",)

LOGS = (
    unasked(
        "the log's cursor lies ahead",
        "cursor ahead",
        f"{PROOF}/checkpoint.py",
        "any(stamp.lies_ahead(at_ms) for stamp in state.cursors.values())",
        CHECKPOINT,
    ),
    unasked(
        "the vault has another checkpoint",
        "published checkpoints",
        f"{PROOF}/checkpoint.py",
        "published and published.size == state.size and published.note != state.note",
        CHECKPOINT,
    ),
    unasked("tiles lead anywhere", "log's edge", f"{PROOF}/log.py", "root.hex() != state.root", CHECKPOINT),
    unasked(
        "the log is not what was signed",
        "log's edge",
        f"{PROOF}/log.py",
        "(note.size, note.root) != (state.size, root)",
        CHECKPOINT,
    ),
    unasked(
        "the log ends with any leaf",
        "log's edge",
        f"{PROOF}/log.py",
        "record is None or record.epoch != state.epoch",
        CHECKPOINT,
    ),
    unasked(
        "an account was rewritten after it was signed",
        "signed statements",
        f"{PROOF}/log_check.py",
        "statement is not None and (statement.hash, statement.balance_micros) != (entry.hash, entry.balance_micros)",
        TAMPERING,
    ),
    unasked(
        "an account is kept out of the log",
        "signed statements",
        f"{PROOF}/log_check.py",
        "entry.seq > self.stated.get(entry.account_id, 0)",
        TAMPERING,
    ),
    Mutant(
        "an account that was cut back is passed over",
        "signed statements",
        f"{PROOF}/log_check.py",
        "missing = dict(sorted(self.statements))",
        "missing = dict[AccountId, int]()",
        TAMPERING,
    ),
    unasked(
        "a statement was never logged",
        "signed statements",
        f"{PROOF}/log_check.py",
        "index < 0 or said.leaf != leaves[index]",
        TAMPERING,
    ),
    unasked(
        "an account is stated twice and differently",
        "signed statements",
        f"{PROOF}/log_check.py",
        "(other.hash, other.balance_micros) != (said.hash, said.balance_micros)",
        TAMPERING,
    ),
    unasked(
        "a leaf is no statement that is kept", "signed statements", f"{PROOF}/log_check.py", "about_accounts", TAMPERING
    ),
    unasked(
        "leaves lead to any root",
        "signed statements",
        f"{PROOF}/log_check.py",
        "root_of([leaf_hash(leaf) for leaf in leaves]) != checkpoint.root",
        TAMPERING,
    ),
    granted(
        "a signed epoch does not balance",
        "signed statements",
        f"{PROOF}/log_check.py",
        "record.balance_micros + record.unsettled_micros == 0",
        TAMPERING,
    ),
    unasked(
        "a receipt's summary says anything",
        "receipt",
        f"{PROOF}/receipt.py",
        '_piece("summary", lambda: write_receipt(entry, receipt.proof, receipt.proof_missing)) != receipt',
        RECEIPT,
    ),
    unasked(
        "a receipt carries words of nobody's",
        "receipt",
        f"{PROOF}/receipt.py",
        "receipt.proof_missing is not None",
        RECEIPT,
    ),
    unasked(
        "a receipt's statement is of any account",
        "receipt",
        f"{PROOF}/receipt.py",
        "stated.account != entry.account_id",
        RECEIPT,
    ),
    unasked(
        "a receipt's statement has any balance",
        "receipt",
        f"{PROOF}/receipt.py",
        "not proof.links and stated.balance_micros != entry.balance_micros",
        RECEIPT,
    ),
    Mutant(
        "a checkpoint is of any log",
        "note signature",
        f"{PROOF}/note.py",
        "_require(checkpoint.origin == key.name,",
        "_require(True,",
        NOTE,
    ),
    Mutant(
        "Base64 is written in any way",
        "one way of writing",
        f"{PROOF}/note.py",
        "_require(base64.b64encode(decoded).decode() == encoded,",
        "_require(True,",
        NOTE,
    ),
    unasked("a line of an export stands twice", "one way of reading", "credence/books.py", "key in known", BOOKS),
    unasked(
        "an export leaves accounts out",
        "one way of reading",
        "credence/books.py",
        '_as(int, said["accounts"]) != len(archive.documents)',
        BOOKS,
    ),
    unasked("an export goes on after its end", "one way of reading", "credence/books.py", "whole", BOOKS),
)
