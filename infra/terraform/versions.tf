# The whole deployment. `make deploy PROJECT=... REGION=... DOMAIN=...` runs it; docs/operating.md has the steps.

terraform {
  required_version = ">= 1.9.0"

  required_providers {
    google = {
      source = "hashicorp/google"
      # The arguments used here were checked against this version.
      version = "~> 8.7"
    }
  }

  # State has no secret values in it, but it names everything: a bucket of its own, with versions, which `make deploy`
  # names (`-backend-config=bucket=...`).
  backend "gcs" {
    prefix = "credence"
  }
}

provider "google" {
  project = var.project
  region  = var.region
}
