"""Why a key is not taken, not found or not to be used. Messages carry no key and no words of a provider."""

from shared.base.errors import CredenceError, Kind


class ProviderUnknown(CredenceError):
    """No provider of this name is configured here; clients bring keys and never addresses."""

    code = "provider_not_found"
    kind = Kind.ABSENT

    def __init__(self, name: str) -> None:
        super().__init__(f"No provider is called {name} here.", param="provider")


class PoolingRefused(CredenceError):
    """The provider's terms do not allow that a key serves other people's calls, or nobody has checked them."""

    code = "pooling_not_allowed"
    kind = Kind.DENIED

    def __init__(self, provider: str, reason: str) -> None:
        super().__init__(f"Keys of {provider} cannot be contributed. {reason}", param="provider")


class ModelNotServed(CredenceError):
    """The provider has no route to this model."""

    code = "model_not_served"
    kind = Kind.INVALID

    def __init__(self, model_id: str) -> None:
        super().__init__(f"This provider does not serve {model_id} here.", param="models")


class VideoNotLent(CredenceError):
    """A key was offered for a model that films."""

    code = "video_not_lent"
    kind = Kind.INVALID

    def __init__(self, model_id: str) -> None:
        super().__init__(
            f"Keys for {model_id} are not taken: a video is bound for minutes to the key that ordered it, so videos "
            "are made with the platform's own.",
            param="models",
        )


class KeyMalformed(CredenceError):
    """The text cannot be a provider's key."""

    code = "key_malformed"
    kind = Kind.INVALID

    def __init__(self) -> None:
        super().__init__("A provider's key is 8 to 512 characters without spaces.", param="key")


class KeyDuplicate(CredenceError):
    """The same key was deposited before, by this or another person. Nobody is told by whom."""

    code = "key_duplicate"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("This key is contributed already.", param="key")


class TooManyKeys(CredenceError):
    """One person contributes no more keys at once."""

    code = "too_many_keys"
    kind = Kind.DENIED

    def __init__(self, keys_max: int) -> None:
        super().__init__(f"At most {keys_max} keys can be contributed at once; withdraw one first.")


class TooManyDeposits(CredenceError):
    """One person deposits no more keys in a day, whatever becomes of them."""

    code = "too_many_deposits"
    kind = Kind.BUSY

    def __init__(self, deposits_max: int) -> None:
        super().__init__(f"At most {deposits_max} keys are taken from one person in a day (UTC).")


class ContributionAbsent(CredenceError):
    """There is no such key of this owner's."""

    code = "contribution_not_found"
    kind = Kind.ABSENT

    def __init__(self) -> None:
        super().__init__("There is no such contribution.")


class ContributionOver(CredenceError):
    """The key is refused, dead, spent or withdrawn, and stays so."""

    code = "contribution_over"
    kind = Kind.CONFLICT

    def __init__(self, status: str) -> None:
        super().__init__(f"This contribution is {status}.")


class ContributionBusy(CredenceError):
    """Others kept changing the same key; nothing was changed."""

    code = "contribution_busy"
    kind = Kind.BUSY

    def __init__(self) -> None:
        super().__init__("Others are changing this contribution. Try again.")


class NotContributed(CredenceError):
    """The entry charges for no call that a contributed key served."""

    code = "not_contributed"
    kind = Kind.INVALID

    def __init__(self) -> None:
        super().__init__("No contributed key served what this receipt is for.", param="receipt_id")


class ComplaintLate(CredenceError):
    """The call is too long ago to be looked into."""

    code = "complaint_late"
    kind = Kind.CONFLICT

    def __init__(self, days_max: int) -> None:
        super().__init__(f"Complaints are taken for {days_max} days after a call.", param="receipt_id")


class ComplaintMade(CredenceError):
    """There is another complaint about this call already; there is one for each."""

    code = "complaint_made"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("There is another complaint about this call already.", param="receipt_id")


class TooManyComplaints(CredenceError):
    """One person complains no more often in a day."""

    code = "too_many_complaints"
    kind = Kind.BUSY

    def __init__(self, complaints_max: int) -> None:
        super().__init__(f"At most {complaints_max} complaints are taken from one person in a day (UTC).")


class ComplaintAbsent(CredenceError):
    """There is no complaint of this id."""

    code = "complaint_not_found"
    kind = Kind.ABSENT

    def __init__(self) -> None:
        super().__init__("There is no such complaint.")


class ComplaintJudged(CredenceError):
    """An operator has decided otherwise already, and that stays."""

    code = "complaint_judged"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("This complaint was decided otherwise already.")


class ValidationPending(CredenceError):
    """The provider could not be asked just now; the key is tried again."""

    code = "validation_pending"
    kind = Kind.UNAVAILABLE

    def __init__(self, provider: str) -> None:
        super().__init__(f"The provider {provider} could not be asked just now.")


class ContributionsUnavailable(CredenceError):
    """The store did not answer in time; a write may or may not have been made."""

    code = "contributions_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("Contributions cannot be reached at the moment. Try again shortly.")
