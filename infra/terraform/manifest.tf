# What is deployed is read from the files that the local stack reads, too. Nothing is listed a second time.

locals {
  repository = "${path.module}/../.."

  rows      = yamldecode(file("${local.repository}/infra/functions.yaml"))
  functions = { for row in local.rows : row.name => row }
  queues    = { for row in yamldecode(file("${local.repository}/infra/queues.yaml")) : row.name => row }

  http      = { for row in local.rows : row.name => row if can(row.trigger.http) }
  schedules = { for row in local.rows : row.name => row if can(row.trigger.schedule) }
  events    = { for row in local.rows : row.name => row if can(row.trigger.event) }
  # Events come as "TYPE PATH".
  event_types = { for name, row in local.events : name => split(" ", row.trigger.event)[0] }
  event_paths = { for name, row in local.events : name => split(" ", row.trigger.event)[1] }

  # Cloud Run takes no underscores. shared/tasks/rules.py makes the same of a name where TASK_URL has {service}.
  services = { for row in local.rows : row.name => replace(row.name, "_", "-") }
  # Where each is called by our own services: this form is known before the service is made.
  addresses = { for name, service in local.services : name => "https://${service}-${var.project_number}.${var.region}.run.app" }

  secrets = toset(flatten([for row in local.rows : row.secrets]))
}
