"""The safeguards of payouts: what keeps money from leaving twice, too early, or for what nobody paid for."""

from mutants.mutant import Mutant

TESTS = tuple(f"tests/payouts/test_{name}.py" for name in ("payouts", "obstacles", "deaths"))

PAYOUTS = (
    Mutant(
        "a transfer is not looked for before it is made",
        "sent once",
        "shared/payouts/sending.py",
        "await self._sender.find(payout) or await self._sender.send(payout)",
        "await self._sender.send(payout)",
        TESTS,
    ),
    Mutant(
        "a first payout needs nobody",
        "first payout reviewed",
        "shared/payouts/rules.py",
        "if payout.is_first and payout.approved_by is None:",
        "if False:",
        TESTS,
    ),
    Mutant(
        "a change of bank details has no cooldown",
        "cooldown",
        "shared/payouts/rules.py",
        "if at_ms < recipient.bank_changed_at_ms + waits.cooldown_ms:",
        "if False:",
        TESTS,
    ),
    Mutant(
        "who owes is paid",
        "negative balances block",
        "shared/payouts/rules.py",
        "if standing.wallet_micros < 0 or standing.earned_micros < 0:",
        "if False:",
        TESTS,
    ),
    Mutant(
        "an open dispute blocks nothing",
        "disputes block",
        "shared/payouts/rules.py",
        "if standing.is_disputed:",
        "if False:",
        TESTS,
    ),
    Mutant(
        "promotional earnings are taken",
        "paid earnings only",
        "shared/ledger/payable.py",
        "paid = [lot for lot in head.lots if lot.origin is Origin.PAID]",
        "paid = list(head.lots)",
        ("tests/ledger/test_payable.py",),
    ),
)
