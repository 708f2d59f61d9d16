"""Whatever anybody sends, the functions answer as their own OpenAPI document says, and never with a 5xx.

The document is the one the gateway serves. Each operation is called with what it asks for and with what it does not,
with a token and without.
"""

from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from local.deployment import Deployment
from local.gateway import build_document
from local.people import Person
from tests.clients import TIMEOUT_S

EXAMPLES = 30
SERVICE_OPERATIONS = frozenset({"credit_debit"})
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    ignored_auth,
    unsupported_method,
]


api = schemathesis.openapi.from_dict(build_document())


@api.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_operation_keeps_its_promises(case: Any, deployment: Deployment, member: Person) -> None:
    operation_id = case.operation.definition.raw["operationId"]
    token = deployment.backend_token if operation_id in SERVICE_OPERATIONS else member.token
    headers = {"Authorization": f"Bearer {token}"}
    case.call_and_validate(base_url=deployment.url, headers=headers, checks=CHECKS, timeout=TIMEOUT_S)
