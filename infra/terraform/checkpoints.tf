# Where signed checkpoints cannot be taken back, by an owner of the project either.

resource "google_storage_bucket" "checkpoints" {
  name                        = "${var.project}-checkpoints"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false

  retention_policy {
    retention_period = var.checkpoints_kept_s
    is_locked        = var.checkpoints_locked
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_project_service.used]
}

# It files a checkpoint, and looks for the last one. It can neither replace nor delete any.
resource "google_storage_bucket_iam_member" "notary" {
  for_each = toset(["roles/storage.objectCreator", "roles/storage.objectViewer"])

  bucket = google_storage_bucket.checkpoints.name
  role   = each.key
  member = google_service_account.functions["notary"].member
}
