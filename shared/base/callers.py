"""Which services may call which functions, as a deployment writes it down."""

import re
from collections import defaultdict
from collections.abc import Mapping

Callers = Mapping[str, frozenset[str]]
"""The scopes that each service account's e-mail address has."""
_SCOPE = re.compile(r"[a-z][a-z0-9_.:-]*")
_EMAIL = re.compile(r"[^@\s=,]+@[^@\s=,]+")


def parse_callers(text: str) -> Callers:
    """Read `scope=email[,email] scope=email ...` as what each email may do. Raise ValueError when it says less."""
    scopes_of: defaultdict[str, set[str]] = defaultdict(set)
    for clause in text.split():
        scope, _, emails = clause.partition("=")
        for email in emails.split(","):
            if not _SCOPE.fullmatch(scope) or not _EMAIL.fullmatch(email):
                raise ValueError("SERVICE_CALLERS must read scope=email[,email] scope=email ...")
            scopes_of[email].add(scope)
    return {email: frozenset(scopes) for email, scopes in scopes_of.items()}
