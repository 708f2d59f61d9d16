"""What goes wrong with the vault. Messages name facts and never carry a secret."""

from shared.base.errors import CredenceError, Kind


class VaultUnavailable(CredenceError):
    """The key-encryption key did not answer in time."""

    code = "vault_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self, what: str = "did not answer") -> None:
        super().__init__("Keys cannot be kept or used at the moment. Try again shortly.")
        self.what = what


class VaultSealed(Exception):
    """An envelope does not open: it was changed, belongs to another binding, or its key-encryption key is gone.

    Nobody can mend that by trying again, and whoever asked is not to be told more.
    """
