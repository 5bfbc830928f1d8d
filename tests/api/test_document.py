"""The OpenAPI document: complete enough to make a client from, its examples true, and the application keeps to it."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from api.application import create_app
from api.routes.bindings import schemas
from api.settings import ApiSettings
from tests.api.conftest import Platform
from vns.settings import Settings

PATHS = {
    "/v1/bindings": {"get", "post"},
    "/v1/bindings/batch": {"post"},
    "/v1/bindings/release": {"post"},
    "/v1/bindings/{binding_id}": {"get", "patch", "delete"},
    "/v1/deliveries/{reference}": {"get"},
    "/v1/deliveries/lookup": {"post"},
    "/v1/calls": {"get"},
    "/v1/messages": {"get", "post"},
    "/v1/messages/batch": {"post"},
    "/v1/messages/{message_id}": {"get", "delete"},
    "/v1/pools": {"get", "post"},
    "/v1/pools/{pool_id}": {"patch"},
    "/v1/blocks": {"get", "post"},
    "/v1/blocks/{block_id}": {"delete"},
    "/v1/intercept-hook": {"get", "put", "delete"},
    "/v1/calls/{call_id}/recording-url": {"post"},
    "/v1/recordings/{recording_id}": {"get"},
    "/v1/prompts": {"get", "post"},
    "/v1/prompts/{prompt_id}": {"get", "delete"},
    "/v1/prompts/{prompt_id}/audio": {"get"},
    "/v1/sender-numbers": {"get", "post"},
    "/v1/sender-numbers/search": {"post"},
    "/v1/sender-numbers/bulk": {"post"},
    "/v1/sender-numbers/download": {"get"},
    "/v1/sender-numbers/accounts": {"get"},
    "/v1/sender-numbers/{sender_id}": {"get", "delete"},
    "/v1/sender-numbers/{sender_id}/verification": {"get", "post"},
    "/v1/sender-numbers/{sender_id}/confirm": {"post"},
    "/v1/sender-documents": {"get", "post"},
    "/v1/sender-documents/{document_id}": {"get"},
    "/v1/sender-manager": {"get", "post", "delete"},
    "/v1/sender-manager/verification": {"post"},
    "/v1/sender-manager/confirm": {"post"},
    "/v1/sender-manager/documents": {"post"},
    "/v1/sender-manager/submission": {"post"},
    "/v1/sender-selections": {"post"},
    "/v1/sender-selections/{selection_id}/confirm": {"post"},
    "/v1/sender-reviews/numbers": {"get"},
    "/v1/sender-reviews/managers": {"get"},
    "/v1/sender-reviews/{tenant}/numbers/{sender_id}": {"get"},
    "/v1/sender-reviews/{tenant}/numbers/{sender_id}/decision": {"post"},
    "/v1/sender-reviews/{tenant}/documents/{document_id}": {"get"},
    "/v1/sender-reviews/{tenant}/managers/{manager_id}/decision": {"post"},
    "/v1/sender-reviews/{tenant}/manager": {"put", "delete"},
    "/v1/sender-reviews/exemptions": {"get"},
    "/v1/sender-reviews/{tenant}/exemption": {"get", "delete"},
    "/v1/sender-reviews/{tenant}/exemptions/{application_id}/decision": {"post"},
    "/v1/sender-reviews/{tenant}/policy": {"get", "put"},
    "/v1/sender-exemption": {"get", "put", "delete"},
    "/v1/sender-exemption/certificate": {"post"},
    "/v1/sender-exemption/renewal": {"post"},
    "/v1/sender-exemption/submission": {"post"},
    "/healthz": {"get"},
    "/readyz": {"get"},
    "/metrics": {"get"},
}
WITHOUT_KEY = {"/healthz", "/readyz", "/metrics", "/v1/recordings/{recording_id}"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(Settings(), ApiSettings()).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_every_path_of_the_contract_is_documented(document: dict[str, Any]) -> None:
    assert {path: set(methods) for path, methods in document["paths"].items()} == PATHS


def test_each_operation_has_a_name_of_its_own_and_says_what_it_is(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+([A-Z][a-z]+)*", name) for name in names)
    assert all(operation["summary"] and operation["tags"] for _, _, operation in operations(document))


def test_what_needs_a_key_says_so_and_how_it_refuses(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        if path in WITHOUT_KEY:
            assert "security" not in operation
            continue
        assert operation["security"] == [{"key": []}], path
        expected = {"401", "403", "422", "429", "500", "503"} | ({"413"} if "requestBody" in operation else set())
        assert expected <= set(operation["responses"]), (method, path)
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                schema = answer["content"]["application/problem+json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}, (path, status)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    wanted = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert wanted <= set(document["components"]["schemas"])
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_the_examples_fit_their_schemas(document: dict[str, Any]) -> None:
    shown = 0
    for name, schema in document["components"]["schemas"].items():
        validator = jsonschema_rs.validator_for({**document, "$ref": f"#/components/schemas/{name}"})
        for example in schema.get("examples", []):
            validator.validate(example)
            shown += 1
    assert shown >= 10
    for example in document["components"]["schemas"]["NewBinding"]["examples"]:
        assert schemas.NewBinding.model_validate(example).request()


async def test_docs_are_served(platform: Platform) -> None:
    page = (await platform.client.get("/docs")).text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(loaded) == 3
    for address in loaded:  # all from here: a closed network shows the page too
        assert address.startswith("/docs/assets/")
        assert (await platform.client.get(address)).status_code == 200
    assert (await platform.client.get("/openapi.json")).json()["info"]["title"] == "VNS"
