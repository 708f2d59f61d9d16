"""Claims in memory: the promises of the store, for tests of what stands on them."""

from shared.base.ids import UserId


class MemoryClaims:
    """Claims of the welcome bonus, in a dictionary."""

    def __init__(self) -> None:
        self.holders: dict[str, UserId] = {}

    async def claim(self, person: str, user_id: UserId) -> bool:
        return self.holders.setdefault(person, user_id) == user_id
