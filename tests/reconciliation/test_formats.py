"""In which form a report is told."""

import pytest

from shared.reconciliation.formats import preferred_format


@pytest.mark.parametrize(
    ("accepts", "expected"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("text/csv", "csv"),
        ("TEXT/CSV; charset=utf-8", "csv"),
        ("text/csv;q=0.5, application/json", "json"),
        ("application/json;q=0.5, text/csv", "csv"),
        ("text/csv;q=0.9, */*;q=0.8", "csv"),
        ("text/csv, application/json", "json"),
        ("text/csv;q=much", "json"),
        ("text/html", "json"),
        (",".join(["text/html"] * 30 + ["text/csv"]), "json"),
    ],
)
def test_csv_is_told_to_whoever_prefers_it(accepts: str, expected: str) -> None:
    assert preferred_format(accepts) == expected
