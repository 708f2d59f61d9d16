"""The safeguards of purchases: what keeps one payment from being granted twice, wrongly, or not at all."""

from mutants.mutant import Mutant
from mutants.paypal import PAYPAL

MATRIX = ("tests/payments/test_matrix.py",)
REFUNDS = ("tests/payments/test_refunds.py",)
EVENTS = ("tests/payments/test_stripe_events.py",)
REVERSALS = ("tests/ledger/test_reversals.py",)

PAYMENTS = (
    Mutant(
        "a signature is not compared",
        "signed events",
        "shared/payments/stripe/events.py",
        "if not _is_signed(raw, time, signatures, self._secrets):",
        "if False:",
        EVENTS,
    ),
    Mutant(
        "events of the future are taken",
        "signed events",
        "shared/payments/stripe/events.py",
        "abs(now_ms - int(time) * 1000)",
        "(now_ms - int(time) * 1000)",
        EVENTS,
    ),
    Mutant(
        "an empty secret is one",
        "signed events",
        "shared/payments/stripe/events.py",
        "if not all(parts) or len",
        "if len",
        EVENTS,
    ),
    Mutant(
        "any amount will do",
        "frozen price",
        "shared/payments/rules.py",
        "if seen.money.amount_minor != order.money.amount_minor:",
        "if False:",
        MATRIX,
    ),
    Mutant(
        "any currency will do",
        "frozen price",
        "shared/payments/rules.py",
        "if seen.money is None or seen.money.currency != order.money.currency:",
        "if seen.money is None:",
        MATRIX,
    ),
    Mutant(
        "an unknown status passes unseen",
        "review",
        "shared/payments/rules.py",
        "if seen.status is PaymentStatus.UNKNOWN:",
        "if False:",
        MATRIX,
    ),
    Mutant(
        "an order can be paid a second time",
        "one payment for an order",
        "shared/payments/rules.py",
        "if order.payment_id is not None and order.payment_id != seen.payment_id:",
        "if False:",
        MATRIX,
    ),
    Mutant(
        "a repeated event is not posted again",
        "nothing is lost",
        "shared/payments/inbox.py",
        "if event.subject is not None:",
        "if is_new and event.subject is not None:",
        MATRIX,
    ),
    Mutant(
        "the key of a payment is that of a moment",
        "granted once",
        "shared/payments/posting.py",
        'payment = f"{order.rail.value}:{order.payment_id}"\n        facts = {',
        'payment = f"{order.rail.value}:{id(order)}"\n        facts = {',
        MATRIX,
    ),
    Mutant(
        "what is decided leaves its escrow open",
        "set aside and back",
        "shared/payments/posting.py",
        "if reversal.kind not in NEVER_DECIDED:",
        "if False:",
        MATRIX,
    ),
    Mutant(
        "two disputes take twice",
        "no more than was bought",
        "shared/payments/reversal_rules.py",
        "if amount_minor >= left_minor:",
        "if False:",
        MATRIX,
    ),
    Mutant(
        "a spent bonus is a gift",
        "a bonus goes back",
        "shared/ledger/reversals.py",
        "owed_micros = self.credits_micros + self.bonus_micros - gift_micros",
        "owed_micros = self.credits_micros",
        REVERSALS,
    ),
    Mutant(
        "calls in flight lose what they hold",
        "hold sum",
        "shared/ledger/reversals.py",
        "free = rules.all_but(head.lots, kept_micros, valid_at_ms=self.at_ms)",
        "free = rules.all_but(head.lots, 0, valid_at_ms=self.at_ms)",
        REVERSALS,
    ),
    Mutant(
        "a buyer gives back what is spent",
        "refund policy",
        "shared/payments/refund_rules.py",
        "if paid_micros < order.credits_micros or",
        "if False and",
        REFUNDS,
    ),
    Mutant(
        "a refund whose key the provider forgot is made again",
        "refunded once",
        "shared/payments/stripe/rail.py",
        'if any(found.get("metadata", {}).get(REFUND_KEY) == key for found in made["data"]):',
        "if False:",
        REFUNDS,
    ),
    *PAYPAL,
)
