"""The safeguards of credits: what keeps them from being spent twice, made, lost or sent where they may not go."""

from mutants.mutant import Mutant

POSTINGS = ("tests/ledger/test_postings.py",)
RULES = ("tests/ledger/test_rules.py", "tests/ledger/test_rules_bounds.py", "tests/ledger/test_rules_sending.py")
HOLDS = ("tests/ledger/test_holds.py", "tests/ledger/test_engine.py")
LEDGER = "shared/ledger"

CREDITS = (
    Mutant(
        "held credits can be spent",
        "hold sum",
        f"{LEDGER}/rules.py",
        "return max(0, alive_micros(head, at_ms) - held_micros(head, at_ms))",
        "return max(0, alive_micros(head, at_ms))",
        RULES,
    ),
    Mutant(
        "a capture takes more than was held",
        "hold sum",
        f"{LEDGER}/rules.py",
        "if amount_micros > hold.amount_micros:",
        "if False:",
        RULES,
    ),
    Mutant(
        "a captured hold stays on the head",
        "a hold resolves once",
        f"{LEDGER}/rules.py",
        "return replace(head, holds=holds), hold",
        "return head, hold",
        RULES,
    ),
    Mutant(
        "a hold is let go after its capture",
        "a hold resolves once",
        f"{LEDGER}/holds.py",
        "        if (self.account_id, self.entry_id) in entries:\n            raise HoldAbsent\n",
        "",
        HOLDS,
    ),
    Mutant(
        "a hold that is there is placed over",
        "a hold resolves once",
        f"{LEDGER}/holds.py",
        "if self.hold.hold_id in head.holds:",
        "if False:",
        HOLDS,
    ),
    Mutant(
        "any number of holds is open at once",
        "open-hold cap",
        f"{LEDGER}/rules.py",
        "if len(holds) >= limits.open_max:",
        "if False:",
        RULES,
    ),
    Mutant(
        "holds are placed at any rate",
        "rate window",
        f"{LEDGER}/rules.py",
        "if window.count >= limits.per_window_max:",
        "if False:",
        RULES,
    ),
    Mutant(
        "the residue of a split is lost",
        "split remainder",
        "shared/base/micros.py",
        "parts[index] += 1",
        "parts[index] += 0",
        RULES,
    ),
    Mutant(
        "a lot falls below zero",
        "lots",
        f"{LEDGER}/rules.py",
        "if amount < 0 and amount < had.get(key, 0) and not (may_owe and key[1] is None):",
        "if False:",
        RULES,
    ),
    Mutant(
        "expired credits are spent",
        "lots",
        f"{LEDGER}/rules.py",
        "return expires_at_ms is None or expires_at_ms > at_ms",
        "return True",
        RULES,
    ),
    Mutant(
        "a leg pays an account that settlement never reaches",
        "payee class",
        f"{LEDGER}/rules.py",
        "if account_class(account_id) not in DEFERRED_CLASSES:",
        "if False:",
        RULES,
    ),
    Mutant(
        "a transfer writes the payer's entry alone",
        "two-sided transfer",
        f"{LEDGER}/postings.py",
        "sent.entries + received.entries, sent.result",
        "sent.entries, sent.result",
        POSTINGS,
    ),
    Mutant(
        "promotional credits are sent to others",
        "sending",
        f"{LEDGER}/postings.py",
        "taken = rules.consume(paid, self.amount_micros, valid_at_ms=self.at_ms)",
        "taken = rules.consume(payer.lots, self.amount_micros, valid_at_ms=self.at_ms)",
        POSTINGS,
    ),
    Mutant(
        "any amount is sent in a day",
        "sending",
        f"{LEDGER}/rules.py",
        "if sent_micros + amount_micros > limits.per_day_micros_max:",
        "if False:",
        RULES,
    ),
    Mutant(
        "a frozen account spends",
        "standing",
        f"{LEDGER}/rules.py",
        "if head.status is not Status.OPEN:",
        "if False:",
        RULES,
    ),
    Mutant(
        "an account closes with holds open",
        "standing",
        f"{LEDGER}/standing.py",
        "if rules.live_holds(head.holds, at_ms):",
        "if False:",
        ("tests/ledger/test_standing.py",),
    ),
)
