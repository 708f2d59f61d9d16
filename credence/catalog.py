"""`catalog`: check shared/catalog/catalog.toml and compile it. `seed`: write its prices to a project's Firestore."""

import argparse
import asyncio
import os
import sys

from google.auth import exceptions as auth_errors
from google.cloud import firestore

from shared.base.body import Misshapen
from shared.catalog.editor import CatalogEditor, SeedReport
from shared.catalog.errors import CatalogUnavailable, CatalogUnreadable
from shared.catalog.service import COMPILED, Catalog
from shared.catalog.source import SOURCE, compile_source, compile_terms, to_json
from shared.catalog.store import FirestoreModels
from shared.catalog.terms import COMPILED_TERMS

DONE, FAILED = 0, 2


def add_catalog_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line of `catalog`."""
    parser.set_defaults(run=_compile)


def add_seed_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line of `seed`."""
    parser.add_argument(
        "--project",
        default=os.environ.get("PROJECT_ID") or os.environ.get("GOOGLE_CLOUD_PROJECT"),
        help="Google Cloud project (default: PROJECT_ID or GOOGLE_CLOUD_PROJECT)",
    )
    parser.set_defaults(run=_seed)


def _compile(options: argparse.Namespace) -> int:
    try:
        text = SOURCE.read_text(encoding="utf-8")
        models, terms = compile_source(text), compile_terms(text)
    except (Misshapen, ValueError) as fault:
        sys.stderr.write(f"{SOURCE.name}: {fault}\n")
        return FAILED
    COMPILED.write_bytes(to_json(models))
    COMPILED_TERMS.write_bytes(terms)
    sys.stdout.write(f"compiled: {len(models)} models\n")
    return DONE


def _seed(options: argparse.Namespace) -> int:
    if not options.project:
        sys.stderr.write("name the project: --project, PROJECT_ID or GOOGLE_CLOUD_PROJECT\n")
        return FAILED
    try:
        report = asyncio.run(seed(options.project))
    except CatalogUnavailable as error:
        sys.stderr.write(f"Firestore does not answer, or somebody else seeds: {error.__cause__ or 'run it again'}\n")
        return FAILED
    except CatalogUnreadable as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    except auth_errors.GoogleAuthError as error:
        sys.stderr.write(f"no usable Google credentials: {error}\n")
        return FAILED
    kept = f" ({', '.join(report.kept)})" if report.kept else ""
    sys.stdout.write(
        f"seeded: {len(report.created)} new, {len(report.updated)} with a new price, "
        f"{len(report.kept)} left as operators set them{kept}\n"
    )
    return DONE


async def seed(project_id: str) -> SeedReport:
    """Seed the project's models from the file. Raise CatalogUnavailable or CatalogUnreadable."""
    models = FirestoreModels(firestore.AsyncClient(project=project_id))
    return await CatalogEditor(models).seed(Catalog.from_file(frozenset()).rows())
