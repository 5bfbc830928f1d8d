"""Answers: JSON that is rendered once, and how a route documents the problems it may answer with."""

from collections.abc import Iterable
from typing import Any, Final

from starlette.responses import Response

from api.problems import MEDIA_TYPE, status_of
from vns import errors

PROBLEM_SCHEMA: Final = {"$ref": "#/components/schemas/Problem"}

# What any route with a key may answer beside its own errors.
_ALWAYS: Final = (
    errors.Unauthorized,
    errors.Forbidden,
    errors.InvalidRequest,
    errors.RateLimited,
    errors.Unavailable,
)

_HEADERS: Final = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "How to authenticate."}},
    429: {"Retry-After": {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds."}},
}

Responses = dict[int | str, dict[str, Any]]  # FastAPI's own shape


class Json(Response):
    """A body that is JSON text already."""

    media_type = "application/json"


def json_list(items: Iterable[str]) -> str:
    """`{"items": […]}` of items that are JSON text."""
    return '{"items":[' + ",".join(items) + "]}"


def problems(*kinds: type[errors.VnsError], body: bool = False) -> Responses:
    """The documented problems of a route: those that any may have, and `kinds`. `body`: the route reads one."""
    codes: dict[int, set[str]] = {500: {"internal_error"}}
    if body:
        codes[413] = {"payload_too_large"}
    answered: tuple[type[errors.VnsError], ...] = (*_ALWAYS, *kinds)
    for kind in answered:
        codes.setdefault(status_of(kind), set()).add(kind.code)
    return {status: _documented(status, sorted(names)) for status, names in sorted(codes.items())}


def _documented(status: int, names: list[str]) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": ", ".join(f"`{name}`" for name in names),
        "content": {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}},
    }
    if status in _HEADERS:
        answer["headers"] = _HEADERS[status]
    return answer
