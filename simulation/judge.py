"""Holds every answer and every commit against the reference model.

The store's order of commits is taken as the order in which a sequential ledger would have done the same. What was
done must be what the model does in that order; a refusal must be the model's at one moment, at least, between the
call and the answer.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from shared.base.errors import CredenceError
from shared.base.ids import AccountId
from shared.ledger.holds import Held
from shared.ledger.models import Entry, Head
from shared.ledger.operation import Posted
from simulation import folds, model, reference
from simulation.model import NEVER, Line, Record, Ref, State
from simulation.request import Attempt, Request

UNKNOWN = frozenset({"ledger_unavailable", "ledger_busy"})
"""Codes that promise nothing but that asking again is safe."""

FORGOTTEN = frozenset({"hold", "extend", "release"})
"""Verbs that post no entry. A hold is remembered as long as it is on the head: once it was resolved, a repeat of
one of them, after a lost answer or by a duplicate, is a new request to the ledger, and to the model."""

SENDING_FIELDS = ("day_start_ms", "sent_micros", "last_to", "last_micros", "last_at_ms")


class Violation(Exception):
    """The ledger did what no correct ledger could have done."""


class Judge:
    """The model's states after each commit, and what was answered."""

    def __init__(self, accounts: Iterable[AccountId]) -> None:
        self.position = 0
        """How many commits took effect."""
        self.journal: dict[Ref, Record] = {}
        self.acknowledged: dict[Ref, str] = {}
        """The hash of each entry that somebody was told of."""
        self._states: dict[AccountId, State | None] = dict.fromkeys(accounts)
        self._history: dict[AccountId, list[tuple[int, State | None]]] = {a: [(0, None)] for a in self._states}

    def see_commit(
        self,
        attempts: Iterable[Attempt],
        heads: Mapping[AccountId, Mapping[str, Any]],
        entries: Mapping[Ref, Any],
        stored: Mapping[Ref, Any],
    ) -> None:
        """A commit took effect: replay what is in it, and compare all that it wrote. `stored` are all entries."""
        self.position += 1
        lines: dict[Ref, Line] = {}
        for attempt in attempts:
            lines.update(self._replay(attempt))
        for ref in sorted(entries.keys() - lines.keys(), key=lambda ref: int(entries[ref]["seq"])):
            lines[ref] = self._replay_unasked(ref, entries[ref], stored)
        _require(lines.keys() == entries.keys(), "a commit wrote other entries than its operations would")
        for ref, document in entries.items():
            line = line_of(document)
            if line != lines[ref]:
                raise Violation(f"an entry says {line}, the model {lines[ref]}")
        for account_id, document in heads.items():
            said, state = state_of(document), self._states[account_id]
            if said != state:
                raise Violation(f"the head of {account_id} is {said}, the model's {state}")
            self._history.setdefault(account_id, [(0, None)]).append((self.position, state))

    def _replay(self, attempt: Attempt) -> Mapping[Ref, Line]:
        request = attempt.request
        outcome = reference.answer(request, attempt.at_ms, self._states, self.journal)
        if not isinstance(outcome, model.Effect):
            raise Violation(f"did '{request}' (attempt {attempt.number}) where the model answers {outcome}")
        if attempt.refused:
            raise Violation(f"did '{request}' after attempt {attempt.number} was told {attempt.refused}")
        if attempt.predicted is not None and request.verb not in FORGOTTEN:
            raise Violation(f"did attempt {attempt.number} twice")
        attempt.predicted = outcome.answer
        attempt.done = self.position
        self._states.update(outcome.states)
        for ref, line in outcome.lines.items():
            self.journal[ref] = Record(self.position, request.identity, line)
        return outcome.lines

    def _replay_unasked(self, ref: Ref, document: Mapping[str, Any], stored: Mapping[Ref, Any]) -> Line:
        """An entry that nobody asked for: settlement's, one for each payee of a commit. Its clock may say anything."""
        account_id, before = ref[0], self._states.get(ref[0])
        if not account_id.startswith(folds.DEFERRED):
            raise Violation(f"the entry {ref} was asked for by nobody")
        if before is None:
            after, line = folds.open_line(document["at_ms"])
        else:
            if document["kind"] != "settle":
                raise Violation(f"nobody asked for the {document['kind']} {ref}")
            owed = folds.fold(stored, folds.settled_window(document), account_id)
            if owed is None:
                raise Violation(f"{ref} settles a window that owes nothing")
            after, line = folds.settle_line(before, owed, document["at_ms"])
        self._states[account_id] = after
        return line

    def see_answer(self, attempt: Attempt, answer: Any, stored: Mapping[Ref, Any]) -> None:
        """A process answers. Whatever it says must be true of what is stored by now."""
        match answer:
            case Posted():
                self._check_posted(attempt, answer, stored)
            case Held():
                said = model.Held(answer.hold.hold_id, answer.hold.amount_micros, answer.spendable_micros)
                if attempt.predicted != said:
                    self._require_answer(attempt, model.Remembered(said), since=attempt.called)
            case None:
                if attempt.predicted is None:
                    self._check_released(attempt)
            case Head():
                self._check_head(attempt, answer)
            case CredenceError() if answer.code in UNKNOWN:
                pass
            case CredenceError():
                attempt.refused = answer.code
                if attempt.predicted is not None and attempt.request.verb not in FORGOTTEN:
                    raise Violation(f"attempt {attempt.number} was done and is told {answer.code}")
                # A hold that was placed may be refused once somebody else has resolved it, and not before.
                since = max(attempt.called, attempt.done)
                refused = model.Refused(answer.code, tuple(sorted(answer.details().items())))
                self._require_answer(attempt, refused, since=since)
            case _:
                raise Violation(f"'{attempt.request}' ended in {answer!r}")

    def _check_posted(self, attempt: Attempt, posted: Posted, stored: Mapping[Ref, Any]) -> None:
        entry, request = posted.entry, attempt.request
        ref = (entry.account_id, entry.entry_id)
        record = self.journal.get(ref)
        if ref != model.posted_ref(request):
            raise Violation(f"'{request}' was answered with another's entry")
        if record is None or ref not in stored or stored[ref]["hash"] != entry.hash:
            raise Violation(f"'{request}' was acknowledged and is not durable")
        if record.identity != request.identity:
            raise Violation(f"'{request}' was answered with {record.identity}")
        if line_of_entry(entry) != record.line:
            raise Violation(f"'{request}' was answered with an entry that says other things")
        if not posted.repeated and attempt.predicted is None:
            raise Violation(f"'{request}' is called new and was done before")
        self.acknowledged[ref] = entry.hash

    def _check_released(self, attempt: Attempt) -> None:
        """Nothing was done, so the hold must have been gone. Captured once, it counts as gone even if placed anew."""
        request = attempt.request
        captured = model.posted_ref(Request("capture", request.account_id, key=request.key))
        if captured not in self.journal:
            self._require_answer(attempt, model.Refused("hold_not_found"), since=attempt.called)

    def _check_head(self, attempt: Attempt, head: Head) -> None:
        request = attempt.request
        seen = [states[request.account_id] for _, states in self._moments(request, attempt.called)]
        balances = [(state.seq, state.balance, set(state.holds)) for state in seen if state]
        said = (head.seq, head.balance_micros, set(head.holds))
        if said not in balances:
            raise Violation(f"'{request}' shows {said}, which never was")

    def _require_answer(self, attempt: Attempt, answer: Any, *, since: int) -> None:
        """The model must have given this answer at one moment, at least, from commit number `since` until now."""
        outcomes = []
        for position, states in self._moments(attempt.request, since):
            outcome = reference.answer(attempt.request, attempt.at_ms, states, _Journal(self.journal, position))
            if answer in (outcome, reference.recall(attempt.request, attempt.at_ms, states)):
                return
            outcomes.append(outcome)
        raise Violation(f"'{attempt.request}' (attempt {attempt.number}) is told {answer}, the model says {outcomes}")

    def _moments(self, request: Request, since: int) -> Iterable[tuple[int, Mapping[AccountId, State | None]]]:
        """The durable states of the accounts concerned."""
        concerned = [request.account_id, request.payee_id] if request.payee_id else [request.account_id]
        changes = {position for account_id in concerned for position, _ in self._history[account_id]}
        for moment in sorted({since, *(p for p in changes if p > since)}):
            yield moment, {a: next(s for p, s in reversed(self._history[a]) if p <= moment) for a in concerned}

    def check_durable(self, stored: Mapping[Ref, Any]) -> None:
        """Whatever somebody was told of is still there, and unchanged."""
        for ref, hashed in self.acknowledged.items():
            if ref not in stored or stored[ref]["hash"] != hashed:
                raise Violation(f"the acknowledged entry {ref} is lost")


