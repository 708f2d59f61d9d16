"""`export`: write a project's raw documents, its log too, to a file that `verify ledger --export` checks offline."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from google.auth import exceptions as auth_errors

from credence.books import Books, NotExported
from shared.ledger.errors import ChainBroken
from shared.ledger.store import StoreUnavailable

DONE, UNREADABLE = 0, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line of `export`."""
    parser.add_argument("file", metavar="FILE", type=Path, help="where to write; it must not exist yet")
    parser.add_argument(
        "--project",
        default=os.environ.get("PROJECT_ID") or os.environ.get("GOOGLE_CLOUD_PROJECT"),
        help="Google Cloud project (default: PROJECT_ID or GOOGLE_CLOUD_PROJECT)",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        if not options.project:
            raise ValueError("name the project: --project, PROJECT_ID or GOOGLE_CLOUD_PROJECT")
        return asyncio.run(_export(options.project, options.file))
    except StoreUnavailable as error:
        sys.stderr.write(f"the ledger does not answer: {error.__cause__ or error}\n")
    except auth_errors.GoogleAuthError as error:
        sys.stderr.write(f"no usable Google credentials: {error}\n")
    except (NotExported, ChainBroken) as error:
        sys.stderr.write(f"the ledger is broken: {error}\n")
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
    return UNREADABLE


async def _export(project_id: str, path: Path) -> int:
    """Write line by line. A file that breaks off has no last line, and verifies as unreadable."""
    books = Books.in_firestore(project_id)
    lines = 0
    with path.open("x", encoding="utf-8") as file:
        async for line in books.lines(_told):
            file.write(line)
            lines += 1
    sys.stderr.write("\n")
    sys.stdout.write(f"exported: {lines} lines to {path}\n")
    return DONE


def _told(accounts: int) -> None:
    if accounts % 100 == 0 or sys.stderr.isatty():
        sys.stderr.write(f"\r{accounts} accounts")
        sys.stderr.flush()
