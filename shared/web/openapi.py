"""The OpenAPI document, made from the functions' own contracts; nothing in it is written by hand."""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from shared.base.body import LAST, ForeignBody, Raw, Upload
from shared.base.secret import Secret
from shared.web.errors import STATUS_OF_CODE, STATUS_OF_KIND
from shared.web.function import PAYMENT_HEADER, ROUTE_HEADER, Contract, HttpFunction

REF = "#/components/schemas/{name}"
ROUTE_HELP = "cheapest, fastest, best, or the providers to ask, in order, with commas between."
PAYMENT_HELP = "A payment as x402, version 2, signs it for the price that PAYMENT-REQUIRED of a 402 says."
ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
            },
        }
    },
}


def openapi_document(routes: Iterable[tuple[str, HttpFunction]]) -> dict[str, Any]:
    """OpenAPI 3.1 for the given paths."""
    contracts = [(path, function.contract) for path, function in routes]
    models = {model for _, c in contracts for model in (c.body, c.answer) if model not in (None, Raw)}
    paths: dict[str, Any] = {}
    for path, contract in contracts:
        paths.setdefault(path, {})[contract.method.lower()] = _operation(contract)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Credence", "version": "1", "description": "AI by the credit, every credit proved."},
        "paths": paths,
        "components": {
            "schemas": {**_schemas(models), "Error": ERROR_SCHEMA},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schemas(models: Iterable[type[Struct]]) -> dict[str, Any]:
    """The models and all that stands in them, as a stranger sees them: `others` is our name for the rest."""
    ordered = sorted(models, key=lambda model: model.__name__)
    _, schemas = msgspec.json.schema_components(ordered, schema_hook=_secret_schema, ref_template=REF)
    for model in ordered:
        if issubclass(model, ForeignBody):
            del schemas[model.__name__]["properties"]["others"]
    # In a form a file is its bytes, and its name and type stand in the head of its part.
    if Upload.__name__ in schemas:
        schemas[Upload.__name__] = {"type": "string", "format": "binary", "description": "A file."}
    plain: dict[str, Any] = _plain_patterns(schemas)
    return plain


def _secret_schema(kind: type) -> dict[str, Any]:
    """A text that no answer and no log repeats."""
    if kind is not Secret:
        # What msgspec's hooks raise for a type they do not know; it then names the type and where it stands.
        raise NotImplementedError(kind.__name__)
    return {"type": "string", "format": "password", "writeOnly": True}


def _schema(model: type[Struct]) -> dict[str, Any]:
    schema: dict[str, Any] = _schemas([model])[model.__name__]
    return schema


def _plain_patterns(schema: Any) -> Any:
    """The same with each pattern as JSON Schema has it, where `$` is the end of the text and nothing else."""
    if isinstance(schema, dict):
        return {name: _plain_patterns(value) for name, value in schema.items()}
    if isinstance(schema, list):
        return [_plain_patterns(value) for value in schema]
    return schema.removesuffix(LAST) + "$" if isinstance(schema, str) and schema.endswith(LAST) else schema


def _operation(contract: Contract) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": contract.name,
        "summary": contract.summary,
        "responses": {"200": _success(contract), **_pending(contract), **_refusals()},
    }
    if contract.auth != "none":
        operation["security"] = [{"bearer": []}]
    if parameters := _parameters(contract):
        operation["parameters"] = parameters
    if contract.body is Raw:
        # In the format of whoever signs it.
        operation["requestBody"] = {"content": {"application/json": {"schema": {"type": "object"}}}, "required": True}
    elif contract.method == "POST":
        schema = _posted(contract)
        required = bool(_schema(contract.body)["required"]) if contract.path_param is None else bool(schema["required"])
        media_type = "multipart/form-data" if contract.form else "application/json"
        operation["requestBody"] = {"content": {media_type: {"schema": schema}}, "required": required}
    if contract.routes:
        header = {"name": ROUTE_HEADER, "in": "header", "required": False, "schema": {"type": "string"}}
        operation.setdefault("parameters", []).append({**header, "description": ROUTE_HELP})
    if contract.pays:
        header = {"name": PAYMENT_HEADER, "in": "header", "required": False, "schema": {"type": "string"}}
        operation.setdefault("parameters", []).append({**header, "description": PAYMENT_HELP})
    return operation


def _parameters(contract: Contract) -> list[dict[str, Any]]:
    """The field in the path; and for a GET the others, which are in the query.

    None for a query that somebody else defines and signs.
    """
    if contract.raw_query is not None or contract.body is Raw:
        return []
    schema = _schema(contract.body)
    return [
        {
            "name": name,
            "in": "path" if name == contract.path_param else "query",
            "required": name in schema["required"],
            "schema": field,
        }
        for name, field in schema["properties"].items()
        if name == contract.path_param or contract.method == "GET"
    ]


def _posted(contract: Contract) -> dict[str, Any]:
    """What is posted: the whole body, or what the path has not said."""
    if contract.path_param is None:
        return _ref(contract.body)
    schema = _schema(contract.body)
    return {
        **{name: value for name, value in schema.items() if name != "title"},
        "properties": {name: field for name, field in schema["properties"].items() if name != contract.path_param},
        "required": [name for name in schema["required"] if name != contract.path_param],
    }


def _success(contract: Contract) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"} if contract.answer is None else _ref(contract.answer)
    # What is not JSON is text or bytes in a format of its own, which no schema describes.
    content: dict[str, Any] = {
        media_type: {"schema": schema} if media_type == "application/json" else {}
        for media_type in contract.media_types
    }
    if contract.streams:
        # OpenAPI describes one body, not the events in it.
        content["text/event-stream"] = {}
    return {"description": "Done.", "content": content}


def _pending(contract: Contract) -> dict[str, Any]:
    return {"202": {**_success(contract), "description": "Accepted, not decided yet."}} if contract.pends else {}


def _refusals() -> dict[str, Any]:
    """Every status a refusal can have; which of them a function raises stands in its docstring. 500 is a defect."""
    content = {"application/json": {"schema": {"$ref": REF.format(name="Error")}}}
    statuses = sorted({*STATUS_OF_KIND.values(), *STATUS_OF_CODE.values(), 500})
    return {str(status): {"description": "Refused; see error.code.", "content": content} for status in statuses}


def _ref(model: type) -> dict[str, str]:
    return {"$ref": REF.format(name=model.__name__)}
