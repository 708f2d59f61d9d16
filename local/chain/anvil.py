"""A chain on this machine: anvil, with a dollar on it and whoever needs one made rich.

A block counts as final two blocks later.
"""

import itertools
import json
import os
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from eth_abi import encode
from eth_utils import keccak

from local.node import NODE_MODULES, NodeMissing
from local.process import HOST, Child, free_port, start_child

ANVIL_DEADLINE_S = 30.0
CALL_TIMEOUT_S = 10.0
POLL_INTERVAL_S = 0.005
CHAIN_ID = 31_337
BLOCKS_TO_FINAL = 2
_CONTRACTS = Path(__file__).parent / "contracts.json"


class Reverted(Exception):
    """The node would not send the transaction, or answered an error."""


class Chain:
    """Anvil under a free port, mining a block for each transaction."""

    def __init__(self, folder: Path, *, chain_id: int = CHAIN_ID) -> None:
        """Start it. Raise NodeMissing or ProcessFailed."""
        self.chain_id = chain_id
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        self._ids = itertools.count(1)
        options = ["--host", HOST, "--port", str(self.port), "--chain-id", str(chain_id), "--slots-in-an-epoch", "1"]
        self._child: Child = start_child(
            "Anvil", [_program(), *options, "--silent"], folder=folder, environment=os.environ
        )
        try:
            self._child.wait_until(self._answers, deadline_s=ANVIL_DEADLINE_S)
        except BaseException:
            self.stop()
            raise
        self.accounts: list[str] = self.ask("eth_accounts")
        # Anybody's transactions are taken unsigned, so that people of tests need no wallet to send with.
        self.ask("anvil_autoImpersonateAccount", True)

    def stop(self) -> None:
        """End it, and everything that was on the chain."""
        self._child.stop()

    def ask(self, method: str, *parameters: object) -> Any:
        """The result of a JSON-RPC call. Raise Reverted."""
        body = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": parameters}
        request = urllib.request.Request(  # noqa: S310 - an address of ours
            self.url, json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=CALL_TIMEOUT_S) as response:  # noqa: S310
            answer = json.load(response)
        if "error" in answer:
            raise Reverted(answer["error"]["message"])
        return answer["result"]

    def deploy(self, name: str) -> str:
        """The address of a new contract of contracts.sol."""
        code = json.loads(_CONTRACTS.read_text())[name]
        hash_ = self.ask("eth_sendTransaction", {"from": self.accounts[0], "data": "0x" + code, "gas": hex(5_000_000)})
        address: str = self._mined(hash_)["contractAddress"]
        return address.lower()

    def send(self, sender: str, contract: str, signature: str, *values: object, gas: int = 500_000) -> str:
        """The hash of a transaction that calls a contract. It may fail there: its gas is given, none is tried for."""
        transaction = {"from": sender, "to": contract, "data": call_data(signature, *values), "gas": hex(gas)}
        hash_: str = self.ask("eth_sendTransaction", transaction)
        self._mined(hash_)
        return hash_

    def read(self, contract: str, signature: str, *values: object) -> int:
        """An integer that a contract answers."""
        return int(self.ask("eth_call", {"to": contract, "data": call_data(signature, *values)}, "latest"), 16)

    def mine(self, blocks: int = 1) -> None:
        """Add empty blocks."""
        self.ask("anvil_mine", hex(blocks))

    def finalize(self) -> None:
        """Make everything final that stands on the chain."""
        self.mine(BLOCKS_TO_FINAL)

    def _mined(self, transaction: str) -> Any:
        """The receipt: anvil answers before it has made the block. Raise Reverted."""
        gives_up_at = time.monotonic() + CALL_TIMEOUT_S
        while time.monotonic() < gives_up_at:
            if receipt := self.ask("eth_getTransactionReceipt", transaction):
                return receipt
            time.sleep(POLL_INTERVAL_S)
        raise Reverted("the transaction came into no block")

    def _answers(self) -> bool:
        try:
            return int(self.ask("eth_chainId"), 16) == self.chain_id
        except OSError:
            return False


def call_data(signature: str, *values: object) -> str:
    """The bytes that call a function, such as `transfer(address,uint256)`."""
    names = signature[signature.index("(") + 1 : -1]
    return "0x" + (keccak(text=signature)[:4] + encode(names.split(",") if names else [], values)).hex()


def compiled_anew() -> dict[str, str]:
    """What the compiler makes of contracts.sol now; contracts.json must say the same."""
    printed = subprocess.run(["node", Path(__file__).parent / "compile.mjs"], check=True, capture_output=True).stdout
    code: dict[str, str] = json.loads(printed)
    return code


def _program() -> Path:
    """The program itself and not its wrapper, so that stopping our child stops it."""
    for program in sorted((NODE_MODULES / "@foundry-rs").glob("anvil-*/bin/anvil*")):
        program.chmod(0o755)
        return program
    raise NodeMissing("@foundry-rs/anvil is missing: run `make setup`")
