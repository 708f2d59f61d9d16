"""Where functions-framework looks: a deployed name is a file in functions/, and only that file is loaded."""

import gc
import os
from importlib import import_module
from pathlib import Path
from types import FunctionType

import functions_framework.aio

from shared.base.settings import Settings

FUNCTIONS = Path(__file__).parent / "functions"
GARBAGE_OBJECTS = 50_000
"""New objects after which Python looks for cycles. By default 700: a start makes some hundred thousand, all of which stay."""

gc.set_threshold(GARBAGE_OBJECTS, *gc.get_threshold()[1:])


def __getattr__(name: str) -> FunctionType:
    """Load one function. A process whose environment cannot be used ends here, before it serves anything."""
    if not name.isidentifier() or name.startswith("_") or not (FUNCTIONS / f"{name}.py").is_file():
        raise AttributeError(name)
    Settings.from_environment(os.environ)
    function: FunctionType = functions_framework.aio.http(getattr(import_module(f"functions.{name}"), name))
    # What is loaded by now stays for good: the worker that is forked next need not look at it, nor copy it.
    gc.freeze()
    return function
