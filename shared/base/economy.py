"""The product's numbers, in one typed place. Prices of models are in shared/catalog/catalog.toml."""

from collections.abc import Mapping

from msgspec import Struct

from shared.base.micros import credits_to_micros

DAY_MS = 86_400_000


class WelcomeStage(Struct, frozen=True):
    """One part of the welcome bonus, granted when the signal it names is proved."""

    name: str
    amount_micros: int


FIRST_USE = "first_use"
WELCOME_STAGES = (
    WelcomeStage("email", credits_to_micros(250)),
    WelcomeStage("phone", credits_to_micros(250)),
    WelcomeStage(FIRST_USE, credits_to_micros(500)),
)
"""1,000 credits in all. Staged, because the whole bonus is worth more than a forged sign-up costs."""

WELCOME_LIFETIME_MS = 90 * DAY_MS
HOLDS_OPEN_MAX = 128
"""Calls in flight on one account; each hold is about 60 bytes on the head, which is rewritten with every posting."""
HOLDS_PER_WINDOW_MAX = 600
WINDOW_MS = 60_000
HOLD_LIFETIME_MS = 15 * 60_000
"""Longer than the longest call (chat times out at 5 minutes), so a live call never meets its own expired hold."""

IMAGE_JOB_LIFETIME_MS = 30 * 60_000
"""From its acceptance until an image job is over, one way or another."""
IMAGE_JOB_HOLD_LIFETIME_MS = IMAGE_JOB_LIFETIME_MS + 10 * 60_000
"""What a job holds outlives it by as long as one run of its function may take to find that it is over."""
IMAGE_JOB_KEPT_MS = DAY_MS
"""A job and its pictures are deleted so long after it was accepted (Firestore takes up to a day more)."""

SENT_PER_DAY_MICROS_MAX = credits_to_micros(10_000)
"""What one person may send to others in a day (UTC): a stolen sign-in empties no large wallet overnight."""
SEND_REPEAT_WINDOW_MS = 10 * 60_000
"""How long the same amount to the same person looks like a second click."""
LOW_BALANCE_MICROS = credits_to_micros(50)
"""Whoever falls below is told, while there is still enough for some calls."""
LARGE_MOVEMENT_MICROS = credits_to_micros(500)
"""Far above any single call. The last part of the welcome bonus is as large, and its owner may hear of it."""

DEMAND_PPM_MIN = 800_000
DEMAND_PPM_MAX = 2_000_000
"""Between these a model's price moves with demand, in millionths of its price in the catalog."""
DEMAND_STEP_PPM_MAX = 50_000
"""The most a price moves in five minutes: whoever looked at it just now is not surprised."""
ANSWER_AGAIN_PPM = 100_000
"""What an answer told again costs, in millionths of what asking the model would have cost: a tenth."""
ANSWER_LIFETIME_MS = DAY_MS
"""How long an answer is kept for whoever asked to be told it again."""


class Pack(Struct, frozen=True):
    """Credits that are sold together. Prices are in the currency's smallest unit: cents, paise."""

    pack_id: str
    title: str
    credits_micros: int
    bonus_micros: int
    """Promotional credits on top; they go back with a refund."""
    prices_minor: Mapping[str, int]


PACKS = (
    Pack("starter", "Starter", credits_to_micros(100), 0, {"USD": 99, "INR": 7_900}),
    Pack("popular", "Popular", credits_to_micros(500), credits_to_micros(50), {"USD": 499, "INR": 39_900}),
    Pack("best_value", "Best Value", credits_to_micros(1_000), credits_to_micros(200), {"USD": 899, "INR": 69_900}),
)
LIST_CREDITS_PER_DOLLAR = 150
"""The catalog's prices are what providers ask, at so many credits to a dollar."""
COST_PPM = max(
    -(-(pack.credits_micros + pack.bonus_micros) * 100 // (pack.prices_minor["USD"] * LIST_CREDITS_PER_DOLLAR))
    for pack in PACKS
)
"""What a provider asks for what costs a million micros here: less, for even the cheapest credits are sold for more than
the 150th part of a dollar. Below this part of the catalog's price a call would be sold at a loss."""
PACK_BONUS_LIFETIME_MS = 365 * DAY_MS
"""Bought credits never expire; those on top are spent first, and a year is enough for it."""
ORDER_LIFETIME_MS = 60 * 60_000
"""How long a checkout stays open. Stripe takes from 30 minutes to a day."""
REFUND_WINDOW_MS = 14 * DAY_MS
"""How long buyers may give back what they have not touched; the European right of withdrawal is as long."""


class AdTier(Struct, frozen=True):
    """A kind of rewarded ad, with ad units of its own."""

    name: str
    amount_micros: int
    per_day_max: int
    """How many of them one person is paid for in a day (UTC)."""


AD_TIERS = (
    AdTier("text", credits_to_micros(5), per_day_max=10),
    AdTier("image", credits_to_micros(10), per_day_max=5),
    AdTier("video", credits_to_micros(15), per_day_max=5),
)
"""175 credits a day at most: 1.17 dollars at our price, far from what a farm of devices costs to run well."""
AD_LIFETIME_MS = 30 * DAY_MS
"""How long credits from ads can be spent."""
AD_COOLDOWN_MS = 30_000
"""From the beginning of one ad, and from the reward for it, to the beginning of the next."""
AD_REWARD_GAP_MS_MIN = 5_000
"""No rewarded ad is shorter, so two rewards that lie closer were not watched by one person one after the other."""
AD_OFFER_LIFETIME_MS = 3_600_000
"""AdMob shows an ad for an hour after it was loaded."""
