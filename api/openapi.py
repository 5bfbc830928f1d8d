"""The OpenAPI document: FastAPI's, with problem details in place of its own error shapes."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.problems import FieldError, Problem
from api.routes.bindings.schemas import BindingOut, ChangedBinding, NewBinding, NewBindings, Release
from api.routes.blocks.schemas import BlockOut, NewBlock
from api.routes.calls.schemas import CallOut
from api.routes.deliveries.schemas import DeliveryOut, Lookup
from api.routes.documents.schemas import DocumentOut
from api.routes.exemptions.schemas import ApplicationOut, NewApplication
from api.routes.hook.schemas import HookOut, NewHookIn
from api.routes.managers.schemas import ManagerOut, NewManager, NewSelection
from api.routes.messages.schemas import MessageOut, NewMessage, NewMessages
from api.routes.pools.schemas import ChangedPool, NewPoolIn, PoolOut
from api.routes.prompts.schemas import NewPrompt, PromptOut
from api.routes.recordings.schemas import RecordingLink
from api.routes.reviews.schemas import Decision, ManagerDecision, PolicyBody
from api.routes.senders.schemas import (
    CodeSent,
    Confirmation,
    NewSenderNumber,
    NewSenderNumbers,
    SenderNumberOut,
    SenderSearch,
)

_DESCRIPTION = """\
Safe numbers (안심번호): allocate a virtual number for somebody, hand it out, release it.

Numbers come in as people write them (hyphens, dots, spaces, +82, full-width digits) and leave as national digits.
Real numbers leave masked. Times are RFC 3339 in UTC. Errors are problem details (RFC 9457) with a stable `code`.
"""
_REF = "#/components/schemas/{model}"
_BODIES = (
    NewBinding,
    NewBindings,
    ChangedBinding,
    Release,
    NewMessage,
    NewMessages,
    Lookup,
    NewPoolIn,
    ChangedPool,
    NewBlock,
    NewHookIn,
    NewPrompt,
    NewSenderNumber,
    NewSenderNumbers,
    SenderSearch,
    Confirmation,
    NewManager,
    NewSelection,
    Decision,
    ManagerDecision,
    NewApplication,
    PolicyBody,
)  # read by hand
_OWN_ERRORS = ("HTTPValidationError", "ValidationError")


def document(app: FastAPI) -> dict[str, Any]:
    """The finished document; made once per process."""
    made = get_openapi(
        title="VNS",
        version=app.version,
        summary="Safe numbers over HTTP",
        description=_DESCRIPTION,
        routes=app.routes,
        tags=[
            {"name": "bindings", "description": "Allocate, read, change and release."},
            {"name": "deliveries", "description": "For couriers: the safe number of a waybill."},
            {"name": "calls", "description": "Call records."},
            {"name": "messages", "description": "Texts."},
            {"name": "pools", "description": "Ranges of virtual numbers."},
            {"name": "blocks", "description": "Parties that are not to call, or not to be called."},
            {"name": "intercept hook", "description": "Be asked before somebody is connected."},
            {"name": "prompts", "description": "What callers hear in words of your own."},
            {"name": "recordings", "description": "Recorded calls, through links that end."},
            {"name": "sender numbers", "description": "Numbers of your own, proven before any text shows them."},
            {"name": "sender reviews", "description": "For operators: what waits for a decision, of all tenants."},
            {"name": "health", "description": "For machines."},
        ],
    )
    schemas = made["components"]["schemas"]
    for name in _OWN_ERRORS:
        schemas.pop(name, None)
    for model in (Problem, FieldError, *_BODIES):
        schema = model.model_json_schema(ref_template=_REF)
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    for shown in (
        BindingOut,
        CallOut,
        DeliveryOut,
        MessageOut,
        PoolOut,
        BlockOut,
        HookOut,
        PromptOut,
        RecordingLink,
        SenderNumberOut,
        CodeSent,
        DocumentOut,
        ManagerOut,
        ApplicationOut,
    ):  # FastAPI drops what is null in an example
        schemas[shown.__name__]["examples"] = shown.model_json_schema()["examples"]
    return made
