"""The model stand-in: an OpenAI-compatible server that answers for every model, without any model.

What it says, and the magic words that make it misbehave, are in standin.mjs beside this file.
"""

import os
from pathlib import Path

from local.node import REPOSITORY, node_command
from local.process import HOST, Service, free_port, start_child

STANDIN_DEADLINE_S = 30.0
"""It needs a third of a second; the rest is for a machine that is busy."""


def start_standin(folder: Path) -> Service:
    """Start it on a free port; its base URL is `http://{address}/v1`. Raise NodeMissing."""
    port = free_port()
    command = [*node_command(REPOSITORY / "local" / "standin.mjs"), str(port)]
    child = start_child("Model stand-in", command, folder=folder, environment=os.environ)
    return Service("Model stand-in", f"{HOST}:{port}", child, ready_path="/health", deadline_s=STANDIN_DEADLINE_S)
