"""A server whose certificate and name stand for Google's."""

from tests.base.test_fetcher import site

__all__ = ["site"]
