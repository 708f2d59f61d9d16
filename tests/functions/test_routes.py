"""What is reached by no function: other paths, other methods, and what only looks like a route."""

import pytest

from local.deployment import Deployment
from local.manifest import FunctionRow, read_manifest
from local.people import Person
from tests.clients import call, refusal

ROWS = [row for row in read_manifest() if "{" not in row.path]


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/chat/", "/v1/credits/", "/v1//credits", "/V1/credits", "/v1/credits/%2E", "/functions"]
)
def test_an_unknown_path_is_refused_in_our_form(deployment: Deployment, member: Person, path: str) -> None:
    """Without a redirect, which a POST would not survive and whose target the client's Host header would name."""
    response = call(deployment, "GET", path, member.token, allow_redirects=False)

    assert refusal(response, 404) == "unknown_url"
    assert response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_another_method_is_refused_and_the_right_one_named(deployment: Deployment, row: FunctionRow) -> None:
    """A GET of what is posted changes nothing. A path that two functions share names both their methods."""
    right = {other.method for other in ROWS if other.path == row.path}

    for method in {"GET", "POST", "DELETE"} - right:
        response = call(deployment, method, row.path)
        assert refusal(response, 405) == "method_not_allowed"
        assert response.headers["allow"] == ", ".join(sorted(right))


def test_the_document_describes_what_is_served(deployment: Deployment) -> None:
    """At the address that generators look for."""
    response = call(deployment, "GET", "/openapi.json")

    assert response.json()["paths"].keys() == {row.path for row in read_manifest() if row.trigger.http}
