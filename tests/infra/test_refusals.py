"""What Terraform refuses to plan: variables that cannot be meant, and arguments that Google's provider has not."""

from pathlib import Path
from typing import Any

import pytest

from tests.infra.planned import PlanRefused, planned

pytestmark = pytest.mark.slow

BACKEND = "backend@credence-production.iam.gserviceaccount.com"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (
            {
                "project": "My Project",
                "domain": "https://api.example.com",
                "image": "functions:latest",
                "secrets": ["NOTHING_OF_THE_SORT"],
                "callers": {"timer": [BACKEND], "credit:debit": []},
                "checkpoint_verifier_key": "name",
            },
            (
                "A project's id",
                "without https://",
                "by its digest",
                "No function reads a secret of this name",
                "and to nobody else",
                "given to e-mail addresses",
                "name+id+key",
            ),
        ),
        (
            {"settings": {"STRIPE_API_KEY": "sk_live", "ENVIRONMENT": "local"}},
            ("not into the state of Terraform", "decided here already"),
        ),
    ],
)
def test_wrong_variables_are_refused(wrong: dict[str, Any], says: tuple[str, ...], tmp_path: Path) -> None:
    """Before anything is made, each with what is wrong about it."""
    with pytest.raises(PlanRefused) as refused:
        planned(tmp_path, wrong)

    said = " ".join(str(refused.value).split())
    assert [words for words in says if words not in said] == []


def test_an_argument_that_google_does_not_know_is_refused(tmp_path: Path) -> None:
    """Else none of this would say anything of the provider."""
    with pytest.raises(PlanRefused, match=r'An argument named "retained" is not expected here'):
        planned(
            tmp_path, {}, more='resource "google_storage_bucket" "other" {\n  name = "other"\n  retained = true\n}\n'
        )
