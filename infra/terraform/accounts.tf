# One service account for each name in functions.yaml, and three that timers, queues and events are delivered as.

locals {
  accounts = toset([for row in local.rows : row.service_account])

  # What each may do. Firestore cannot be granted by collection: who writes anything may write all.
  # - firestore: "user" where its functions write, "viewer" where they only read.
  # - queues:    those that its functions post tasks to; it may then let tasks carry the token of `tasks`.
  # - vault:     what it may do with the key that wraps contributed keys.
  access = {
    accounts   = { firestore = "user", queues = [], vault = null }
    adkeeper   = { firestore = "user", queues = [], vault = null }
    auditor    = { firestore = "user", queues = [], vault = null }
    bookkeeper = { firestore = "user", queues = ["payments"], vault = null }
    cardkeeper = { firestore = "user", queues = [], vault = null }
    cashier    = { firestore = "user", queues = ["payments"], vault = null }
    catalog    = { firestore = "user", queues = [], vault = null }
    dispatcher = { firestore = "user", queues = ["jobs"], vault = null }
    # It opens contributed keys to send them, and posts them to be tried when a provider refuses one.
    gateway = { firestore = "user", queues = ["images", "jobs", "keys"], vault = "cryptoKeyDecrypter" }
    # It seals, and opens what it sealed to be sure of it.
    keykeeper = { firestore = "user", queues = ["keys"], vault = "cryptoKeyEncrypterDecrypter" }
    keyprover = { firestore = "user", queues = [], vault = "cryptoKeyDecrypter" }
    ledger    = { firestore = "user", queues = [], vault = null }
    mailroom  = { firestore = "user", queues = ["payments"], vault = null }
    # The only one that may use the signing key and write to the bucket: keys.tf, checkpoints.tf.
    notary    = { firestore = "user", queues = [], vault = null }
    notifier  = { firestore = "user", queues = [], vault = null }
    paymaster = { firestore = "user", queues = ["payments"], vault = null }
    pricer    = { firestore = "user", queues = [], vault = null }
    reader    = { firestore = "viewer", queues = [], vault = null }
    settler   = { firestore = "user", queues = [], vault = null }
    talker    = { firestore = "user", queues = [], vault = null }
    treasurer = { firestore = "user", queues = [], vault = null }
  }

  # Said and not asked for, so that variables are checked against it before anything is planned.
  caller_emails = {
    for scope in ["timer", "task", "event"] : scope => "credence-${scope}@${var.project}.iam.gserviceaccount.com"
  }

  # Functions for users ask Firebase whether the user is still one; nobody else has to do with users.
  asks_about_users = toset([for row in local.rows : row.service_account if contains(["user", "spender"], row.auth)])

  posts = {
    for pair in flatten([
      for account, may in local.access : [for queue in may.queues : { account = account, queue = queue }]
    ]) : "${pair.account}/${pair.queue}" => pair
  }
  posters = toset([for pair in local.posts : pair.account])

  # Each account reads the secrets of its own functions, those of them that have a value.
  reads = {
    for pair in distinct(flatten([
      for row in local.rows : [
        for secret in row.secrets : { account = row.service_account, secret = secret } if contains(var.secrets, secret)
      ]
    ])) : "${pair.account}/${pair.secret}" => pair
  }
}

resource "google_service_account" "functions" {
  for_each = local.accounts

  # Six letters at least, and recognised among others of the project.
  account_id   = "credence-${each.key}"
  display_name = "Credence: ${each.key}"
  description  = "Functions: ${join(", ", [for row in local.rows : row.name if row.service_account == each.key])}"

  lifecycle {
    precondition {
      condition     = contains(keys(local.access), each.key)
      error_message = "accounts.tf does not say what ${each.key} may do."
    }
  }

  depends_on = [google_project_service.used]
}

resource "google_service_account" "callers" {
  for_each = {
    timer = "Cloud Scheduler calls functions as this one"
    task  = "Cloud Tasks delivers tasks as this one"
    event = "Eventarc delivers events as this one"
  }

  account_id   = "credence-${each.key}"
  display_name = "Credence: ${each.key}s"
  description  = each.value

  depends_on = [google_project_service.used]
}

resource "google_project_iam_member" "firestore" {
  for_each = local.accounts

  project = var.project
  role    = "roles/datastore.${local.access[each.key].firestore}"
  member  = google_service_account.functions[each.key].member
}

resource "google_project_iam_member" "users" {
  for_each = local.asks_about_users

  project = var.project
  role    = "roles/firebaseauth.viewer"
  member  = google_service_account.functions[each.key].member
}

resource "google_project_iam_member" "events" {
  project = var.project
  role    = "roles/eventarc.eventReceiver"
  member  = google_service_account.callers["event"].member
}

resource "google_cloud_tasks_queue_iam_member" "posts" {
  for_each = local.posts

  project  = var.project
  location = var.region
  name     = google_cloud_tasks_queue.queues[each.value.queue].name
  role     = "roles/cloudtasks.enqueuer"
  member   = google_service_account.functions[each.value.account].member
}

# A task carries the token of the account `task`, which who posts it must be allowed to act as.
resource "google_service_account_iam_member" "posts" {
  for_each = local.posters

  service_account_id = google_service_account.callers["task"].name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.functions[each.key].member
}

resource "google_secret_manager_secret_iam_member" "reads" {
  for_each = local.reads

  project   = var.project
  secret_id = google_secret_manager_secret.secrets[each.value.secret].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.functions[each.value.account].member
}
