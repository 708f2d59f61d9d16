# Keys never leave Cloud KMS. Without the first nothing is signed as ours any more, without the second every contributed
# key is lost: neither can be destroyed from here.

resource "google_kms_key_ring" "keys" {
  name     = "credence"
  location = var.region

  depends_on = [google_project_service.used]
}

resource "google_kms_crypto_key" "log" {
  name     = "log"
  key_ring = google_kms_key_ring.keys.id
  purpose  = "ASYMMETRIC_SIGN"

  version_template {
    algorithm        = "EC_SIGN_ED25519"
    protection_level = "SOFTWARE"
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_kms_crypto_key" "vault" {
  name     = "vault"
  key_ring = google_kms_key_ring.keys.id
  purpose  = "ENCRYPT_DECRYPT"
  # 90 days. What earlier versions wrapped still unwraps; `python -m credence rewrap` wraps it anew.
  rotation_period = "7776000s"

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_kms_crypto_key_iam_member" "log" {
  crypto_key_id = google_kms_crypto_key.log.id
  role          = "roles/cloudkms.signer"
  member        = google_service_account.functions["notary"].member
}

resource "google_kms_crypto_key_iam_member" "vault" {
  for_each = { for account, may in local.access : account => may.vault if may.vault != null }

  crypto_key_id = google_kms_crypto_key.vault.id
  role          = "roles/cloudkms.${each.value}"
  member        = google_service_account.functions[each.key].member
}
