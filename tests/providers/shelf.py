"""The internet, as far as tests need it."""

from typing import Any

from shared.base.egress import AddressRefused
from shared.base.fetcher import Fetched, Fetcher


class Shelf(Fetcher):
    """Stands for the internet: what is at each address, or a refusal. Remembers what it was asked."""

    def __init__(self, **found: bytes) -> None:
        super().__init__()
        self.found = {f"https://example.com/{name}.png": content for name, content in found.items()}
        self.asked: list[tuple[str, int]] = []

    async def fetch(self, url: str, *, bytes_max: int, media_types: Any, timeout_s: float) -> Fetched:
        self.asked.append((url, bytes_max))
        if url not in self.found:
            raise AddressRefused("What the URL leads to could not be read.")
        return Fetched(self.found[url], "image/png")
