"""Why a model cannot be called or changed."""

from shared.base.errors import CredenceError, Kind


class ModelUnknown(CredenceError):
    """No such model, or none that is enabled and served by a provider that is configured here."""

    code = "model_not_found"
    kind = Kind.ABSENT

    def __init__(self, model_id: str) -> None:
        super().__init__(
            f"There is no model {model_id[:100]!r} here; GET /v1/models lists those there are.", param="model"
        )


class ModelUnpriced(CredenceError):
    """The model has no price for this kind of call, and what has no price is not sold."""

    code = "model_not_priced"
    kind = Kind.INVALID

    def __init__(self, model_id: str) -> None:
        super().__init__(f"The model {model_id!r} has no price for this kind of call.", param="model")


class ModelUnfit(CredenceError):
    """The model answers another kind of call."""

    code = "model_not_supported"
    kind = Kind.INVALID

    def __init__(self, model_id: str, needs: str) -> None:
        super().__init__(f"The model {model_id!r} does not support {needs}.", param="model")


class ModelNotAllowed(CredenceError):
    """The caller's card is for other models."""

    code = "model_not_allowed"
    kind = Kind.DENIED

    def __init__(self, model_id: str) -> None:
        super().__init__(f"This card may not call the model {model_id!r}.", param="model")


class ChangeInvalid(CredenceError):
    """The model would not be one that can be sold; nothing was written."""

    code = "model_change_invalid"
    kind = Kind.INVALID

    def __init__(self, reason: str) -> None:
        super().__init__(f"The change cannot be made: {reason}.")


class VersionConflict(CredenceError):
    """Somebody else changed the model meanwhile; look at what it is now, and decide again."""

    code = "model_version_conflict"
    kind = Kind.CONFLICT

    def __init__(self, model_id: str, *, expected_version: int, version: int) -> None:
        super().__init__(
            f"The model {model_id!r} is at version {version} and not at {expected_version}.", param="expected_version"
        )
        self.version = version

    def details(self) -> dict[str, int | str]:
        """The version there is."""
        return {"version": self.version}


class CatalogUnavailable(CredenceError):
    """The store of prices did not answer in time; whether a change was made is not known, and a repeat is safe."""

    code = "catalog_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("The catalog cannot be written at the moment. Repeat the request.")


class CatalogUnreadable(CredenceError):
    """What is stored of a model is none of ours: its version is no count."""

    code = "catalog_unreadable"
    kind = Kind.CONFLICT

    def __init__(self, model_id: str) -> None:
        super().__init__(f"What is stored of the model {model_id!r} was not written by a function of this catalog.")
