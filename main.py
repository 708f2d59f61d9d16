"""Where functions-framework looks: a deployed name is a file in functions/, and only that file is loaded."""

import os
from importlib import import_module
from pathlib import Path
from types import FunctionType

import functions_framework.aio

from shared.base.garbage import collect_rarely, keep_loaded
from shared.base.remains import leave_no_core
from shared.base.settings import Settings

FUNCTIONS = Path(__file__).parent / "functions"

collect_rarely()
leave_no_core()


def __getattr__(name: str) -> FunctionType:
    """Load one function. A process whose environment cannot be used ends here, before it serves anything."""
    if not name.isidentifier() or name.startswith("_") or not (FUNCTIONS / f"{name}.py").is_file():
        raise AttributeError(name)
    Settings.from_environment(os.environ)
    function: FunctionType = functions_framework.aio.http(getattr(import_module(f"functions.{name}"), name))
    keep_loaded()
    return function
