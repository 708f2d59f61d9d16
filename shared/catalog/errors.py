"""Why a model cannot be called."""

from shared.base.errors import CredenceError, Kind


class ModelUnknown(CredenceError):
    """No such model, or no provider that serves it is configured here."""

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
