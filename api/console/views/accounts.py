"""Sending accounts (SP IDs): which may show a tenant's numbers beside their own; operators put them there."""

from typing import Final

from starlette.responses import Response

from api.console.pages import Page
from api.console.permissions import May
from api.console.visit import Visit, identifier
from vns.errors import Conflict, InvalidRequest

TAKEN: Final = "이미 다른 관리 계정에 속한 계정입니다. 먼저 그쪽에서 제외해 주세요."
UNKNOWN: Final = "추가할 계정을 목록에서 선택해 주세요. 자기 자신은 추가할 수 없습니다."


async def listed(visit: Visit) -> Response:
    return await _page(visit)


async def _page(visit: Visit, *, status: int = 200, error: str | None = None) -> Response:
    accounts = await visit.services.accounts.list(visit.about.id)
    there = {visit.about.id, *(account.tenant_id for account in accounts)}
    others = {tenant.code: f"{tenant.name} ({tenant.code})" for tenant in visit.tenants if tenant.id not in there}
    return visit.page("accounts.html", status=status, accounts=accounts, others=others, error=error)


async def add(visit: Visit) -> Response:
    chosen = next((tenant for tenant in visit.tenants if tenant.code == visit.text("account")), None)
    if chosen is None:
        return await _page(visit, status=422, error=UNKNOWN)
    try:
        await visit.services.accounts.put(visit.actor, visit.about.id, chosen.id)
    except InvalidRequest:
        return await _page(visit, status=422, error=UNKNOWN)
    except Conflict:
        return await _page(visit, status=409, error=TAKEN)
    return visit.to("/accounts", done="saved")


async def remove(visit: Visit) -> Response:
    account_id = identifier(visit.request.path_params["id"])
    await visit.services.accounts.remove(visit.actor, visit.about.id, account_id)
    return visit.to("/accounts", done="saved")


PAGES: Final = (
    Page(path="/accounts", view=listed, needs=May.SEE_SENDERS),
    Page(path="/accounts", view=add, needs=May.OPERATE, method="POST"),
    Page(path="/accounts/{id}/remove", view=remove, needs=May.OPERATE, method="POST"),
)
