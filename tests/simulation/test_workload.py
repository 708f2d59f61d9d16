"""The workload reaches what it is there for: each kind of entry, each answer that matters, and the rare conditions."""

import re
from collections import Counter

import pytest
from msgspec import Struct, field

from shared.ledger.models import EntryKind
from shared.ledger.rules import LOTS_MAX
from simulation.loop import EPOCH_MS
from simulation.model import DAY_MS
from simulation.world import World, run

pytestmark = pytest.mark.slow

SEEDS = 400
LINE = re.compile(r"#(?P<number>\d+) (?P<told>is told )?(?P<text>.*)")
MIDNIGHT_MS = EPOCH_MS - EPOCH_MS % DAY_MS + DAY_MS


class Reached(Struct):
    """What happened, and how often."""

    kinds: Counter[str] = field(default_factory=Counter)
    told: Counter[tuple[str, str]] = field(default_factory=Counter)
    """A request's verb, with the word that was said besides, and the first word of its answer."""
    owing: int = 0
    """Accounts that owe something when all is over."""
    full: int = 0
    """Accounts with as many lots as there may be."""
    merged: int = 0
    """Entries that made room for others."""
    sent_after_midnight: int = 0
    walked: int = 0
    """Entries that audits have seen."""

    def see(self, world: World) -> None:
        """Count what is in one world."""
        ledger = world.servers.ledger
        for document in ledger.entries.values():
            self.kinds[document["kind"]] += 1
            self.merged += document["kind"] == "grant" and len(document["lots"]) > 1
        for account_id, head in ledger.heads.items():
            self.owing += account_id.startswith("user:") and head["balance_micros"] < 0
            self.full += len(head["lots"]) == LOTS_MAX
            self.sent_after_midnight += head["sending"]["day_start_ms"] == MIDNIGHT_MS
        self.walked += sum(world.witness.audit_books.walked.values())
        self._see_answers(world.lines or [])

    def _see_answers(self, lines: list[str]) -> None:
        asked: dict[str, str] = {}
        for line in lines:
            if found := LINE.match(line.split("  ")[-1]):
                number, told, text = found["number"], found["told"], found["text"]
                words = text.split(" ")
                if told:
                    self.told[asked[number], words[0]] += 1
                else:
                    asked[number] = f"{words[-1]} {words[0]}" if words[-1] in ("late", "confirmed") else words[0]


@pytest.fixture(scope="module")
def reached() -> Reached:
    """What so many seeds come to."""
    reached = Reached()
    for seed in range(SEEDS):
        world = World(seed, tracing=True)
        assert run(world) is None
        reached.see(world)
    return reached


def test_entries_of_every_kind_are_posted(reached: Reached) -> None:
    assert set(reached.kinds) == {kind.value for kind in EntryKind}
    assert min(reached.kinds.values()) >= 3


@pytest.mark.parametrize(
    ("verb", "answer"),
    [
        ("hold", "rate_limit_exceeded"),
        ("hold", "too_many_open_calls"),
        ("hold", "credit_too_low"),
        ("extend", "Held("),
        ("extend", "hold_not_found"),
        ("capture", "hold_exceeded"),
        ("capture", "hold_not_found"),
        ("late capture", "entry"),
        ("late capture", "idempotency_key_reused"),
        ("send", "transfer_repeated"),
        ("confirmed send", "entry"),
        ("send", "send_limit_exceeded"),
        ("revoke", "entry"),
        ("revoke", "not_reversible"),
        ("refund", "entry"),
        ("refund", "not_reversible"),
        ("expire", "calls_in_flight"),
        ("close", "account_in_debt"),
    ],
)
def test_an_answer_is_given(reached: Reached, verb: str, answer: str) -> None:
    assert sum(count for (asked, told), count in reached.told.items() if asked == verb and told.startswith(answer)) > 0


def test_accounts_come_to_owe_something(reached: Reached) -> None:
    assert reached.owing > 0


def test_accounts_are_given_more_than_their_lots_hold(reached: Reached) -> None:
    assert reached.full > 0
    assert reached.merged > 10


def test_a_day_of_sending_ends(reached: Reached) -> None:
    assert reached.sent_after_midnight > 5


def test_audits_walk_the_entries_of_all_accounts(reached: Reached) -> None:
    assert reached.walked > 20 * SEEDS * 0.1
