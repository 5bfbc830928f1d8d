"""Every error that leaves over HTTP: RFC 9457 problem details, and the one place where a status is chosen."""

import json
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

import asyncpg
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route

from vns import errors

MEDIA_TYPE: Final = "application/problem+json"
INTERNAL_ERROR: Final = "internal_error"

# The nearest class in an error's line of descent decides.
STATUS_OF: Final[dict[type[errors.VnsError], int]] = {
    errors.InvalidRequest: 422,
    errors.Conflict: 409,
    errors.QuotaExceeded: 409,
    errors.NotFound: 404,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.RateLimited: 429,
    errors.Unavailable: 503,
    errors.VnsError: 500,
}

# What the framework or the server says before a route of ours is reached.
CODE_OF_STATUS: Final = {
    400: (422, errors.InvalidRequest.code),  # a body that cannot be read at all
    404: (404, errors.NotFound.code),
    405: (405, "method_not_allowed"),
    413: (413, "payload_too_large"),
    422: (422, errors.InvalidRequest.code),
    503: (503, errors.Unavailable.code),
}

TITLES: Final = {
    "account_locked": "The account is locked",
    "advertising_not_allowed": "The advertising text may not be sent",
    "ambiguous_reference": "Several malls know this reference",
    "binding_ended": "The binding has ended",
    "call_under_way": "The number is being called already",
    "caller_id_not_proven": "No proven number to present",
    "code_over": "The code is over",
    "conflict": "Conflict",
    "daily_limit_reached": "The line has sent its texts of the day",
    "expires_too_soon": "The expiry is too near",
    "forbidden": "Not allowed",
    "idempotency_mismatch": "The Idempotency-Key was used for another request",
    "internal_error": "Internal error",
    "invalid_application": "The application cannot be used",
    "invalid_audio": "The recording cannot be used",
    "invalid_document": "The document cannot be used",
    "invalid_link": "The link is wrong or over",
    "invalid_number": "Not a phone number of the Korean plan",
    "invalid_request": "The request is not as documented",
    "invalid_rules": "The rules are not as documented",
    "manager_needed": "An approved manager is needed",
    "method_not_allowed": "Method not allowed",
    "mode_not_supported": "The mode is not offered",
    "not_found": "Not found",
    "not_scheduled": "The text does not wait for its time",
    "number_not_mappable": "The number cannot be a party",
    "pair_in_use": "A party already has a pair on this number",
    "payload_too_large": "The body is too large",
    "pool_exhausted": "No free number is left",
    "pool_overlap": "The range meets another pool",
    "quota_exceeded": "A limit of the tenant is reached",
    "rate_limited": "Too many requests",
    "recipient_refuses": "The recipient takes no such text",
    "same_party": "Both parties are the same",
    "sender_not_registered": "The sender is not proven",
    "speech_unavailable": "Texts cannot be spoken here",
    "unauthorized": "No valid key",
    "unavailable": "A needed part does not answer",
    "virtual_number_in_use": "The virtual number is in use",
    "wrong_code": "Another code was sent",
    "wrong_credentials": "No such login, or another password",
}

# What asyncpg raises past the storage layer when PostgreSQL stops, refuses or hangs in the middle of a statement.
_AWAY: Final = (
    TimeoutError,
    ConnectionError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)


_NAME: Final = re.compile(r"[A-Za-z_-]{1,40}")


class FieldError(BaseModel):
    """One fault of shape. The value itself is never repeated: it may be a real number."""

    model_config = ConfigDict(extra="forbid")

    field: str = Field(description="Path of the field, as in `body.items.3.mode`.")
    message: str


class Problem(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": TITLES["not_found"],
                    "status": 404,
                    "code": "not_found",
                    "detail": "no such binding",
                }
            ]
        },
    )

    type: str = Field(default="about:blank")
    title: str
    status: int = Field(ge=400, le=599)
    code: str = Field(description="Stable; what a program decides by.")
    detail: str = Field(description="For people; may change.")
    instance: str | None = Field(default=None, description="With `internal_error`: what the log calls it.")
    errors: list[FieldError] | None = Field(default=None, description="With `invalid_request`: what is wrong where.")


def status_of(kind: type[errors.VnsError]) -> int:
    """The HTTP status of a class of the core's errors."""
    return next(status for base in kind.__mro__ for known, status in STATUS_OF.items() if base is known)


