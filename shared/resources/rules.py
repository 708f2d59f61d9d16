"""Pure rules of contributed keys: what a call pays whom, what an advance is and earns, and how far a key is trusted."""

from shared.ledger.models import HOUSE_REVENUE, Share
from shared.resources.models import ContributedKey

PPM = 1_000_000
OWNER_PPM = 850_000
"""The owner's part of what their key served, in millionths of the price."""
ADVANCED_PPM = 100_000
"""The part of that which is advanced at validation and earned by use."""
RELEASED_WEIGHT, PLATFORM_WEIGHT = 765, 235
"""How the capture itself is split: 0.85 x 0.9 to the owner. What of the advance the call earns is posted when it is
settled, out of the platform's weight, which keeps 15 % then."""


def shares_of(key: ContributedKey) -> tuple[Share, ...]:
    """The split of a call that the key served. The platform comes first, for it takes what rounding leaves."""
    return (Share(HOUSE_REVENUE, PLATFORM_WEIGHT), Share(key.earn_id, RELEASED_WEIGHT))


def advance_of(quota_micros: int) -> int:
    """What is advanced for a quota: a tenth of 85 % of it, rounded down."""
    return quota_micros * OWNER_PPM * ADVANCED_PPM // (PPM * PPM)
