"""Research's own decisions: which questions, which sources, what the report says."""

import pytest

from shared.agents.desk import Passage
from shared.agents.kinds.research import label_of, questions_in, reading, report_of

HOLDS = Passage("0004.md", "Holds", "The worst case is held.", "docs/0004.md")
LOG = Passage("0010.md", "The log", "It is signed.", "docs/0010.md")


@pytest.mark.parametrize(
    ("text", "questions"),
    [
        ("- One?\n- Two?\n- Three?", ["One?", "Two?"]),
        ("1. One?\n2) Two?", ["One?", "Two?"]),
        ("Sure! Here they are:\n* One?\n* One?\n* Two?", ["One?", "Two?"]),
        ("I would rather not.", ["How are credits held?", "Who signs?"]),
        ("", ["How are credits held?", "Who signs?"]),
    ],
)
def test_what_a_model_lists_is_asked_and_else_the_topic(text: str, questions: list[str]) -> None:
    assert questions_in(text, topic="How are credits held? Who signs?", count_max=2) == questions


def test_passages_are_quoted_under_the_numbers_of_their_sources() -> None:
    """So that a report over several questions cites each source by one number."""
    asked = reading("Who signs?", [LOG], [label_of(HOLDS), label_of(LOG)])

    assert "[2] It is signed." in asked
    assert "[1] " not in asked.partition("Question")[2]


def test_a_question_without_a_passage_says_so() -> None:
    assert "Nothing was found." in reading("Who?", [], [])


def test_a_report_lists_what_was_read() -> None:
    report = report_of("Credits", "They are held [1].", ["How?"], ["In full [1]."], [label_of(HOLDS)])

    assert report.startswith("# Credits\n\nThey are held [1].")
    assert "### How?\n\nIn full [1]." in report
    assert report.rstrip().endswith("1. Holds (docs/0004.md)")
