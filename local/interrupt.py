"""Ctrl-C and SIGTERM for programs that start a stack: the first one stops everything, the next do not disturb that."""

import signal
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def interrupt_on_signals() -> None:
    """Let the first of these signals raise KeyboardInterrupt, at start too, and the later ones do nothing."""
    for number in SIGNALS:
        signal.signal(number, _interrupt)


def _interrupt(*_: object) -> NoReturn:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