class _Journal:
    """The journal as it was after so many commits."""

    def __init__(self, journal: Mapping[Ref, Record], position: int) -> None:
        self._journal = journal
        self._position = position

    def get(self, ref: Ref) -> Record | None:
        record = self._journal.get(ref)
        return record if record and record.position <= self._position else None


def state_of(document: Mapping[str, Any]) -> State:
    """A stored head in the model's terms."""
    return State(
        seq=document["seq"],
        lots={(lot["origin"], _expiry(lot["expires_at_ms"])): lot["remaining_micros"] for lot in document["lots"]},
        holds={
            key: (hold["amount_micros"], hold["placed_at_ms"], hold["expires_at_ms"])
            for key, hold in document["holds"].items()
        },
        window=(document["window"]["start_ms"], document["window"]["count"]),
        spent=document["spent_micros"],
        status=document["status"],
        sending=tuple(document["sending"][name] for name in SENDING_FIELDS),
    )


def line_of(document: Mapping[str, Any]) -> Line:
    """A stored entry in the model's terms."""
    return Line(
        seq=document["seq"],
        kind=document["kind"],
        delta=document["delta_micros"],
        balance=document["balance_micros"],
        lots=tuple((lot["origin"], _expiry(lot["expires_at_ms"]), lot["delta_micros"]) for lot in document["lots"]),
        legs=tuple((leg["account"], leg["origin"], leg["amount_micros"]) for leg in document["legs"]),
        hold=document["hold_id"],
        at_ms=document["at_ms"],
    )


def line_of_entry(entry: Entry) -> Line:
    """An answered entry in the model's terms."""
    return Line(
        seq=entry.seq,
        kind=entry.kind.value,
        delta=entry.delta_micros,
        balance=entry.balance_micros,
        lots=tuple((change.origin.value, _expiry(change.expires_at_ms), change.delta_micros) for change in entry.lots),
        legs=tuple((leg.account_id, leg.origin.value, leg.amount_micros) for leg in entry.legs),
        hold=entry.hold_id,
        at_ms=entry.at_ms,
    )


def _expiry(expires_at_ms: int | None) -> int:
    return NEVER if expires_at_ms is None else expires_at_ms


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise Violation(what)
