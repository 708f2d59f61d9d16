"""The local chain as a part of the stack: nothing runs before it is asked, and nothing afterwards."""

import contextlib
import os
from pathlib import Path

import pytest
import requests

from local.chain import anvil
from local.chain.standin import ASSET, CHAIN_ID, RPC_PATH, LocalChain
from local.node import NodeMissing

TIMEOUT_S = 30.0


def ask(chain: LocalChain, method: str) -> requests.Response:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": []}
    return requests.post(chain.url + RPC_PATH, json=body, timeout=TIMEOUT_S)


def children() -> set[str]:
    """The processes that this one has started and that still run."""
    found: set[str] = set()
    for thread in Path(f"/proc/{os.getpid()}/task").iterdir():
        # A thread that ends meanwhile hands its children to another, and its folder goes.
        with contextlib.suppress(FileNotFoundError):
            found.update((thread / "children").read_text().split())
    return found


def test_it_starts_when_it_is_asked_and_leaves_nothing() -> None:
    before = children()
    with LocalChain() as chain:
        assert children() == before

        assert int(ask(chain, "eth_chainId").json()["result"], 16) == CHAIN_ID
        assert chain.started().ask("eth_getCode", ASSET, "latest") != "0x"
        assert len(children() - before) == 1

    assert children() == before


def test_what_is_missing_is_told_to_who_asks_and_to_who_started_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise NodeMissing("run `make setup`")

    monkeypatch.setattr(anvil, "_program", missing)
    told: list[str] = []
    with LocalChain(told.append) as chain:
        answered = ask(chain, "eth_chainId")

    assert answered.status_code == 503
    assert "make setup" in answered.text
    assert "make setup" in told[0]
