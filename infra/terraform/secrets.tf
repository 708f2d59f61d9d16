# Secrets are made empty. Their values are added by hand (docs/operating.md), so that they are in no state and no plan.

resource "google_secret_manager_secret" "secrets" {
  for_each = local.secrets

  secret_id = each.key

  replication {
    auto {}
  }

  lifecycle {
    # RISK_KEY and VAULT_FINGERPRINT_KEY cannot be made anew without loss.
    prevent_destroy = true
  }

  depends_on = [google_project_service.used]
}