def as_vns_error(error: Exception) -> errors.VnsError | None:
    """The core's error that `error` is or amounts to; None for an unexpected one."""
    if isinstance(error, errors.VnsError):
        return error
    if isinstance(error, _AWAY):
        return errors.Unavailable("PostgreSQL does not answer")
    return None


def problem(
    code: str, status: int, detail: str, *, instance: str | None = None, faults: Sequence[FieldError] = ()
) -> dict[str, object]:
    """The members of one problem; empty ones are left out."""
    members: dict[str, object] = {
        "type": "about:blank",
        "title": TITLES.get(code) or HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    if instance is not None:
        members["instance"] = instance
    if faults:
        members["errors"] = [fault.model_dump() for fault in faults]
    return members


def problem_of(error: errors.VnsError) -> dict[str, object]:
    faults = error.faults if isinstance(error, ShapeError) else ()
    return problem(error.code, status_of(type(error)), error.detail, faults=faults)


class ShapeError(errors.InvalidRequest):
    """`faults`: what is wrong where."""

    def __init__(self, faults: Sequence[FieldError]) -> None:
        first = f"{faults[0].field}: {faults[0].message}" if faults else "the request is not as documented"
        super().__init__(first)
        self.faults = tuple(faults)

    @classmethod
    def of(cls, found: Sequence[Mapping[str, object]], *, root: str = "") -> "ShapeError":
        """From pydantic's list of errors, of which only place and message are taken, never the input.

        `root` goes before each place.
        """
        faults = []
        for fault in found:
            place = fault["loc"] if isinstance(fault["loc"], tuple) else ()
            parts = [root, *(str(part) for part in place)] if root else [str(part) for part in place]
            if fault["type"] == "extra_forbidden" and not _NAME.fullmatch(parts[-1]):
                parts = [*parts[:-1], "(unknown)"]  # the client's own text, which might hold anything
            message = "not valid JSON" if fault["type"] == "json_invalid" else str(fault["msg"])
            faults.append(FieldError(field=".".join(parts), message=message))
        return cls(faults)

    @classmethod
    def of_model(cls, error: ValidationError, *, root: str) -> "ShapeError":
        found = error.errors(include_url=False, include_input=False, include_context=False)
        return cls.of([dict(fault) for fault in found], root=root)


class ProblemResponse(Response):
    media_type = MEDIA_TYPE

    def __init__(self, members: Mapping[str, object], headers: Mapping[str, str] | None = None) -> None:
        text = json.dumps(members, ensure_ascii=False)
        super().__init__(text.encode(), status_code=int(str(members["status"])), headers=headers)


def response_of(error: errors.VnsError) -> ProblemResponse:
    headers = {}
    if isinstance(error, errors.RateLimited):
        headers["retry-after"] = str(max(1, error.retry_after))
    if isinstance(error, errors.Unauthorized):
        headers["www-authenticate"] = 'Bearer realm="vns"'
    return ProblemResponse(problem_of(error), headers)


def unexpected(name: str) -> ProblemResponse:
    """`name`: what the log calls this error."""
    detail = "an unexpected error; the log knows it by its instance"
    return ProblemResponse(problem(INTERNAL_ERROR, 500, detail, instance=name))


async def on_vns_error(_request: Request, error: Exception) -> Response:
    known = as_vns_error(error)
    if known is None:  # registered for exactly these classes
        raise error
    return response_of(known)


async def on_shape_error(_request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else ()
    if any(one["loc"][0] == "path" for one in found):  # ids are opaque to clients: one of another shape names nothing
        return response_of(errors.NotFound("nothing of yours has this id"))
    return response_of(ShapeError.of(found))


async def on_http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    status, code = CODE_OF_STATUS.get(error.status_code, (500, INTERNAL_ERROR))
    headers = dict(error.headers or {}) if status != 405 else {"allow": ", ".join(sorted(_methods_at(request)))}
    return ProblemResponse(problem(code, status, _detail(status)), headers)


def _methods_at(request: Request) -> set[str]:
    """What all routes of a path offer together; the framework names only those of the first."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    here = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return {method for route in here for method in route.methods or ()}


def _detail(status: int) -> str:
    return {
        404: "no such path",
        405: "the path does not offer this method",
        413: "the body is too large",
        422: "the body cannot be read",
    }.get(status, HTTPStatus(status).phrase)


HANDLERS: Final = {
    errors.VnsError: on_vns_error,
    RequestValidationError: on_shape_error,
    HTTPException: on_http_error,
    **dict.fromkeys(_AWAY, on_vns_error),
}
