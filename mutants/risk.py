"""The safeguards against thieves: limits that hold, addresses that are not believed, cards and bonuses counted once."""

from mutants.mutant import Mutant

FRAUD = ("tests/payments/test_fraud.py", "tests/payments/test_held_orders.py")
RULES = ("tests/risk/test_rules.py",)
STARTS = ("tests/accounts/test_service.py",)

RISK = (
    Mutant(
        "the first address is believed",
        "client address",
        "shared/risk/rules.py",
        "ipaddress.ip_address(parts[-from_end])",
        "ipaddress.ip_address(parts[0])",
        RULES,
    ),
    Mutant(
        "a short header is read from its other end",
        "client address",
        "shared/risk/rules.py",
        "if len(parts) < from_end:",
        "if not parts:",
        RULES,
    ),
    Mutant(
        "a limit lets one more through",
        "velocity limit",
        "shared/risk/rules.py",
        "if len(counting) < limit.marks_max:",
        "if len(counting) <= limit.marks_max:",
        FRAUD,
    ),
    Mutant(
        "a repeat counts again",
        "velocity limit",
        "shared/risk/rules.py",
        "once.setdefault((mark.sort, mark.name), mark)",
        "once[(mark.sort, mark.name + str(len(once)))] = mark",
        RULES,
    ),
    Mutant(
        "an outage counts on the buyer",
        "velocity limit",
        "shared/payments/service.py",
        "await self._risk.forget_checkout(kept.order.order_id)",
        "pass",
        FRAUD,
    ),
    Mutant(
        "a page takes any number of cards",
        "declines capped",
        "shared/payments/watch.py",
        "if len(seen.declines) >= DECLINES_PER_CHECKOUT_MAX and",
        "if False and",
        FRAUD,
    ),
    Mutant(
        "what is held is granted to the wallet",
        "shared card",
        "shared/payments/posting.py",
        "account_id = order.hold.escrow_id if order.hold else order.wallet_id",
        "account_id = order.wallet_id",
        FRAUD,
    ),
    Mutant(
        "anybody may use a card",
        "shared card",
        "shared/risk/rules.py",
        'return "card_shared" if user not in users[:CARD_USERS_MAX] else None',
        "return None",
        FRAUD,
    ),
    Mutant(
        "a stolen card buys on",
        "shared card",
        "shared/payments/watch.py",
        "await risk.note_fraud(seen.card, cause)",
        "pass",
        FRAUD,
    ),
    Mutant(
        "refunds are not counted",
        "refund policy",
        "shared/risk/rules.py",
        'return Refusal("refunds_per_year", wait_ms) if wait_ms > 0 else None',
        "return None",
        FRAUD,
    ),
    Mutant(
        "a known phone is a new person",
        "one bonus per person",
        "shared/accounts/rules.py",
        "elif others and (kind is None or kind in known):",
        "elif False:",
        STARTS,
    ),
)
