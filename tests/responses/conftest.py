"""Responses over the fake providers and the checked ledger that chats are tested with."""

from tests.chat.conftest import shop

__all__ = ["shop"]
