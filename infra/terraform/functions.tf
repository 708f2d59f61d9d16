# A Cloud Run service for each row, all of one image: docs/decisions/0035.

locals {
  audience = "https://${var.domain}"

  callers = merge(
    { for scope, email in local.caller_emails : scope => [email] },
    var.callers,
  )

  # What this module knows better than whoever deploys.
  decided = {
    ENVIRONMENT          = "production"
    PROJECT_ID           = var.project
    SERVICE_AUDIENCE     = local.audience
    SERVICE_CALLERS      = join(" ", [for scope, emails in local.callers : "${scope}=${join(",", emails)}"])
    TASKS_LOCATION       = var.region
    TASK_URL             = "https://{service}-${var.project_number}.${var.region}.run.app"
    TASK_SERVICE_ACCOUNT = local.caller_emails["task"]
    # The last address is the load balancer's, and nothing comes past it: see `ingress`.
    ADDRESS_FROM_END = "2"
  }

  # What only some accounts' functions are told, since no other may use it.
  decided_for = {
    notary = {
      CHECKPOINT_KMS_KEY      = "${google_kms_crypto_key.log.id}/cryptoKeyVersions/1"
      CHECKPOINT_VERIFIER_KEY = var.checkpoint_verifier_key
      CHECKPOINT_BUCKET       = google_storage_bucket.checkpoints.name
    }
    gateway   = { VAULT_KMS_KEY = google_kms_crypto_key.vault.id }
    keykeeper = { VAULT_KMS_KEY = google_kms_crypto_key.vault.id }
    keyprover = { VAULT_KMS_KEY = google_kms_crypto_key.vault.id }
  }

  environments = {
    for name, row in local.functions : name => merge(
      local.decided,
      var.settings,
      lookup(local.decided_for, row.service_account, {}),
      { FUNCTION_TARGET = name },
      # Eventarc lets nobody choose its audience.
      can(row.trigger.event) ? { SERVICE_AUDIENCE = var.event_audience == "" ? local.addresses[name] : var.event_audience } : {},
    )
  }

  # These run programs that nobody read, in namespaces and under Landlock, which only the second generation has.
  runs_programs = ["job_step"]
}

resource "google_cloud_run_v2_service" "functions" {
  for_each = local.functions

  name     = local.services[each.key]
  location = var.region

  # Users' tokens are Firebase's, which IAM does not know. Of Google's own tokens, which it does, it would take the
  # signature away before our code sees them. So our code checks both, and IAM neither.
  invoker_iam_disabled = true
  # What users call, they call through the load balancer; what Google's timers, queues and events call, only they do.
  ingress             = can(each.value.trigger.http) ? "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" : "INGRESS_TRAFFIC_INTERNAL_ONLY"
  deletion_protection = false

  template {
    service_account                  = google_service_account.functions[each.value.service_account].email
    timeout                          = "${each.value.timeout_s}s"
    max_instance_request_concurrency = each.value.concurrency
    execution_environment            = contains(local.runs_programs, each.key) ? "EXECUTION_ENVIRONMENT_GEN2" : null

    scaling {
      min_instance_count = lookup(var.instances_warm, each.key, 0)
      # A timer that still runs is not started beside itself.
      max_instance_count = can(each.value.trigger.schedule) ? 1 : var.instances_max
    }

    containers {
      image = var.image

      resources {
        limits = {
          cpu    = "1"
          memory = "${each.value.memory_mb}Mi"
        }
        # Nothing runs after the response, so nothing is paid for between requests.
        cpu_idle          = true
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = { for name, value in local.environments[each.key] : name => value if value != "" }

        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = setintersection(each.value.secrets, var.secrets)

        content {
          name = env.key

          value_source {
            secret_key_ref {
              secret  = google_secret_manager_secret.secrets[env.key].secret_id
              version = "latest"
            }
          }
        }
      }
    }
  }

  depends_on = [
    google_firebaserules_release.firestore,
    google_project_iam_member.firestore,
    google_project_iam_member.users,
    google_service_account.callers,
    google_secret_manager_secret_iam_member.reads,
  ]
}
