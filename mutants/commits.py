"""The safeguards of a commit: what makes a posting happen once, whoever else writes and whatever gets lost."""

from mutants.mutant import Mutant

ENGINE = ("tests/ledger/test_engine.py",)
POSTINGS = ("tests/ledger/test_postings.py",)
STORE = ("tests/ledger/test_store_contract.py",)
CHAIN = ("tests/ledger/test_chain.py", "tests/ledger/test_verify.py")
SIMULATION = ("tests/simulation/test_simulation.py",)
LEDGER = "shared/ledger"

COMMITS = (
    Mutant(
        "heads are written over whatever is there (memory)",
        "head precondition",
        f"{LEDGER}/memory.py",
        "stale = any(self._versions.get(w.head.account_id) != w.expected for w in heads)",
        "stale = False",
        ENGINE,
    ),
    Mutant(
        "heads are written over whatever is there (Firestore)",
        "head precondition",
        f"{LEDGER}/protobuf.py",
        "    updated = message.current_document.update_time\n    updated.seconds, updated.nanos = expected\n",
        "",
        STORE,
        on_stack=True,
    ),
    Mutant(
        "a new head replaces one that is there (Firestore)",
        "head precondition",
        f"{LEDGER}/store.py",
        'protobuf.create(name, document, stamp="posted_at")',
        'protobuf._write(name, document, "posted_at")',
        STORE,
        on_stack=True,
    ),
    Mutant(
        "an entry replaces one that is there (memory)",
        "create-only entry",
        f"{LEDGER}/memory.py",
        " or any(ref in self.entries for ref in refs)",
        "",
        SIMULATION + STORE,
    ),
    Mutant(
        "an entry replaces one that is there (Firestore)",
        "create-only entry",
        f"{LEDGER}/store.py",
        'protobuf.create(name, entry_document(entry), stamp="committed_at")',
        'protobuf._write(name, entry_document(entry), "committed_at")',
        STORE,
        on_stack=True,
    ),
    Mutant(
        "after a failure nobody looks for the entry",
        "ambiguity reread",
        f"{LEDGER}/engine.py",
        "refs = [waiting.ref for waiting in effort.left if waiting.ref]",
        "refs = []",
        ENGINE,
    ),
    Mutant(
        "a lost answer is taken for a refusal",
        "ambiguity reread",
        f"{LEDGER}/engine.py",
        "            if effort.left:\n                await self._recall(lanes, effort)\n",
        "            effort.certain = True\n",
        ENGINE,
    ),
    Mutant(
        "a cached head is enough to refuse by",
        "ambiguity reread",
        f"{LEDGER}/engine.py",
        "    certain: bool = False\n",
        "    certain: bool = True\n",
        ENGINE,
    ),
    Mutant(
        "a commit in doubt is believed lost",
        "doubt",
        f"{LEDGER}/group.py",
        "return unchanged and not any(ref in found for ref in self.entries)",
        "return False",
        ENGINE,
    ),
    Mutant(
        "what is in doubt is refused like the rest",
        "doubt",
        f"{LEDGER}/group.py",
        "step = None if waiting in in_doubt else _step(waiting, heads)",
        "step = _step(waiting, heads)",
        ENGINE,
    ),
    Mutant(
        "a key answers for any request",
        "request hash",
        f"{LEDGER}/operation.py",
        "        if entry.request_hash != self.request_hash:\n            raise KeyReused\n",
        "",
        ENGINE,
    ),
    Mutant(
        "a request is the same whatever its kind and account",
        "request hash",
        f"{LEDGER}/operation.py",
        "[self.kind.value, self.account_id, *self.request_fields()]",
        "[*self.request_fields()]",
        (*POSTINGS, *CHAIN),
    ),
    Mutant(
        "a late capture is another posting than the one in time",
        "request hash",
        f"{LEDGER}/postings.py",
        "return capture_key(self.hold_id)",
        'return capture_key(self.hold_id) + ("late" if self.late else "")',
        (*POSTINGS, *SIMULATION),
    ),
)
