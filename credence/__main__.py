"""`python -m credence`: what an operator or a stranger runs by hand."""

import argparse
import sys

from credence import verify


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m credence", description="Check a Credence ledger.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    verify.add_arguments(commands.add_parser("verify", help="check an account, the ledger, a receipt, or the log"))
    options = parser.parse_args(arguments)
    code: int = options.run(options)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
