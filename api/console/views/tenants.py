"""For operators: tenants, their limits, and which courier may look up whose deliveries."""

from typing import Final

from starlette.responses import Response

from api.console.pages import Page
from api.console.permissions import May
from api.console.visit import Visit
from vns.access.rules import NewTenant, TenantKind
from vns.errors import InvalidRequest
from vns.senders.rules import MAX_SENDERS, MAX_VALID_DAYS, Policy, Proof

WRONG_LIMIT: Final = "한도는 0 이상의 숫자로 입력해 주세요. 비우면 제한이 없습니다."
WRONG_POLICY: Final = (
    f"등록할 수 있는 번호 수는 0~{MAX_SENDERS:,}, 인증이 유효한 일수는 1~{MAX_VALID_DAYS:,} 사이의 숫자로 적어 주세요."
)
WRONG_CODE: Final = (
    "고객사 코드는 영문 소문자·숫자·하이픈으로 63자까지이고, 이미 쓰는 코드는 쓸 수 없습니다. 이름도 입력해 주세요."
)


async def listed(visit: Visit) -> Response:
    return await _page(visit)


async def _page(visit: Visit, *, error: str | None = None, **typed: object) -> Response:
    access = visit.services.access
    found = await access.list_tenants()
    return visit.page(
        "tenants.html",
        status=422 if error else 200,
        all_tenants=found,
        grants=await access.list_grants(),
        malls=[tenant for tenant in found if tenant.kind is TenantKind.MALL],
        couriers=[tenant for tenant in found if tenant.kind is TenantKind.COURIER],
        typed={"code": "", "name": "", **typed},
        error=error,
    )


async def create(visit: Visit) -> Response:
    kind = TenantKind.COURIER if visit.text("kind") == "courier" else TenantKind.MALL
    new = NewTenant(code=visit.text("code"), name=visit.text("name"), kind=kind)
    try:
        await visit.services.access.create_tenant(visit.actor, new)
    except InvalidRequest:
        return await _page(visit, error=WRONG_CODE, code=new.code, name=new.name)
    return visit.to("/tenants", tenant=None, done="registered")


async def one(visit: Visit) -> Response:
    return await _one(visit)


async def _one(visit: Visit, *, error: str | None = None) -> Response:
    tenant = await visit.services.access.get_tenant(visit.request.path_params["code"])
    sends = tenant.kind is not TenantKind.OPERATOR
    policy = await visit.services.senders.policy(tenant.id) if sends else None
    return visit.page("tenant.html", status=422 if error else 200, shown=tenant, policy=policy, error=error)


async def limits(visit: Visit) -> Response:
    code = visit.request.path_params["code"]
    try:
        await visit.services.access.set_quotas(
            visit.actor,
            code,
            max_live_bindings=_limit(visit.text("max_live_bindings")),
            requests_per_second=_limit(visit.text("requests_per_second")),
        )
    except InvalidRequest:
        return await _one(visit, error=WRONG_LIMIT)
    return visit.to(f"/tenants/{code}", done="saved")


def _limit(text: str) -> int | None:
    """Raises InvalidRequest."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 11):
        raise InvalidRequest("a limit is a number")
    return int(text)


async def set_policy(visit: Visit) -> Response:
    """What the tenant's sender numbers need."""
    code = visit.request.path_params["code"]
    tenant = await visit.services.access.get_tenant(code)
    try:
        wanted = Policy(
            proof=Proof.LISTED if visit.text("proof") == "listed" else Proof.REQUIRED,
            max_numbers=_count(visit.text("max_numbers")),
            valid_days=_count(visit.text("valid_days")),
            allow_050=bool(visit.text("allow_050")),
        )
        await visit.services.senders.set_policy(visit.actor, tenant.id, wanted)
    except InvalidRequest:
        return await _one(visit, error=WRONG_POLICY)
    return visit.to(f"/tenants/{code}", done="saved")


def _count(text: str) -> int:
    """Raises InvalidRequest."""
    found = _limit(text)
    if found is None:
        raise InvalidRequest("a number is missing")
    return found


async def suspend(visit: Visit) -> Response:
    access, code = visit.services.access, visit.request.path_params["code"]
    act = access.resume_tenant if visit.text("resume") else access.suspend_tenant
    await act(visit.actor, code)
    return visit.to(f"/tenants/{code}", done="saved")


async def grant(visit: Visit) -> Response:
    access = visit.services.access
    act = access.revoke_lookup if visit.text("revoke") else access.grant_lookup
    await act(visit.actor, courier=visit.text("courier"), mall=visit.text("mall"))
    return visit.to("/tenants", done="saved")


PAGES: Final = (
    Page(path="/tenants", view=listed, needs=May.OPERATE),
    Page(path="/tenants", view=create, needs=May.OPERATE, method="POST"),
    Page(path="/tenants/grants", view=grant, needs=May.OPERATE, method="POST"),
    Page(path="/tenants/{code}", view=one, needs=May.OPERATE),
    Page(path="/tenants/{code}/limits", view=limits, needs=May.OPERATE, method="POST"),
    Page(path="/tenants/{code}/policy", view=set_policy, needs=May.OPERATE, method="POST"),
    Page(path="/tenants/{code}/suspension", view=suspend, needs=May.OPERATE, method="POST"),
)
