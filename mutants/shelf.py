"""The safeguards of contributed keys in use: what keeps a quota from being overrun and a key where it belongs."""

from mutants.mutant import Mutant

SERVICE, LENDING = ("tests/shelf/test_service.py",), ("tests/shelf/test_lending.py",)
RULES, ATTACKS = ("tests/shelf/test_rules.py",), ("tests/shelf/test_attacks.py",)
BLAME = ("tests/shelf/test_blame.py",)
SWEEP, STORE = ("tests/shelf/test_sweep.py",), ("tests/shelf/test_store_contract.py",)

SHELF = (
    Mutant(
        "a lease is written whatever the key has become",
        "lease precondition",
        "shared/shelf/store.py",
        '{"leased_micros": key.leased_micros}, option=unchanged)',
        '{"leased_micros": key.leased_micros})',
        STORE,
        on_stack=True,
    ),
    Mutant(
        "a lease is closed twice",
        "lease closed once",
        "shared/shelf/store.py",
        "batch.update(self._lease(lease), closed, option=option)",
        "batch.update(self._lease(lease), closed)",
        STORE,
        on_stack=True,
    ),
    Mutant(
        "the worst case is not reserved",
        "worst case reserved",
        "shared/shelf/loan.py",
        "        held.reserved_micros += reserved_micros\n",
        "        self._reserved_micros = 0\n",
        SERVICE,
    ),
    Mutant(
        "what a call came to is not counted",
        "use counted",
        "shared/shelf/loan.py",
        "            self._held.used_micros += charged_micros\n",
        "",
        SERVICE,
    ),
    Mutant(
        "an owner is served by their own key",
        "no dealing with oneself",
        "shared/shelf/rules.py",
        " and stand.shelved.key.owner not in payers",
        "",
        LENDING,
    ),
    Mutant(
        "a refused key serves on",
        "a refused key rests",
        "shared/shelf/service.py",
        "        stand.condition = breaker.after_fault(\n            stand.condition, now_ms, error.fault, probe=True, "
        "retry_after_ms=error.retry_after_ms\n        )\n",
        "",
        SERVICE,
    ),
    Mutant(
        "a refused key rests its provider",
        "keys open no breaker",
        "shared/shelf/lending.py",
        "                if error.fault not in rules.OF_THE_KEY:\n                    raise\n",
        "                raise\n",
        LENDING,
    ),
    Mutant(
        "what nobody is served counts against keys",
        "whose fault a refusal is",
        "shared/shelf/lending.py",
        "            if error.fault is Fault.DENIED:\n                loan.settled(0)\n",
        "            if False:\n                loan.settled(0)\n",
        BLAME,
    ),
    Mutant(
        "one caller has every key rest",
        "whose fault a refusal is",
        "shared/shelf/blame.py",
        "key_id not in blamed and len(blamed) < KEYS_BLAMED_MAX",
        "True",
        BLAME,
    ),
    Mutant(
        "a provider without a key left is taken for broken",
        "keys open no breaker",
        "shared/routing/rules.py",
        "SAYS_NOTHING = frozenset({Fault.UNFIT, Fault.UNKEYED})",
        "SAYS_NOTHING = frozenset({Fault.UNFIT})",
        LENDING,
    ),
    Mutant(
        "a key of another host is put on the shelf",
        "host of a key",
        "shared/shelf/rules.py",
        "        and key.host == host\n",
        "",
        RULES,
    ),
    Mutant(
        "a refusal quotes a part of a key",
        "echoes withheld",
        "shared/providers/refusals.py",
        'return "its words quote a key" if quotes(words, key) else words',
        "return words",
        ATTACKS,
    ),
    Mutant(
        "what was read long ago is believed",
        "stale keys",
        "shared/shelf/service.py",
        "in self._by_model and self._clock() < self._believed_until_ms",
        "in self._by_model",
        SERVICE,
    ),
    Mutant(
        "a dead process gives all back",
        "use counted by the ledger",
        "shared/shelf/sweep.py",
        "used_micros = min(lease.amount_micros, served_micros)",
        "used_micros = 0",
        SWEEP,
    ),
    Mutant(
        "an owed charge pays the house alone",
        "owed split",
        "shared/metering/collector.py",
        "                    shares=charge.shares,\n",
        "",
        LENDING,
    ),
)
