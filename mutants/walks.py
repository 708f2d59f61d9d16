"""The safeguards of those who check a ledger: what walks, folds and the audit look at, one by one."""

from mutants.mutant import Mutant, granted, unasked

LEDGER = "shared/ledger"
CHAIN, VERIFY = ("tests/ledger/test_chain.py",), ("tests/ledger/test_verify.py",)
SETTLEMENT = ("tests/ledger/test_settlement.py", "tests/ledger/test_settlement_checks.py")
STANDING = ("tests/ledger/test_standing.py",)
AUDIT = ("tests/ledger/test_audit.py",)
POOLS = ("tests/ledger/test_pooling.py",)

WALKS = (
    unasked("a walk passes a gift made paid", "conservation", f"{LEDGER}/chain.py", "paid_micros", CHAIN),
    unasked("a walk passes a missing number", "entry chain", f"{LEDGER}/chain.py", "entry.seq != self.seq + 1", CHAIN),
    unasked(
        "a walk passes another account's entry",
        "entry chain",
        f"{LEDGER}/chain.py",
        "entry.account_id != self.account_id",
        CHAIN,
    ),
    unasked(
        "an account opens twice",
        "entry chain",
        f"{LEDGER}/chain.py",
        "(entry.kind is _OPEN) != (entry.seq == 1)",
        CHAIN,
    ),
    unasked(
        "a delta is not its lots'", "entry chain", f"{LEDGER}/chain.py", "lots_micros != entry.delta_micros", CHAIN
    ),
    unasked(
        "a wrong balance is stated",
        "entry chain",
        f"{LEDGER}/chain.py",
        "entry.balance_micros != balance_micros",
        CHAIN,
    ),
    granted("a head says any number", "chain's fold", f"{LEDGER}/chain.py", "head.seq == self.seq", CHAIN),
    granted("a head carries any hash", "chain's fold", f"{LEDGER}/chain.py", "head.hash == self.hash", CHAIN),
    granted("a head has any lots", "chain's fold", f"{LEDGER}/chain.py", "head.lots == self.lots", CHAIN),
    granted(
        "a head says any usage", "chain's fold", f"{LEDGER}/chain.py", "head.spent_micros == self.spent_micros", CHAIN
    ),
    granted(
        "a head says any status",
        "chain's fold",
        f"{LEDGER}/chain.py",
        "head.status is self.status",
        STANDING,
    ),
    unasked("documents in no walk are passed over", "entry count", f"{LEDGER}/verify.py", "count != head.seq", VERIFY),
    unasked(
        "a head in no lane is passed over",
        "lanes and payees",
        f"{LEDGER}/verify.py",
        'document.get("lane") != lane_of(account_id) or not isinstance(document.get("posted_at"), datetime)',
        VERIFY,
    ),
    granted(
        "an entry is in any lane",
        "lanes and payees",
        f"{LEDGER}/verify.py",
        'document.get("lane") == lane_of(account_id)',
        VERIFY,
    ),
    granted(
        "an entry names any payees",
        "lanes and payees",
        f"{LEDGER}/verify.py",
        'document.get("payees") == payees_of(entry)',
        ("tests/proof/test_tampering.py",),
    ),
    Mutant(
        "a name that is no account ends the walk",
        "walk of all accounts",
        f"{LEDGER}/verify.py",
        "    except AccountAbsent:\n        return None\n",
        "",
        VERIFY,
    ),
    unasked(
        "credits go to an account of no class",
        "counterpart",
        f"{LEDGER}/legs.py",
        "any(account_class(leg.account_id) not in KNOWN_CLASSES for leg in entry.legs)",
        VERIFY,
    ),
    unasked(
        "any kind moves credits between wallets",
        "counterpart",
        f"{LEDGER}/legs.py",
        "entry.kind not in PAIRED_KINDS",
        VERIFY,
    ),
    unasked("a transfer has one side", "counterpart", f"{LEDGER}/legs.py", "ref not in counterparts", VERIFY),
    granted(
        "a transfer's other side moves any amount",
        "counterpart",
        f"{LEDGER}/legs.py",
        "set(theirs) == mirrored and len(theirs) == len(mirrored)",
        VERIFY,
    ),
    granted(
        "a transfer's other side was changed",
        "counterpart",
        f"{LEDGER}/legs.py",
        "other.hash == hash_entry(other)",
        VERIFY,
    ),
    unasked(
        "a settled window misses its entry",
        "settlement proof",
        f"{LEDGER}/fold_check.py",
        "settled is None and self._is_settled(window)",
        SETTLEMENT,
    ),
    Mutant(
        "a settlement of nothing is passed over",
        "settlement proof",
        f"{LEDGER}/fold_check.py",
        "for entry in posted.values()]",
        "for entry in ()]",
        SETTLEMENT,
    ),
    unasked(
        "a settlement has any id",
        "settlement proof",
        f"{LEDGER}/fold_check.py",
        "entry.entry_id != settle_id(window)",
        SETTLEMENT,
    ),
    unasked(
        "a pool's entry moves anybody's credits",
        "whose credits",
        f"{LEDGER}/share_check.py",
        "{kind: micros for kind, micros in moved.items() if micros} != stated",
        POOLS,
    ),
    unasked("a member gives more than they had", "whose credits", f"{LEDGER}/share_check.py", "left < 0", POOLS),
    unasked(
        "a pool's book says anything",
        "whose credits",
        f"{LEDGER}/share_check.py",
        "stated != _without_empty(self._lots)",
        POOLS,
    ),
    unasked("a deleted head is passed over", "audit", f"{LEDGER}/audit.py", "start.seq or count", AUDIT),
    unasked("a chain cut back is passed over", "audit", f"{LEDGER}/audit.py", "head.seq < start.seq", AUDIT),
    unasked("a forged mark is believed", "audit mark", f"{LEDGER}/audit.py", "mark_of(walk) != mark", AUDIT),
    Mutant(
        "the audit's cursor lies ahead",
        "cursor ahead",
        f"{LEDGER}/audit.py",
        " if not stamp.lies_ahead(at_ms)}",
        "}",
        AUDIT,
    ),
)
