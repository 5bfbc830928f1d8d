"""For the few routes that take the bare request, because their way through FastAPI would cost more than all they do.

What such a route reads is checked by the same pydantic types as elsewhere, fails with the same problems, and is
documented here.
"""

from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from api.problems import ShapeError

Document = dict[str, Any]  # a part of the OpenAPI document
Model = TypeVar("Model", bound=BaseModel)
Value = TypeVar("Value")


def json_of(model: type[Model], body: bytes) -> Model:
    """The body of a request. Raises ShapeError."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise ShapeError.of_model(error, root="body") from None


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
        schema = {"$ref": f"#/components/schemas/{body.__name__}"}
        extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return extra


def parameter(name: str, place: str, kind: TypeAdapter[Any], *, required: bool = False) -> Document:
    """How a parameter is documented."""
    schema = kind.json_schema()
    described = {"description": schema.pop("description")} if "description" in schema else {}
    return {"name": name, "in": place, "required": required, "schema": schema, **described}
