"""The safeguards of cards: what keeps a key from spending more than it may, and its credits whole."""

from mutants.mutant import Mutant

KEYS = ("tests/cards/test_keys.py",)
SERVICE = ("tests/cards/test_service.py",)
ALLOWANCES = ("tests/ledger/test_allowances.py",)
FUNDING = ("tests/ledger/test_funding.py",)

CARDS = (
    Mutant(
        "a limit is not asked",
        "spending limit",
        "shared/ledger/rules.py",
        "return free if left is None else min(free, left)",
        "return free",
        ALLOWANCES,
    ),
    Mutant(
        "held credits are outside of the limit",
        "spending limit",
        "shared/ledger/allowances.py",
        "at_ms) - held_micros)",
        "at_ms))",
        ALLOWANCES,
    ),
    Mutant(
        "a clock that steps back opens a new period",
        "spending limit",
        "shared/ledger/allowances.py",
        "at_ms = max(at_ms, allowance.counted_at_ms)",
        "at_ms = at_ms + 0",
        ALLOWANCES,
    ),
    Mutant(
        "a period is not noted as filled",
        "one refill in a period",
        "shared/ledger/funding.py",
        "if allowance.filled_ms >= self.start_ms:",
        "if False:",
        FUNDING,
    ),
    Mutant(
        "a withdrawal takes what is held",
        "hold sum",
        "shared/ledger/funding.py",
        "taken = rules.all_but(payer.lots, kept_micros, valid_at_ms=self.at_ms)",
        "taken = rules.all_but(payer.lots, 0, valid_at_ms=self.at_ms)",
        FUNDING,
    ),
    Mutant(
        "any secret is a card's",
        "secret of a key",
        "shared/cards/rules.py",
        "if not hmac.compare_digest(hash_secret(secret), expected) or record is None:",
        "if record is None:",
        KEYS,
    ),
    Mutant(
        "what is remembered refuses",
        "only what stands now refuses",
        "shared/cards/keys.py",
        "            with suppress(CredenceError):\n                return",
        "            if True:\n                return",
        KEYS,
    ),
    Mutant(
        "a creation funds with a key of its own each time",
        "funded once",
        "shared/cards/purse.py",
        'key = f"{card.account_id}:create"',
        'key = f"{card.account_id}:{secrets.token_hex(8)}"',
        SERVICE,
    ),
    Mutant(
        "a key is good before its card is funded",
        "the last write opens",
        "shared/cards/service.py",
        "card = Card(rules.card_id_of(owner, key), owner, CardStatus.OPENING, terms, self._clock())",
        "card = Card(rules.card_id_of(owner, key), owner, CardStatus.OPEN, terms, self._clock())",
        SERVICE,
    ),
    Mutant(
        "a card that died at its birth closes without an account",
        "nothing arrives on a closed card",
        "shared/cards/service.py",
        "            await self._funds.open(card.account_id, card.terms.limit)\n            return",
        "            return",
        SERVICE,
    ),
)
