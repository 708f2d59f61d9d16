"""Which ad units a deployment pays for, as it writes them down."""

import re
from collections.abc import Mapping

from shared.base.economy import AD_TIERS

DASHBOARD_AD_UNIT = "1234567890"
"""The ad unit that AdMob's dashboard names when somebody has it try the address; nobody's own."""
AdUnits = Mapping[str, str]
"""The name of the tier of each ad unit."""
_UNIT = re.compile(r"(?:ca-app-pub-[0-9]{1,20}/)?([0-9]{1,20})")


def parse_ad_units(text: str) -> AdUnits:
    """Read `tier=unit[,unit] tier=unit ...`. Raise ValueError for anything else, and for a unit of two tiers.

    A unit is `ca-app-pub-.../123`, as apps name it, or `123` alone, which is what AdMob's callbacks say.
    """
    tiers = {tier.name for tier in AD_TIERS}
    units: dict[str, str] = {}
    for clause in text.split():
        tier, _, named = clause.partition("=")
        for name in named.split(","):
            unit = _UNIT.fullmatch(name)
            if tier not in tiers or unit is None or unit[1] in units or unit[1] == DASHBOARD_AD_UNIT:
                raise ValueError("AD_UNITS must read tier=unit[,unit] tier=unit ..., each unit once")
            units[unit[1]] = tier
    return units
