// What the stand-in says to jobs that write code or compute over tables: programs that run, the first with a fault.
// [[right]] in what is asked has it written without one, [[hopeless]] has no repair help.

const FENCE = "```";
const fenced = (name, content) => `${FENCE}python ${name}\n${content}${FENCE}\n`;

const COUNT = (from) => `"""Counts the words of a text."""


def counted(text):
    """How often each word stands in the text, whatever its case."""
    counts = {}
    for word in text.lower().split()${from}:
        counts[word] = counts.get(word, 0) + 1
    return counts
`;
const COUNT_TESTS = `import unittest

from solution import counted


class Counts(unittest.TestCase):
    def test_each_word_is_counted(self):
        self.assertEqual(counted("a b A"), {"a": 2, "b": 1})

    def test_no_text_has_no_words(self):
        self.assertEqual(counted(""), {})


if __name__ == "__main__":
    unittest.main()
`;
const TOTALS = (name) => `import glob

import matplotlib.pyplot as plot
import pandas

tables = [pandas.read_csv(path) for path in sorted(glob.glob("*.csv"))]
numbers = pandas.concat([table.select_dtypes("number").sum() for table in tables])
totals = numbers.rename_axis("column").reset_index(name="${name}")
totals["total"] = totals["total"].round(6)
totals.to_csv("totals.csv", index=False)
totals.to_json("totals.json", orient="records")
totals.plot.bar(x="column", y="total", legend=False)
plot.tight_layout()
plot.savefig("totals.svg")
plot.savefig("totals.png")
for row in totals.itertuples():
    print(f"total of {row.column}: {row.total}")
`;

const systemOf = ({ messages }) => String(messages[0]?.role === "system" ? messages[0].content : "");
const says = (words) => (request) => systemOf(request).startsWith(words);

function moduleAnswer(asked) {
  const isRight = !asked.includes("[[hopeless]]") && (isRepair(asked) || asked.includes("[[right]]"));
  return answerOf(asked, COUNT(isRight ? "" : "[1:]"));
}

const isRepair = (asked) => asked.includes("Its tests fail:");

function answerOf(asked, module) {
  return fenced("solution.py", module) + (isRepair(asked) ? "" : fenced("test_solution.py", COUNT_TESTS));
}

function programAnswer(asked) {
  const repaired = asked.includes("This program fails:");
  const isRight = !asked.includes("[[hopeless]]") && (repaired || asked.includes("[[right]]"));
  return fenced("", TOTALS(isRight ? "total" : "sum"));
}

// The figures that were printed, told again.
function tellingAnswer(asked) {
  const printed = asked.match(/^total of .*$/gm) ?? [];
  return `The computation found: ${printed.join("; ") || "nothing"}. It does not show why.`;
}

export const kindFixtures = (lastUserText, capped) =>
  [
    ["You write small, correct Python", moduleAnswer],
    ["You write one Python 3.11 program", programAnswer],
    ["You tell in at most 120 plain words", tellingAnswer],
  ].map(([words, answer]) => ({
    match: { endpoint: "chat", predicate: says(words) },
    response: (request) => capped(request, answer(lastUserText(request))),
  }));
