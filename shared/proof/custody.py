"""Who signs and who keeps what was signed, as the settings say: Cloud KMS and a bucket, or a key file and a folder."""

from pathlib import Path

from shared.base.settings import Settings, SettingsWrong
from shared.proof.errors import NoteWrong
from shared.proof.note import VerifierKey
from shared.proof.signer import LocalSigner, Signer
from shared.proof.vault import FolderVault, Vault


def signer_from(settings: Settings) -> Signer:
    """Raise SettingsWrong when no key is named, SigningFailed when the key file cannot be used."""
    if settings.checkpoint_key_file and settings.checkpoint_origin:
        return LocalSigner.from_file(settings.checkpoint_origin, Path(settings.checkpoint_key_file))
    if not (settings.checkpoint_kms_key and settings.checkpoint_verifier_key):
        raise SettingsWrong("CHECKPOINT_KMS_KEY and CHECKPOINT_VERIFIER_KEY: both are needed to sign checkpoints")
    from shared.base.google import Google
    from shared.proof.gateway import KmsSigner

    try:
        key = VerifierKey.parse(settings.checkpoint_verifier_key)
    except NoteWrong as error:
        raise SettingsWrong(f"CHECKPOINT_VERIFIER_KEY: {error}") from None
    return KmsSigner(settings.checkpoint_kms_key, key, Google())


def vault_from(settings: Settings) -> Vault:
    """Raise SettingsWrong when neither a bucket nor a folder is named."""
    if settings.checkpoint_folder:
        return FolderVault(Path(settings.checkpoint_folder))
    if not settings.checkpoint_bucket:
        raise SettingsWrong("CHECKPOINT_BUCKET: without it nothing keeps what was signed")
    from shared.base.google import Google
    from shared.proof.gateway import BucketVault

    return BucketVault(settings.checkpoint_bucket, Google())
