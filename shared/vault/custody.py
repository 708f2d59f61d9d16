"""Which key-encryption key a vault has, as the settings say: one in Cloud KMS, or one in a file for development."""

from pathlib import Path

from shared.base.secret import Secret
from shared.base.settings import Environment, Settings, SettingsWrong
from shared.vault.service import KeyEncryptionKey, Vault


def vault_from(settings: Settings) -> Vault:
    """Raise SettingsWrong when no key-encryption key is named.

    Functions that only send what others sealed are not given the key of fingerprints, and need none to open.
    """
    fingerprint_key = settings.vault_fingerprint_key
    if fingerprint_key is None and settings.environment is Environment.LOCAL:
        fingerprint_key = Secret("of a machine where no key is worth anything")
    return Vault(key_from(settings), fingerprint_key)


def key_from(settings: Settings) -> KeyEncryptionKey:
    """Raise SettingsWrong when no key-encryption key is named."""
    if settings.vault_key_file:
        from shared.vault.files import FileKey

        return FileKey(Path(settings.vault_key_file))
    if not settings.vault_kms_key:
        raise SettingsWrong("VAULT_KMS_KEY: without it nothing keeps contributed keys safe")
    from shared.base.google import Google
    from shared.vault.gateway import KmsKey

    return KmsKey(settings.vault_kms_key, Google())
