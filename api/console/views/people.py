"""Accounts of a tenant's people: made with a temporary password that is shown once, unlocked, given another one."""

from datetime import date
from typing import Final

from starlette.responses import Response

from api.console.pages import Page
from api.console.permissions import May
from api.console.visit import Visit, identifier
from api.console.words import ROLES
from vns.errors import InvalidNumber, InvalidRequest, NotFound
from vns.numbering.rules import parse
from vns.users.rules import IssuedPassword, NewUser, Role, User

CHOICE: Final = {role.value: ROLES[role.value] for role in Role if role is not Role.OPERATOR}
WRONG: Final = (
    "아이디는 영문 소문자로 시작해 3~40자(숫자, 점, 하이픈, 밑줄 가능)이고 이미 쓰는 아이디는 쓸 수 없습니다. "
    "휴대전화 번호와 이름, 생년월일도 확인해 주세요."
)


async def listed(visit: Visit) -> Response:
    return await _page(visit)


async def _page(visit: Visit, issued: IssuedPassword | None = None, *, error: str | None = None) -> Response:
    return visit.page(
        "people.html",
        status=422 if error else 200,
        people=await visit.services.users.of_tenant(visit.about.id),
        now=visit.services.clock.now(),
        roles=CHOICE,
        issued=issued,
        typed={name: visit.text(name) if error else "" for name in ("login", "name", "mobile", "born", "role")},
        error=error,
    )


async def create(visit: Visit) -> Response:
    try:
        new = NewUser(
            login=visit.text("login").lower(),
            role=Role(visit.text("role") if visit.text("role") in CHOICE else Role.READ_ONLY),
            name=visit.text("name"),
            mobile=parse(visit.text("mobile")),
            birth_date=date.fromisoformat(visit.text("born")) if visit.text("born") else None,
        )
        issued = await visit.services.users.create(visit.actor, visit.about, new)
    except (InvalidNumber, InvalidRequest, ValueError):
        return await _page(visit, error=WRONG)
    return await _page(visit, issued)


async def reset(visit: Visit) -> Response:
    user = await _one(visit)
    return await _page(visit, await visit.services.users.reset_password(visit.actor, user.id))


async def unlock(visit: Visit) -> Response:
    user = await _one(visit)
    await visit.services.users.unlock(visit.actor, user.id)
    return visit.to("/people", done="saved")


async def _one(visit: Visit) -> User:
    """The person of the address, if of this tenant. Raises NotFound."""
    user = await visit.services.users.get(identifier(visit.request.path_params["id"]))
    if user.tenant_id != visit.about.id:
        raise NotFound("no such user")
    return user


PAGES: Final = (
    Page(path="/people", view=listed, needs=May.MANAGE_PEOPLE),
    Page(path="/people", view=create, needs=May.MANAGE_PEOPLE, method="POST"),
    Page(path="/people/{id}/reset", view=reset, needs=May.MANAGE_PEOPLE, method="POST"),
    Page(path="/people/{id}/unlock", view=unlock, needs=May.MANAGE_PEOPLE, method="POST"),
)
