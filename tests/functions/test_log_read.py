"""log_read: a stranger fetches the log, checks it leaf by leaf, and keeps what never changes."""

import pytest

from local.deployment import Deployment
from local.stack import Stack
from shared.base.merkle import leaf_hash, root_of
from shared.proof.note import VerifierKey, open_checkpoint
from shared.proof.tiles import ENTRIES, Tile, split_hashes, split_leaves
from tests.clients import add_member, answer, call, debit, refusal


@pytest.fixture(scope="module")
def size(stack: Stack, deployment: Deployment) -> int:
    """The log's size after a fresh checkpoint, which signs for all accounts that other tests have left."""
    answer(debit(deployment, add_member(stack, deployment), 1_000, key="logged"))
    answer(call(deployment, "POST", "/_timers/ledger_checkpoint", deployment.scheduler_token, json={}))
    response = call(deployment, "GET", "/log/checkpoint")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    return open_checkpoint(response.text, VerifierKey.parse(deployment.verifier_key)).size


def fetch(deployment: Deployment, tile: Tile) -> bytes:
    response = call(deployment, "GET", f"/log/{tile.path}")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    return response.content


def test_the_leaves_lead_to_the_signed_root(deployment: Deployment, size: int) -> None:
    """From the bundles alone, and the tiles hold the hashes of the same leaves."""
    note = call(deployment, "GET", "/log/checkpoint").text
    leaves, hashes = [], []
    for index in range(-(-size // 256)):
        width = min(256, size - index * 256)
        leaves += split_leaves(fetch(deployment, Tile(ENTRIES, index, width)))
        hashes += split_hashes(fetch(deployment, Tile(0, index, width)))

    assert hashes == [leaf_hash(leaf) for leaf in leaves]
    assert root_of(hashes) == open_checkpoint(note, VerifierKey.parse(deployment.verifier_key)).root


def test_a_narrower_tile_is_the_beginning_of_a_wider_one(deployment: Deployment, size: int) -> None:
    """Whoever asks for the width of an older checkpoint gets what stood there then."""
    width = min(size, 255)

    whole = fetch(deployment, Tile(0, 0, width))
    assert fetch(deployment, Tile(0, 0, 1)) == whole[:32]
    bundle = split_leaves(fetch(deployment, Tile(ENTRIES, 0, width)))
    assert split_leaves(fetch(deployment, Tile(ENTRIES, 0, 1))) == bundle[:1]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "checkpoint/",
        "Checkpoint",
        "tile",
        "tile/0/x999/999",
        "tile/5/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/9/000",
        "tile/0/000.p/5/",
        "tile/0/../../v1/models",
        "tile/entries/x001/000.p/1",
        "state",
        "%00",
        "x" * 2_000,
    ],
)
def test_nothing_else_is_there(deployment: Deployment, size: int, path: str) -> None:
    """Refused in our form, and not cached."""
    response = call(deployment, "GET", f"/log/{path}")

    assert refusal(response, 404) in ("log_path_not_found", "unknown_url")
    assert "immutable" not in response.headers.get("cache-control", "")
