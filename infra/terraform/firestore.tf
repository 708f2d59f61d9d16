# The database, and from the files that the emulator reads: its rules and its indexes.

locals {
  index_file = jsondecode(file("${local.repository}/firestore.indexes.json"))

  indexes = {
    for index in local.index_file.indexes :
    join("/", concat([index.collectionGroup, index.queryScope], [for field in index.fields : field.fieldPath])) => index
  }
  fields = { for field in local.index_file.fieldOverrides : "${field.collectionGroup}/${field.fieldPath}" => field }
}

resource "google_firestore_database" "default" {
  # The one that Firebase's own libraries speak with.
  name                              = "(default)"
  location_id                       = var.firestore_location == "" ? var.region : var.firestore_location
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "OPTIMISTIC"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = "DELETE_PROTECTION_ENABLED"
  deletion_policy                   = "ABANDON"

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_project_service.used]
}

# To any minute of the last seven days a database is restored from itself; beyond that, from these.
resource "google_firestore_backup_schedule" "daily" {
  database  = google_firestore_database.default.name
  retention = "2592000s" # 30 days

  daily_recurrence {}
}

resource "google_firestore_backup_schedule" "weekly" {
  database  = google_firestore_database.default.name
  retention = "8467200s" # 14 weeks, the longest that there is

  weekly_recurrence {
    day = "SUNDAY"
  }
}

resource "google_firestore_index" "indexes" {
  for_each = local.indexes

  database    = google_firestore_database.default.name
  collection  = each.value.collectionGroup
  query_scope = each.value.queryScope

  dynamic "fields" {
    for_each = each.value.fields

    content {
      field_path   = fields.value.fieldPath
      order        = lookup(fields.value, "order", null)
      array_config = lookup(fields.value, "arrayConfig", null)
    }
  }
}

resource "google_firestore_field" "fields" {
  for_each = local.fields

  database   = google_firestore_database.default.name
  collection = each.value.collectionGroup
  field      = each.value.fieldPath

  # With nothing inside it says that the field has no index of its own.
  index_config {
    dynamic "indexes" {
      for_each = each.value.indexes

      content {
        query_scope  = indexes.value.queryScope
        order        = lookup(indexes.value, "order", null)
        array_config = lookup(indexes.value, "arrayConfig", null)
      }
    }
  }

  dynamic "ttl_config" {
    for_each = lookup(each.value, "ttl", false) ? [true] : []

    content {}
  }
}

resource "google_firebaserules_ruleset" "firestore" {
  source {
    files {
      name    = "firestore.rules"
      content = file("${local.repository}/firestore.rules")
    }
  }

  lifecycle {
    # The old rules hold until the new ones are released.
    create_before_destroy = true
  }

  depends_on = [google_firestore_database.default]
}

resource "google_firebaserules_release" "firestore" {
  name         = "cloud.firestore"
  project      = var.project
  ruleset_name = "projects/${var.project}/rulesets/${google_firebaserules_ruleset.firestore.name}"

  # The last of the database: whatever waits for this finds every index made.
  depends_on = [google_firestore_field.fields, google_firestore_index.indexes]
}
