"""The safeguards of purchases on a chain: what keeps a payment from being granted early, twice, or to a thief."""

from mutants.mutant import Mutant

CLAIMS = ("tests/payments/test_claims.py",)
TOPUPS = ("tests/payments/test_topups.py",)

COINS = (
    Mutant(
        "both ways to pay on a chain name payments for themselves",
        "one name for one payment",
        "shared/payments/rules.py",
        "space = RailName.CRYPTO if rail is RailName.X402 else rail",
        "space = rail",
        TOPUPS,
    ),
    Mutant(
        "whoever sees a transfer may claim it",
        "signed claims",
        "shared/chain/rules.py",
        "    if sender is not None:\n",
        "    if False:\n",
        CLAIMS,
    ),
    Mutant(
        "a block that can still be dropped is final",
        "finality",
        "shared/chain/rules.py",
        "if receipt.block > finalized.number:",
        "if False:",
        CLAIMS,
    ),
    Mutant(
        "a dropped block is final",
        "finality",
        "shared/chain/rules.py",
        "if canonical is None or canonical.hash != receipt.block_hash:",
        "if canonical is None:",
        CLAIMS,
    ),
    Mutant(
        "an order is a price for good",
        "frozen price",
        "shared/payments/crypto/rules.py",
        "is_late = transfer.paid_at_s * 1000 > watch.expires_at_ms + LATE_MS",
        "is_late = False",
        CLAIMS,
    ),
    Mutant(
        "settings change what an order costs where",
        "frozen price",
        "shared/payments/crypto/rail.py",
        "return await Transfers(self._node, watch.terms.token).verify_transfer(",
        "return await Transfers(self._node, self._token).verify_transfer(",
        CLAIMS,
    ),
    Mutant(
        "nobody looks for a payment whose client left",
        "later looks",
        "shared/payments/crypto/rail.py",
        "                if rules.may_still_come(claim, pending, at_ms=self._clock()):\n",
        "                if False:\n",
        CLAIMS,
    ),
    Mutant(
        "two authorizations are settled for one order",
        "one settlement",
        "shared/payments/crypto/topups.py",
        "        if await self._underway(watch, claim):\n",
        "        if False:\n",
        TOPUPS,
    ),
    Mutant(
        "an order that is paid settles again",
        "one settlement",
        "shared/payments/crypto/topups.py",
        "        if kept.order.payment_id is not None:\n",
        "        if False:\n",
        TOPUPS,
    ),
    Mutant(
        "what is refused keeps others from paying",
        "one settlement",
        "shared/payments/crypto/topups.py",
        "            await keep(self._store, kept, replace(claim, is_refused=True))\n            header",
        "            header",
        TOPUPS,
    ),
)
