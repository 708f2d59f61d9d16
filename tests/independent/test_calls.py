"""npm's `ai` and LiteLLM, set up as for any gateway: what they do works, and what they say it used is charged."""

import pytest

from local.stack import Stack
from tests.e2e.books import Books
from tests.independent.calls import Told, settled, usage_charged
from tests.independent.plan import WORKS, Work


@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.name)
async def test_what_a_client_says_it_used_is_what_was_charged(
    stack: Stack, told: dict[tuple[str, str], Told], work: Work
) -> None:
    """To the token, over all the calls of a model that it took; and nothing is held any more."""
    said = told[work.client, work.kind]
    with Books.of(stack, said.call.deployment.project_id) as books:
        charges = await settled(books, said.call.person)

    assert said.error is None
    assert work.expected in said.text
    assert len(charges) == work.charges
    assert said.usage == usage_charged(charges)
