"""The least that a function on this platform can be: what bench/cold.py compares cold starts with."""

import functions_framework.aio
import google.cloud.firestore  # noqa: F401 - every function that keeps anything pays for this import
from starlette.requests import Request


@functions_framework.aio.http
async def hello(request: Request) -> str:
    """Answer, and do nothing else."""
    return "hello"
