"""Reading a GET: its query, and the end of its path where the route has a parameter."""

from starlette.requests import Request

from shared.base.body import Shape
from shared.base.errors import BadRequest
from shared.web.body import parse


def read_path(request: Request, model: type[Shape], path_param: str | None, path_prefix: str | None = None) -> Shape:
    """The query and the path parameter as a `model`; every value is text. Raise BadRequest.

    The parameter is the last segment of the path, or with `path_prefix` all that follows that, exactly as it stands.

    Read from the path itself and not from a router, because a deployed function is its own server and has no routes;
    and not from `request.url`, which drops the tabs and line breaks of a path as the WHATWG rules for URLs have it.
    """
    pairs = request.query_params.multi_items()
    values: dict[str, str] = dict(pairs)
    if len(values) < len(pairs):
        raise BadRequest("A query parameter was given twice.")
    if path_param is not None:
        if path_param in values:
            raise BadRequest(f"{path_param} belongs in the path.", param=path_param)
        path: str = request.scope["path"]
        values[path_param] = _last(path) if path_prefix is None else _rest(path, path_prefix)
    return parse(model, values)


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _rest(path: str, prefix: str) -> str:
    if not path.startswith(prefix):
        raise BadRequest(f"The path must begin with {prefix}.")
    return path.removeprefix(prefix)
