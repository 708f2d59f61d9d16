"""How a refusal looks on the wire: OpenAI's error object, a status by kind, and who should try again."""

from enum import Enum

from starlette.responses import JSONResponse

from shared.base.errors import ClientLeft, CredenceError, Kind
from shared.base.ids import RequestId

STATUS_OF_KIND = {
    Kind.INVALID: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.UNPAID: 402,
    Kind.DENIED: 403,
    Kind.ABSENT: 404,
    Kind.CONFLICT: 409,
    Kind.BUSY: 429,
    Kind.UNAVAILABLE: 503,
}
TYPE_OF_KIND = {
    Kind.INVALID: "invalid_request_error",
    Kind.UNAUTHENTICATED: "authentication_error",
    Kind.UNPAID: "insufficient_credits",
    Kind.DENIED: "permission_error",
    Kind.ABSENT: "not_found_error",
    Kind.CONFLICT: "conflict_error",
    Kind.BUSY: "rate_limit_error",
    Kind.UNAVAILABLE: "api_error",
}


class Delivery(Enum):
    """What becomes of an event or a task that was refused."""

    ACKNOWLEDGE = "acknowledge"
    """It can never succeed; whoever delivers it need not try again."""
    RETRY = "retry"


DELIVERY_OF_KIND = {
    Kind.INVALID: Delivery.ACKNOWLEDGE,
    # Our own identity or its rights are at fault then, and a person can mend that while the event waits.
    Kind.UNAUTHENTICATED: Delivery.RETRY,
    Kind.UNPAID: Delivery.ACKNOWLEDGE,
    Kind.DENIED: Delivery.ACKNOWLEDGE,
    Kind.ABSENT: Delivery.ACKNOWLEDGE,
    Kind.CONFLICT: Delivery.ACKNOWLEDGE,
    Kind.BUSY: Delivery.RETRY,
    Kind.UNAVAILABLE: Delivery.RETRY,
}


class BodyTooLarge(CredenceError):
    """More bytes than this function reads."""

    code = "request_too_large"
    kind = Kind.INVALID

    def __init__(self, *, bytes_max: int) -> None:
        super().__init__(f"The request body may have at most {bytes_max} bytes.")


class MethodWrong(CredenceError):
    """The route exists, for another method."""

    code = "method_not_allowed"
    kind = Kind.INVALID

    def __init__(self, method: str) -> None:
        super().__init__(f"Use {method} here.")
        self.method = method


class PathUnknown(CredenceError):
    """There is nothing at this address."""

    code = "unknown_url"
    kind = Kind.ABSENT

    def __init__(self) -> None:
        super().__init__("There is nothing at this address; /openapi.json lists what there is.")


STATUS_OF_CODE = {BodyTooLarge.code: 413, MethodWrong.code: 405, ClientLeft.code: 499}
"""Where there is a more exact status than the kind's. The last is nginx's, and only our log ever reads it."""


def error_body(error: CredenceError) -> dict[str, object]:
    """The OpenAI-shaped object, with our details beside its four fields."""
    shape = {"message": error.message, "type": TYPE_OF_KIND[error.kind], "param": error.param, "code": error.code}
    return {"error": {**shape, **error.details()}}


def error_response(error: CredenceError, request_id: RequestId) -> JSONResponse:
    """The response for a refusal."""
    # OpenAI's SDKs retry every 409, 429 and 5xx unless told otherwise; a conflict stays one however often it is sent.
    headers = {"x-request-id": request_id, "x-should-retry": "true" if error.kind.passes else "false"}
    if (retry_after_ms := error.details().get("retry_after_ms")) is not None:
        headers["retry-after-ms"] = str(retry_after_ms)
        headers["retry-after"] = str(-(-int(retry_after_ms) // 1000))
    if error.kind is Kind.UNAUTHENTICATED:
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, MethodWrong):
        headers["allow"] = error.method
    headers.update(error.headers())
    status = STATUS_OF_CODE.get(error.code, STATUS_OF_KIND[error.kind])
    return JSONResponse(error_body(error), status_code=status, headers=headers)


def crash_body(request_id: RequestId) -> dict[str, object]:
    """The error object for a defect: the request id to ask about, and no internals."""
    message = f"Something went wrong on our side. If it happens again, tell us the request id {request_id}."
    return {"error": {"message": message, "type": "api_error", "param": None, "code": "internal_error"}}


def crash_response(request_id: RequestId) -> JSONResponse:
    """The response for a defect."""
    headers = {"x-request-id": request_id, "x-should-retry": "false"}
    return JSONResponse(crash_body(request_id), status_code=500, headers=headers)
