"""Reading a GET: its query; and of any request, the part of its path where the route has a parameter."""

from starlette.requests import Request

from shared.base.body import Shape
from shared.base.errors import BadRequest
from shared.web.body import parse


def read_query(request: Request, model: type[Shape], parameters: dict[str, str]) -> Shape:
    """The query and the path's parameters as a `model`; every value is text. Raise BadRequest."""
    pairs = request.query_params.multi_items()
    values: dict[str, str] = dict(pairs)
    if len(values) < len(pairs):
        raise BadRequest("A query parameter was given twice.")
    for name in parameters.keys() & values.keys():
        raise BadRequest(f"{name} belongs in the path.", param=name)
    return parse(model, {**values, **parameters})


def read_raw_query(request: Request, model: type[Shape], name: str) -> Shape:
    """The query as it came, in the field `name` of a `model`. Raise BadRequest."""
    query: bytes = request.scope["query_string"]
    # Each byte one character, so that nothing is lost that a signature may be over.
    return parse(model, {name: query.decode("latin-1")})


def path_parameters(request: Request, name: str | None, prefix: str | None, suffix: str | None) -> dict[str, str]:
    """The path's parameter by its name, if the route has one. Raise BadRequest.

    It is the last segment of the path, or the last one before `suffix`, or with `prefix` all that follows that, exactly
    as it stands.

    Read from the path itself and not from a router, because a deployed function is its own server and has no routes;
    and not from `request.url`, which drops the tabs and line breaks of a path as the WHATWG rules for URLs have it.
    """
    if name is None:
        return {}
    path: str = request.scope["path"]
    if suffix is not None:
        path = _without_end(path.rstrip("/"), suffix)
    return {name: _last(path) if prefix is None else _rest(path, prefix)}


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _without_end(path: str, suffix: str) -> str:
    if not path.endswith(suffix):
        raise BadRequest(f"The path must end with {suffix}.")
    return path.removesuffix(suffix)


def _rest(path: str, prefix: str) -> str:
    if not path.startswith(prefix):
        raise BadRequest(f"The path must begin with {prefix}.")
    return path.removeprefix(prefix)
