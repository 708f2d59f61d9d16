"""Importing what a request will need while it still waits for something else."""

import asyncio
import importlib
import sys

_begun: set[str] = set()


def import_ahead(module: str) -> None:
    """Begin to import `module` in a thread, once per process; whoever imports it meanwhile waits for the rest of it.

    For modules whose import waits or leaves the interpreter (aiohttp reads every certificate authority), and that share
    no circular imports with what is imported beside them.
    """
    if module not in sys.modules and module not in _begun:
        _begun.add(module)
        # A failure shows where the module is imported in earnest.
        asyncio.get_running_loop().run_in_executor(None, importlib.import_module, module).add_done_callback(
            lambda future: future.cancelled() or future.exception()
        )
