# What calls functions by itself: timers, queues, and the events of Firestore.

resource "google_cloud_scheduler_job" "timers" {
  for_each = local.schedules

  name             = local.services[each.key]
  region           = var.region
  schedule         = each.value.trigger.schedule
  time_zone        = "Etc/UTC"
  attempt_deadline = "${max(15, each.value.timeout_s)}s"

  # What one run leaves, the next one finds: none is tried again.
  retry_config {
    retry_count = 0
  }

  http_target {
    http_method = "POST"
    uri         = local.addresses[each.key]
    headers     = { "content-type" = "application/json" }
    body        = base64encode("{}")

    oidc_token {
      service_account_email = google_service_account.callers["timer"].email
      audience              = local.audience
    }
  }

  depends_on = [google_cloud_run_v2_service.functions]
}

resource "google_cloud_tasks_queue" "queues" {
  for_each = local.queues

  name     = each.key
  location = var.region

  rate_limits {
    max_dispatches_per_second = each.value.dispatches_per_s_max
    max_concurrent_dispatches = each.value.dispatches_at_once_max
  }

  retry_config {
    max_attempts       = each.value.attempts_max
    max_retry_duration = "${each.value.retry_s_max}s"
    min_backoff        = "${each.value.backoff_s_min}s"
    max_backoff        = "${each.value.backoff_s_max}s"
    max_doublings      = each.value.doublings_max
  }

  stackdriver_logging_config {
    # What goes wrong is in the functions' own lines.
    sampling_ratio = 0
  }

  depends_on = [google_project_service.used]
}

resource "google_eventarc_trigger" "events" {
  for_each = local.events

  name                    = local.services[each.key]
  location                = google_firestore_database.default.location_id
  service_account         = google_service_account.callers["event"].email
  event_data_content_type = "application/protobuf"

  matching_criteria {
    attribute = "type"
    value     = local.event_types[each.key]
  }

  matching_criteria {
    attribute = "database"
    value     = google_firestore_database.default.name
  }

  matching_criteria {
    attribute = "document"
    value     = local.event_paths[each.key]
    operator  = "match-path-pattern"
  }

  destination {
    cloud_run_service {
      service = google_cloud_run_v2_service.functions[each.key].name
      region  = var.region
      path    = "/"
    }
  }

  depends_on = [google_project_iam_member.events]
}
