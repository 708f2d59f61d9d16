# One host in front of all functions that have a route: a rule of the URL map for each row.

locals {
  # "GET /v1/cards/{card_id}" in its parts. A parameter takes one segment of the path; at the end it takes all that is
  # left, for ids of models have slashes in them. Functions refuse what is too long for them.
  routes = {
    for name, row in local.http : name => {
      method = split(" ", row.trigger.http)[0]
      path = replace(replace(
        split(" ", row.trigger.http)[1], "/\\{[a-z_]+\\}$/", "**"), "/\\{[a-z_]+\\}/", "*"
      )
    }
  }
  methods_of = { for name, route in local.routes : route.path => route.method... }

  backends = { for name, backend in google_compute_backend_service.functions : name => backend.id }

  # Of several rules that match, the one of the lowest number is taken. So on every level what is literal comes before
  # what stands for one segment, and that before what stands for all the rest.
  ordered = [
    for key in sort([
      for name, route in local.routes : join(" ", [
        join("/", [for part in split("/", route.path) : part == "**" ? "2" : part == "*" ? "1" : "0${part}"]),
        route.method == "POST" ? "0" : "1",
        name,
      ])
    ]) : split(" ", key)[2]
  ]
}

resource "google_compute_global_address" "front" {
  name = "credence"

  depends_on = [google_project_service.used]
}

resource "google_compute_region_network_endpoint_group" "functions" {
  for_each = local.http

  name                  = local.services[each.key]
  region                = var.region
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = local.services[each.key]
  }

  # By name and not by reference, for which Terraform would look through all functions for each of them.
  depends_on = [google_cloud_run_v2_service.functions]
}

resource "google_compute_backend_service" "functions" {
  for_each = local.http

  name                  = local.services[each.key]
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"

  backend {
    group = google_compute_region_network_endpoint_group.functions[each.key].id
  }

  log_config {
    # Functions write a line of their own for each request.
    enable = false
  }
}

resource "google_compute_url_map" "front" {
  name = "credence"

  # A function answers at every path, so what matches no rule must reach none of them.
  default_route_action {
    weighted_backend_services {
      backend_service = local.backends["model_list"]
      weight          = 100
    }

    fault_injection_policy {
      abort {
        http_status = 404
        percentage  = 100
      }
    }
  }

  host_rule {
    hosts        = [var.domain]
    path_matcher = "functions"
  }

  path_matcher {
    name = "functions"

    default_route_action {
      weighted_backend_services {
        backend_service = local.backends["model_list"]
        weight          = 100
      }

      fault_injection_policy {
        abort {
          http_status = 404
          percentage  = 100
        }
      }
    }

    dynamic "route_rules" {
      for_each = local.ordered

      content {
        priority = route_rules.key + 1
        service  = local.backends[route_rules.value]

        match_rules {
          full_path_match     = strcontains(local.routes[route_rules.value].path, "*") ? null : local.routes[route_rules.value].path
          path_template_match = strcontains(local.routes[route_rules.value].path, "*") ? local.routes[route_rules.value].path : null

          # Of two functions on one path, the one that is posted to gets what is posted; the other one gets all else,
          # and refuses what it does not know: it answers browsers that ask before a call, too.
          dynamic "header_matches" {
            for_each = length(local.methods_of[local.routes[route_rules.value].path]) > 1 && local.routes[route_rules.value].method == "POST" ? ["POST"] : []

            content {
              header_name = ":method"
              exact_match = header_matches.value
            }
          }
        }
      }
    }
  }
}

resource "google_compute_managed_ssl_certificate" "front" {
  name = "credence-${substr(sha256(var.domain), 0, 8)}"

  managed {
    domains = [var.domain]
  }

  lifecycle {
    # Another domain is another certificate, and the old one serves until it is there.
    create_before_destroy = true
  }

  depends_on = [google_project_service.used]
}

resource "google_compute_ssl_policy" "front" {
  name            = "credence"
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"

  depends_on = [google_project_service.used]
}

resource "google_compute_target_https_proxy" "front" {
  name             = "credence"
  url_map          = google_compute_url_map.front.id
  ssl_certificates = [google_compute_managed_ssl_certificate.front.id]
  ssl_policy       = google_compute_ssl_policy.front.id
}

# Nothing listens on port 80: who sent a key in the clear would not notice for being sent on.
resource "google_compute_global_forwarding_rule" "front" {
  name                  = "credence"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.front.id
  port_range            = "443"
  target                = google_compute_target_https_proxy.front.id
}
