variable "project" {
  description = "Id of the Google Cloud project, which exists and has billing."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "A project's id has 6 to 30 lower-case letters, digits and hyphens."
  }
}

variable "project_number" {
  description = "Number of the same project, which stands in the addresses of its Cloud Run services."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{6,20}$", var.project_number))
    error_message = "A project's number has digits only: gcloud projects describe PROJECT --format='value(projectNumber)'."
  }
}

variable "region" {
  description = "Where functions, queues, timers, keys and the bucket are: europe-west1."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region looks like europe-west1."
  }
}

variable "firestore_location" {
  description = "Where Firestore keeps its documents: a region, eur3 or nam5. It can never be changed. Empty: as region."
  type        = string
  default     = ""

  validation {
    condition     = var.firestore_location == "" || can(regex("^([a-z]+-[a-z]+[0-9]+|eur3|nam5)$", var.firestore_location))
    error_message = "A location is a region, eur3 or nam5."
  }
}

variable "domain" {
  description = "The host that everything is served at, whose address record will point to the load balancer: api.example.com."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z]{2,63}$", var.domain))
    error_message = "A domain is a host name without https:// and without a path."
  }
}

variable "image" {
  description = "The image that all functions are run from, by its digest. `make deploy` builds it and says so."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9.-]+-docker[.]pkg[.]dev/.+@sha256:[0-9a-f]{64}$", var.image))
    error_message = "The image is named by its digest: REGION-docker.pkg.dev/PROJECT/credence/functions@sha256:..."
  }
}

variable "secrets" {
  description = "Names of those secrets of functions.yaml that have a value. The others are made, and given to nobody."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.secrets, local.secrets)) == 0
    error_message = "No function reads a secret of this name; functions.yaml has those that there are."
  }
}

variable "settings" {
  description = "Settings of docs/operating.md that are no secrets and that nothing here decides: PAYPAL_CLIENT_ID, AD_UNITS."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.settings) : can(regex("^[A-Z][A-Z0-9_]*$", name))])
    error_message = "A setting is named in capitals."
  }

  validation {
    condition     = length(setintersection(keys(var.settings), local.secrets)) == 0
    error_message = "Secrets belong into Secret Manager, and not into the state of Terraform."
  }

  validation {
    condition     = length(setintersection(keys(var.settings), keys(local.decided))) == 0
    error_message = "One of these settings is decided here already (functions.tf, local.decided)."
  }
}

variable "callers" {
  description = "Who may do what, beside timers, queues and events: { \"credit:debit\" = [\"backend@project.iam.gserviceaccount.com\"] }."
  type        = map(list(string))
  default     = {}

  validation {
    condition     = length(setintersection(keys(var.callers), ["timer", "task", "event"])) == 0
    error_message = "The scopes timer, task and event belong to service accounts that are made here, and to nobody else."
  }

  validation {
    condition = alltrue(flatten([
      for scope, emails in var.callers : [
        can(regex("^[a-z][a-z0-9_.:-]*$", scope)),
        length(emails) > 0,
        [for email in emails : can(regex("^[^@\\s=,]+@[^@\\s=,]+$", email))],
      ]
    ]))
    error_message = "A scope looks like credit:debit, and is given to e-mail addresses of service accounts."
  }
}

variable "event_audience" {
  description = "What Eventarc writes into its tokens as audience. Empty: the address of the function that takes the events."
  type        = string
  default     = ""
}

variable "checkpoint_verifier_key" {
  description = "The public half of the signing key, `name+id+key`: `python -m credence key` tells it. Without it nothing is signed."
  type        = string
  default     = ""

  validation {
    condition     = var.checkpoint_verifier_key == "" || can(regex("^[^+\\s]+[+][0-9a-f]{8}[+][A-Za-z0-9+/]{44}$", var.checkpoint_verifier_key))
    error_message = "A verifier key reads name+id+key."
  }
}

variable "checkpoints_kept_s" {
  description = "How long nobody can delete a checkpoint: ten years."
  type        = number
  default     = 315360000

  validation {
    condition     = var.checkpoints_kept_s >= 1 && var.checkpoints_kept_s <= 3155760000
    error_message = "Cloud Storage keeps things for a second to a hundred years."
  }
}

variable "checkpoints_locked" {
  description = "Whether that can never be shortened, by nobody. Locking is for ever: false only where a deployment is tried out."
  type        = bool
  default     = true
}

variable "instances_max" {
  description = "How many instances of one function may run at once."
  type        = number
  default     = 20

  validation {
    condition     = var.instances_max >= 1 && var.instances_max <= 1000
    error_message = "From 1 to 1000."
  }
}

variable "instances_warm" {
  description = "How many instances of which functions are kept though nobody calls: { chat_completions = 1 }. They cost while they wait."
  type        = map(number)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.instances_warm), keys(local.functions))) == 0
    error_message = "There is no function of this name."
  }
}

variable "alert_emails" {
  description = "Whom alerts are sent to."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for email in var.alert_emails : can(regex("^[^@\\s]+@[^@\\s]+$", email))])
    error_message = "An e-mail address has one @ and no spaces."
  }
}
