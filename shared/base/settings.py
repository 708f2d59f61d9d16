"""What a deployment configures, read once from the environment and checked before anything is built.

Read by our own few lines and not pydantic-settings, which would add a tenth of a second to every cold start.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

GOOGLE_IDENTITY_CERTS_URL = "https://www.googleapis.com/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com"
GOOGLE_OIDC_CERTS_URL = "https://www.googleapis.com/oauth2/v1/certs"


class Environment(StrEnum):
    """Where this process runs. Production is the default, so that forgetting to say so is safe."""

    LOCAL = "local"
    PRODUCTION = "production"


class SettingsWrong(Exception):
    """The environment cannot be used as it is; the process must not start."""


class Settings(BaseModel):
    """Every knob. The environment variable is the field's name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    environment: Environment = Environment.PRODUCTION
    project_id: str = Field(min_length=1)
    firestore_emulator_host: str | None = None
    firebase_auth_emulator_host: str | None = None
    identity_certs_url: str = GOOGLE_IDENTITY_CERTS_URL
    oidc_certs_url: str = GOOGLE_OIDC_CERTS_URL
    service_audience: str | None = None
    """The `aud` that service tokens must carry; no audience configured means no service is let in."""
    service_callers: str = ""
    """Who may do what: `scope=email[,email] scope=email ...`."""
    standin_url: str | None = None
    """Base URL of the local model stand-in; it answers for every model that has no better route."""
    standin_disconnect: Literal["drain", "estimate", "free"] = "estimate"
    """What the stand-in's stream costs when its client leaves; tests try all three."""
    huggingface_api_key: SecretStr | None = None
    huggingface_base_url: str = "https://router.huggingface.co/v1"
    openrouter_api_key: SecretStr | None = None
    openrouter_base_url: str = "https://openrouter.ai/api/v1"

    @model_validator(mode="after")
    def _refuse_emulators_in_production(self) -> Self:
        """An emulator accepts unsigned tokens: in production that would let anyone be anyone."""
        if self.environment is Environment.PRODUCTION:
            local_only = {
                "FIRESTORE_EMULATOR_HOST": self.firestore_emulator_host,
                "FIREBASE_AUTH_EMULATOR_HOST": self.firebase_auth_emulator_host,
                "STANDIN_URL": self.standin_url,
                "IDENTITY_CERTS_URL": self.identity_certs_url != GOOGLE_IDENTITY_CERTS_URL,
                "OIDC_CERTS_URL": self.oidc_certs_url != GOOGLE_OIDC_CERTS_URL,
            }
            if found := sorted(name for name, value in local_only.items() if value):
                raise ValueError(f"{', '.join(found)} must not be set in production (set ENVIRONMENT=local to develop)")
        return self

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Raise SettingsWrong, naming the variables and no values, when the environment cannot be used."""
        named = {name: environment[name.upper()] for name in cls.model_fields if environment.get(name.upper())}
        named.setdefault("project_id", environment.get("GOOGLE_CLOUD_PROJECT", ""))
        try:
            return cls.model_validate(named)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc'])).upper() or 'settings'}: {fault['msg']}" for fault in error.errors()
            )
            raise SettingsWrong(faults) from None
