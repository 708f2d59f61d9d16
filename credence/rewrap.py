"""`rewrap`: rotate the key-encryption key, and wrap the data keys of all contributed keys anew."""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping

from google.auth import exceptions as auth_errors
from google.cloud import firestore

from shared.base.errors import CredenceError
from shared.base.settings import Settings, SettingsWrong
from shared.resources.rewrap import Rewrap, RewrapReport
from shared.resources.store import FirestoreKeys
from shared.vault.custody import key_from
from shared.vault.errors import VaultUnavailable
from shared.vault.rotation import Rotation

DONE, LEFT, FAILED = 0, 1, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--project",
        default=os.environ.get("PROJECT_ID") or os.environ.get("GOOGLE_CLOUD_PROJECT"),
        help="Google Cloud project (default: PROJECT_ID or GOOGLE_CLOUD_PROJECT)",
    )
    parser.add_argument(
        "--rotate",
        action="store_true",
        help="make a new version of the key first; without it, an earlier run is finished",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if not options.project:
        sys.stderr.write("name the project: --project, PROJECT_ID or GOOGLE_CLOUD_PROJECT\n")
        return FAILED
    try:
        report = asyncio.run(rewrap(options.project, os.environ, rotates=options.rotate))
    except SettingsWrong as fault:
        sys.stderr.write(f"{fault}\n")
        return FAILED
    except VaultUnavailable as error:
        sys.stderr.write(f"the key-encryption key {error.what}; run it again without --rotate\n")
        return FAILED
    except CredenceError as error:
        sys.stderr.write(f"{error.message} Run it again without --rotate.\n")
        return FAILED
    except auth_errors.GoogleAuthError as error:
        sys.stderr.write(f"no usable Google credentials: {error}\n")
        return FAILED
    sys.stdout.write(f"done: {_said(report)}\n")
    return LEFT if report.sealed else DONE


async def rewrap(project_id: str, environment: Mapping[str, str], *, rotates: bool) -> RewrapReport:
    """Wrap all keys of a project anew. The environment names the key: VAULT_KMS_KEY, or VAULT_KEY_FILE locally.

    Raise SettingsWrong, VaultUnavailable, ContributionsUnavailable or ContributionBusy.
    """
    rotation = Rotation(key_from(Settings.from_environment({**environment, "PROJECT_ID": project_id})))
    if rotates:
        sys.stdout.write(f"rotated: {await rotation.rotate()}\n")
    store = FirestoreKeys(firestore.AsyncClient(project=project_id))
    return await Rewrap(store, rotation, lambda report: print(_said(report), flush=True)).run()


def _said(report: RewrapReport) -> str:
    left = f", {report.sealed} that do not open" if report.sealed else ""
    return f"{report.rewrapped} of {report.seen} keys wrapped anew{left}"
