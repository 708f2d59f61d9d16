"""A job that computes over tables: with real programs, in the real sandbox."""

import json

import pytest

from shared.agents.kinds.data import TABLES_CHARS_MAX, DataKind, DataParams
from shared.agents.kinds.errors import AnswerUnusable, TableUnreadable
from shared.base.body import Misshapen, shape
from tests.agents.kinds.memory import COST_MICROS, MemoryDesk, run

SALES = "month,city,credits\n1,Pune,10\n1,Oslo,20\n2,Pune,\n2,Oslo,40\n"
PROGRAM = """
import pandas
import matplotlib.pyplot as plot

sales = pandas.read_csv("sales.csv")
totals = sales.groupby("city", as_index=False)["credits"].sum()
totals.to_csv("totals.csv", index=False)
totals.to_json("totals.json", orient="records")
totals.plot.bar(x="city", y="credits")
plot.savefig("totals.svg")
plot.savefig("totals.png")
open("secret.exe", "w").write("not kept")
print("total credits:", totals["credits"].sum())
"""
PARAMS = DataParams(question="Which city sells most?", tables={"sales.csv": SALES})


def fenced(program: str) -> str:
    """As a model writes it."""
    return f"Here is the program.\n```python\n{program}\n```\n"


def desk_for(program: str = PROGRAM, **more: str) -> MemoryDesk:
    """A desk whose model plans this program."""
    return MemoryDesk({"plan": fenced(program), "tell": "Oslo sells most.", **more})


@pytest.mark.slow
async def test_tables_and_charts_are_computed_and_told() -> None:
    """With a text by a model that was shown what the program printed."""
    desk = desk_for()

    result = await run(DataKind(), PARAMS, desk)

    outputs = {ref["name"]: ref for ref in result["artifacts"]}
    assert set(outputs) == {"totals.csv", "totals.json", "totals.svg", "totals.png", "computation.py"}
    assert outputs["totals.svg"]["media_type"] == "image/svg+xml"
    totals = json.loads(desk.kept[outputs["totals.json"]["artifact_id"]])
    assert totals == [{"city": "Oslo", "credits": 60.0}, {"city": "Pune", "credits": 10.0}]
    assert (result["text"], result["computed"], result["files_left_out"]) == ("Oslo sells most.", True, 1)
    asked = dict(desk.asked)
    assert "sales.csv: 4 rows" in asked["plan"]
    assert "credits: float64, 1 missing, such as 10.0, 20.0, 40.0" in asked["plan"]
    assert "total credits: 70.0" in asked["tell"]


@pytest.mark.slow
async def test_the_same_computation_makes_the_same_files() -> None:
    """Charts too, so that a job that was killed can be held against one that was not."""
    first, second = desk_for(), desk_for()

    assert await run(DataKind(), PARAMS, first) == await run(DataKind(), PARAMS, second)
    assert first.kept.keys() == second.kept.keys()


@pytest.mark.slow
async def test_a_program_that_fails_is_repaired() -> None:
    desk = desk_for("import pandas\nprint(pandas.read_csv('sale.csv'))", **{"repair-1": fenced(PROGRAM)})

    result = await run(DataKind(), PARAMS, desk)

    assert (result["computed"], result["repairs"]) == (True, 1)
    assert "No such file or directory" in dict(desk.asked)["repair-1"]


async def test_when_no_program_works_no_text_is_made_up() -> None:
    """It says so, with what was printed, and asks no model to tell."""
    desk = desk_for("1/0", **{"repair-1": fenced("1/0"), "repair-2": fenced("1/0")})

    result = await run(DataKind(), PARAMS, desk)

    assert (result["computed"], result["repairs"]) == (False, 2)
    assert "ZeroDivisionError" in result["printed"]
    assert "tell" not in desk.charges


async def test_an_answer_without_a_program_is_none() -> None:
    with pytest.raises(AnswerUnusable):
        await run(DataKind(), PARAMS, MemoryDesk({"plan": "Oslo, I think."}))


async def test_what_is_no_table_is_told_before_anything_is_paid() -> None:
    desk = desk_for()

    with pytest.raises(TableUnreadable):
        await run(DataKind(), DataParams(question="?", tables={"a.csv": 'a,b\n1,"2\n3,4,5\n'}), desk)

    assert desk.charges == {}


@pytest.mark.slow
async def test_a_death_at_any_call_changes_nothing() -> None:
    undisturbed = await run(DataKind(), PARAMS, desk_for())
    for moment in range(2, 10):
        desk = desk_for()
        desk.dies_at = {moment}

        assert await run(DataKind(), PARAMS, desk) == undisturbed
        assert desk.charges == {"plan": COST_MICROS, "tell": COST_MICROS}


def test_what_is_asked_is_bounded() -> None:
    for wrong in (
        {"question": "?", "tables": {}},
        {"question": "?", "tables": {"../a.csv": "x"}},
        {"question": "?", "tables": {"a.txt": "x"}},
        {"question": "?", "tables": {f"{n}.csv": "x" for n in range(5)}},
        {"question": "?", "tables": {"a.csv": "x" * (TABLES_CHARS_MAX + 1)}},
    ):
        with pytest.raises(Misshapen):
            shape(DataParams, wrong)
