resource "google_project_service" "used" {
  for_each = toset([
    "artifactregistry.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudkms.googleapis.com",
    "cloudscheduler.googleapis.com",
    "cloudtasks.googleapis.com",
    "compute.googleapis.com",
    "eventarc.googleapis.com",
    "firebaserules.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "identitytoolkit.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "storage.googleapis.com",
  ])

  service = each.key
  # Something else in the project may use it, too.
  disable_on_destroy = false
}

# Who users are. Which ways of signing in there are, is chosen in the console of Firebase.
resource "google_identity_platform_config" "users" {
  depends_on = [google_project_service.used]

  lifecycle {
    # What was chosen there stays.
    ignore_changes = [sign_in]
  }
}

# One image holds all functions; each service starts it with its own FUNCTION_TARGET.
resource "google_artifact_registry_repository" "images" {
  repository_id = "credence"
  location      = var.region
  format        = "DOCKER"
  description   = "What the functions of Credence run from."

  cleanup_policies {
    id     = "keep-those-to-go-back-to"
    action = "KEEP"

    most_recent_versions {
      keep_count = 10
    }
  }

  cleanup_policies {
    id     = "delete-the-rest"
    action = "DELETE"

    condition {
      older_than = "2592000s"
    }
  }

  depends_on = [google_project_service.used]
}
