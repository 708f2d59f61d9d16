"""`python -m credence`: what an operator or a stranger runs by hand."""

import argparse
import sys

from credence import catalog, export, key, rewrap, verify


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m credence", description="Check a Credence ledger, keep its catalog and its vault."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    verify.add_arguments(commands.add_parser("verify", help="check an account, the ledger, a receipt, or the log"))
    export.add_arguments(commands.add_parser("export", help="write a project's ledger and log to a file"))
    catalog.add_catalog_arguments(commands.add_parser("catalog", help="check and compile the catalog of models"))
    catalog.add_seed_arguments(commands.add_parser("seed", help="write the catalog's prices to a project"))
    key.add_arguments(commands.add_parser("key", help="write the signing key's public half as verifiers take it"))
    rewrap.add_arguments(commands.add_parser("rewrap", help="rotate what wraps contributed keys, and wrap them anew"))
    options = parser.parse_args(arguments)
    code: int = options.run(options)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
