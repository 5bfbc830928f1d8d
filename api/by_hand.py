"""What routes do by hand: bodies everywhere; all of it where the way through FastAPI would cost more than the work.

What is read by hand is checked by the same pydantic types as elsewhere, fails with the same problems, and is
documented here.
"""

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import Request

from api.problems import ShapeError
from vns.errors import InvalidRequest

Document = dict[str, Any]  # a part of the OpenAPI document
Model = TypeVar("Model", bound=BaseModel)
Value = TypeVar("Value")


async def json_of(model: type[Model], request: Request) -> Model:
    """The body of a request. Raises InvalidRequest."""
    if not _is_json(request.headers.get("content-type", "application/json")):
        raise InvalidRequest("a body is JSON, with Content-Type: application/json")
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        raise ShapeError.of_model(error, root="body") from None


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


class JsonBody(Generic[Model]):
    """A dependency: the body as a model. Named after the key, it is read after the key is known to be good.

    FastAPI would parse the body of whoever sends one, and then look who it is.
    """

    def __init__(self, model: type[Model]) -> None:
        self._model = model

    async def __call__(self, request: Request) -> Model:
        return await json_of(self._model, request)


def value_of(kind: TypeAdapter[Value], value: object, *, root: str) -> Value:
    """A header, a part of the path, or the query as a whole. `root`: how a fault names it. Raises ShapeError."""
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        raise ShapeError.of_model(error, root=root) from None


def documented(*parameters: Document, body: type[BaseModel] | None = None) -> Document:
    """`openapi_extra` of such a route."""
    extra: Document = {"security": [{"key": []}], "parameters": list(parameters)}
    if body is not None:
        extra |= documented_body(body)
    return extra


def documented_body(body: type[BaseModel]) -> Document:
    """`openapi_extra` of a route whose only handmade part is its body."""
    schema = {"$ref": f"#/components/schemas/{body.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def parameter(name: str, place: str, kind: TypeAdapter[Any], *, required: bool = False) -> Document:
    """How a parameter is documented."""
    schema = kind.json_schema()
    described = {"description": schema.pop("description")} if "description" in schema else {}
    return {"name": name, "in": place, "required": required, "schema": schema, **described}
