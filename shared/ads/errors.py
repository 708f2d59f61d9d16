"""Why an ad cannot be watched, or a callback about one is not believed."""

from shared.base.errors import CredenceError, Kind


class AdsAbsent(CredenceError):
    """This deployment has no ad units, or none of this tier."""

    code = "ads_not_offered"
    kind = Kind.ABSENT

    def __init__(self) -> None:
        super().__init__("No such ads are offered here.")


class AdTooSoon(CredenceError):
    """The last ad was only just now."""

    code = "ad_too_soon"
    kind = Kind.BUSY

    def __init__(self, *, retry_after_ms: int) -> None:
        super().__init__("The last ad was only just now. Wait a little before the next.")
        self.retry_after_ms = retry_after_ms

    def details(self) -> dict[str, int | str]:
        """When another may begin."""
        return {"retry_after_ms": self.retry_after_ms}


class AdCapReached(CredenceError):
    """Today's ads of this tier have all been watched."""

    code = "ad_cap_reached"
    kind = Kind.DENIED

    def __init__(self, *, per_day_max: int, resets_at_ms: int) -> None:
        super().__init__(f"All {per_day_max} ads of this kind have been watched today (UTC).")
        self.per_day_max = per_day_max
        self.resets_at_ms = resets_at_ms

    def details(self) -> dict[str, int | str]:
        """How many there are in a day, and when the next begins."""
        return {"per_day_max": self.per_day_max, "resets_at_ms": self.resets_at_ms}


class CallbackMalformed(CredenceError):
    """The query is not one that AdMob makes: parameters missing, unknown, twice, or not of their form."""

    code = "ad_callback_malformed"
    kind = Kind.INVALID

    def __init__(self) -> None:
        super().__init__("This is not a callback of AdMob.")


class CallbackForged(CredenceError):
    """The signature is not over this query, or not by a key of Google's."""

    code = "ad_callback_forged"
    kind = Kind.DENIED

    def __init__(self) -> None:
        super().__init__("This callback is not signed by Google.")


class CallbackStale(CredenceError):
    """The callback is signed, and about another time than now."""

    code = "ad_callback_stale"
    kind = Kind.INVALID

    def __init__(self) -> None:
        super().__init__("This callback is too old, or from the future.")


class AdUnitUnknown(CredenceError):
    """The callback is signed, and about an ad of somebody else's: Google signs those of all publishers alike."""

    code = "ad_unit_unknown"
    kind = Kind.DENIED

    def __init__(self) -> None:
        super().__init__("This ad unit is not one of ours.")


class VerifierKeysUnavailable(CredenceError):
    """Google's keys cannot be had just now, so nothing can be said of a callback. A repeat is safe."""

    code = "ad_keys_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("Callbacks cannot be verified just now. Try again.")


class AdsUnavailable(CredenceError):
    """The store did not answer in time, or too many others wrote at the same moment. A repeat is safe."""

    code = "ads_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("Ads could not be counted just now. Try again.")
