# Wakes somebody. What each alarm means is read from the table in docs/operating.md, which a test holds to the code.

locals {
  operating = file("${local.repository}/docs/operating.md")
  watched   = split("\n## ", split("\n## What to look at\n", local.operating)[1])[0]

  # Rows like "| `a`, `b` | what it means |": one alert for each name.
  alarms = merge([
    for row in regexall("(?m)^\\| (`[^|]+`) \\| (.+) \\|$", local.watched) : {
      for name in regexall("`([a-z_]+)`", row[0]) : name[0] => row[1]
    }
  ]...)

}

resource "google_monitoring_notification_channel" "email" {
  for_each = var.alert_emails

  display_name = each.key
  type         = "email"
  labels       = { email_address = each.key }

  depends_on = [google_project_service.used]
}

resource "google_monitoring_alert_policy" "alarms" {
  for_each = local.alarms

  display_name          = "Credence: ${each.key}"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.id]

  documentation {
    mime_type = "text/markdown"
    content   = each.value
  }

  conditions {
    display_name = each.key

    condition_matched_log {
      filter = "resource.type=\"cloud_run_revision\" AND severity=\"CRITICAL\" AND jsonPayload.message=\"${each.key}\""
    }
  }

  alert_strategy {
    auto_close = "86400s"

    notification_rate_limit {
      period = "3600s"
    }
  }

  depends_on = [google_project_service.used]
}

# What is in no table, or comes from below our own code.
resource "google_monitoring_alert_policy" "others" {
  for_each = {
    critical = {
      filter = "resource.type=\"cloud_run_revision\" AND severity>=\"CRITICAL\" AND NOT jsonPayload.message=(${join(" OR ", [for name in keys(local.alarms) : "\"${name}\""])})"
      text   = "A function wrote a CRITICAL line that docs/operating.md does not explain."
    }
    given_up = {
      filter = "resource.type=\"cloud_run_revision\" AND jsonPayload.message=(\"task_dropped\" OR \"event_dropped\")"
      text   = "A task or an event can never succeed and was given up; nobody looks at it again."
    }
    timers = {
      filter = "resource.type=\"cloud_scheduler_job\" AND severity>=\"ERROR\""
      text   = "A timer was refused or failed. One failure is made up for by the next run; several are not."
    }
  }

  display_name          = "Credence: ${each.key}"
  combiner              = "OR"
  severity              = each.key == "critical" ? "CRITICAL" : "WARNING"
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.id]

  documentation {
    mime_type = "text/markdown"
    content   = each.value.text
  }

  conditions {
    display_name = each.key

    condition_matched_log {
      filter = each.value.filter
    }
  }

  alert_strategy {
    auto_close = "86400s"

    notification_rate_limit {
      period = "3600s"
    }
  }

  depends_on = [google_project_service.used]
}
