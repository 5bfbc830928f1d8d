"""From the `Authorization` header to who asks: each route says which scope a key needs."""

from typing import Annotated

from fastapi import Depends
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.requests import Request

from api.services import services_of
from vns.access.rules import Principal, Scope
from vns.errors import Unauthorized


class KeyWith(SecurityBase):
    """A dependency: the principal of a key that has `scope`, counted against its tenant's rate limit.

    Raises Unauthorized, Forbidden, RateLimited.
    """

    def __init__(self, scope: Scope) -> None:
        self.model = HTTPBearer(description="`Authorization: Bearer <key>`; a key belongs to a tenant and has scopes.")
        self.scheme_name = "key"
        self._scope = scope

    async def __call__(self, request: Request) -> Principal:
        services = services_of(request)
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secret:
            raise Unauthorized("a key is needed: Authorization: Bearer <key>")
        principal = await services.access.authenticate(secret.strip())
        if principal.requests_per_second is not None:
            await services.limiter.take(principal.tenant_id, principal.requests_per_second)
        principal.require(self._scope)
        return principal


may_write = KeyWith(Scope.BINDINGS_WRITE)
may_look_up = KeyWith(Scope.DELIVERIES_READ)

BindingsReader = Annotated[Principal, Depends(KeyWith(Scope.BINDINGS_READ))]
BindingsWriter = Annotated[Principal, Depends(may_write)]
DeliveriesReader = Annotated[Principal, Depends(may_look_up)]
CallsReader = Annotated[Principal, Depends(KeyWith(Scope.CALLS_READ))]
may_text = KeyWith(Scope.MESSAGES_WRITE)

MessagesWriter = Annotated[Principal, Depends(may_text)]
MessagesReader = Annotated[Principal, Depends(KeyWith(Scope.MESSAGES_READ))]
RecordingsReader = Annotated[Principal, Depends(KeyWith(Scope.RECORDINGS_READ))]
RulesWriter = Annotated[Principal, Depends(KeyWith(Scope.RULES_WRITE))]
SendersReader = Annotated[Principal, Depends(KeyWith(Scope.SENDERS_READ))]
SendersWriter = Annotated[Principal, Depends(KeyWith(Scope.SENDERS_WRITE))]
SendersReviewer = Annotated[Principal, Depends(KeyWith(Scope.SENDERS_REVIEW))]
PoolsReader = Annotated[Principal, Depends(KeyWith(Scope.POOLS_READ))]
PoolsWriter = Annotated[Principal, Depends(KeyWith(Scope.POOLS_WRITE))]
