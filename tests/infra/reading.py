"""How a plan is read: what a service is told, who may do what, and where the load balancer sends a request."""

import re
from typing import Any

from local.manifest import FunctionRow

Resources = dict[str, dict[str, Any]]
SECRET_VALUES = {
    "CRYPTO_FACILITATOR_URL": "https://facilitator.example.com/key",
    "CRYPTO_RPC_URL": "https://node.example.com/key",
    "CUSTOM_PROVIDERS": "",
    "STRIPE_API_KEY": "sk_live_" + "k" * 40,
}
"""Of those that must look like something; all others look like keys."""


def of_type(plan: Resources, kind: str) -> dict[str, dict[str, Any]]:
    """The resources of a type by their key, or by their own name where there is only one."""
    found = {address: values for address, values in plan.items() if address.startswith(f"{kind}.")}
    return {
        (re.findall(r'\["(.*)"\]$', address) or [address.partition(".")[2]])[0]: found[address] for address in found
    }


def container(plan: Resources, row: FunctionRow) -> dict[str, Any]:
    """What the row's service runs."""
    service = of_type(plan, "google_cloud_run_v2_service")[row.name]
    found: dict[str, Any] = service["template"][0]["containers"][0]
    return found


def environment(plan: Resources, row: FunctionRow) -> dict[str, str]:
    """What its process is told, with values that secrets may have."""
    said = container(plan, row)["env"]
    mounted = {each["name"] for each in said if each["value_source"]}
    plain = {each["name"]: each["value"] for each in said if not each["value_source"]}
    return {**plain, **{name: SECRET_VALUES.get(name, "k" * 40) for name in mounted}}


def account(row_account: str) -> str:
    """Who the functions of an account are, to IAM."""
    return f"serviceAccount:credence-{row_account}@credence-production.iam.gserviceaccount.com"


def may(plan: Resources, kind: str, role: str) -> set[str]:
    """Who is given a role by resources of a type."""
    granted = [values for address, values in plan.items() if address.startswith(f"{kind}.")]
    return {values["member"] for values in granted if values["role"] == role}


def routed(plan: Resources, method: str, path: str) -> str | None:
    """The service that a load balancer of Google's sends a request to; None where it answers 404 by itself.

    https://cloud.google.com/load-balancing/docs/url-map-concepts: the first rule by priority whose conditions all hold;
    in a template `*` is one segment that is not empty, and `**`, which is the last, any number of them.
    """
    matcher = plan["google_compute_url_map.front"]["path_matcher"][0]
    for rule in sorted(matcher["route_rules"], key=lambda rule: rule["priority"]):
        condition = rule["match_rules"][0]
        template = re.escape(condition["path_template_match"] or condition["full_path_match"])
        pattern = template.replace(r"/\*\*", "(/.*)?").replace(r"\*", "[^/]+")
        headers = {each["header_name"]: each["exact_match"] for each in condition["header_matches"]}
        if re.fullmatch(pattern, path) and headers in ({}, {":method": method}):
            return str(rule["service"].split("/")[1])
    assert matcher["default_route_action"][0]["fault_injection_policy"][0]["abort"][0]["http_status"] == 404
    return None
