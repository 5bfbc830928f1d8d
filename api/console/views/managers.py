"""The manager of sender numbers: designated, proven, decided on; and numbers that the manager proves together."""

from typing import Final

from starlette.responses import Response

from api.console.pages import Page
from api.console.permissions import May
from api.console.views.sender_documents import NONE, REASON, UNREADABLE
from api.console.views.senders import CODE_OVER, NOT_SENT, WRONG_CODE, list_page
from api.console.visit import Visit, identifier
from api.console.words import error_text
from vns.errors import (
    CodeOver,
    Conflict,
    InvalidDocument,
    InvalidNumber,
    InvalidRequest,
    ManagerNeeded,
    NotFound,
    VnsError,
    WrongCode,
)
from vns.senders.manager_rules import PAPERS
from vns.senders.selections import Selection

NAME: Final = "담당자 이름을 100자 안에서 입력해 주세요."
MOBILE: Final = "담당자의 휴대전화 번호를 010-1234-5678처럼 입력해 주세요."
TAKEN: Final = "이미 지정된 담당자가 있습니다. 바꾸려면 먼저 지정을 해제하거나 고객센터로 연락해 주세요."
UNDER_REVIEW: Final = (
    "운영자가 확인하고 있거나 승인한 서류는 바꿀 수 없습니다. 바꾸려면 지정을 해제한 뒤 다시 지정해 주세요."
)
MISSING: Final = "휴대전화 인증과 재직증명서, 위임장이 모두 있어야 승인을 요청할 수 있습니다."
UNDECIDED: Final = "아직 승인을 요청하지 않은 담당자입니다."
NOTHING: Final = "인증을 기다리는 번호를 선택해 주세요. 이미 인증되었거나 거절된 번호는 선택 인증을 할 수 없습니다."


async def shown(visit: Visit) -> Response:
    return await _page(visit)


async def _page(visit: Visit, *, status: int = 200, error: str | None = None) -> Response:
    managers, tenant_id = visit.services.managers, visit.about.id
    manager = await managers.find(tenant_id)
    return visit.page(
        "manager.html",
        status=status,
        manager=manager,
        papers={paper.kind: paper for paper in manager.papers} if manager else {},
        kinds=PAPERS,
        until=await managers.code_until(tenant_id),
        typed={name: visit.text(name) if error else "" for name in ("name", "mobile")},
        error=error,
    )


async def designate(visit: Visit) -> Response:
    """An operator may put another in place of the one there is."""
    managers = visit.services.managers
    act = managers.replace if visit.may(May.OPERATE) and visit.text("replaces") else managers.designate
    try:
        await act(visit.actor, visit.about.id, visit.text("name"), visit.text("mobile"))
    except InvalidNumber:
        return await _page(visit, status=422, error=MOBILE)
    except InvalidRequest:
        return await _page(visit, status=422, error=NAME)
    except Conflict:
        return await _page(visit, status=409, error=TAKEN)
    return visit.to("/manager", done="designated")


async def send_code(visit: Visit) -> Response:
    try:
        await visit.services.managers.send_code(visit.actor, visit.about.id)
    except tuple(NOT_SENT) as error:
        status, text = _not_sent(error)
        return await _page(visit, status=status, error=text)
    except Conflict:  # proven from another window
        return visit.to("/manager")
    return visit.to("/manager", done="codesent")


def _not_sent(error: VnsError) -> tuple[int, str]:
    """Status and text."""
    return NOT_SENT.get(type(error), (409, error_text(error.code)))


async def confirm(visit: Visit) -> Response:
    try:
        await visit.services.managers.confirm(visit.actor, visit.about.id, visit.text("code"))
    except WrongCode:
        return await _page(visit, status=422, error=WRONG_CODE)
    except CodeOver:
        return await _page(visit, status=422, error=CODE_OVER)
    return visit.to("/manager", done="mobileproven")


async def upload(visit: Visit) -> Response:
    kind = next((kind for kind in PAPERS if kind == visit.text("kind")), None)
    chosen = visit.file("document")
    if kind is None or chosen is None:
        return await _page(visit, status=422, error=NONE)
    try:
        await visit.services.managers.upload(visit.actor, visit.about.id, kind, await chosen.read())
    except InvalidDocument:
        return await _page(visit, status=422, error=UNREADABLE)
    except Conflict:
        return await _page(visit, status=409, error=UNDER_REVIEW)
    return visit.to("/manager", done="paper")


async def submit(visit: Visit) -> Response:
    try:
        await visit.services.managers.submit(visit.actor, visit.about.id)
    except Conflict:
        return await _page(visit, status=409, error=MISSING)
    return visit.to("/manager", done="submitted")


async def end(visit: Visit) -> Response:
    await visit.services.managers.end(visit.actor, visit.about.id)
    return visit.to("/manager", done="ended")


async def decide(visit: Visit) -> Response:
    managers, manager_id = visit.services.managers, identifier(visit.text("manager"))
    try:
        if visit.text("act") == "approve":
            await managers.approve(visit.actor, visit.about.id, manager_id)
        else:
            await managers.refuse(visit.actor, visit.about.id, manager_id, visit.text("reason"))
    except InvalidRequest:
        return await _page(visit, status=422, error=REASON)
    except Conflict:
        return await _page(visit, status=409, error=UNDECIDED)
    return visit.to("/manager", done="decided")


async def choose(visit: Visit) -> Response:
    """The numbers that were ticked, or all that wait."""
    chosen = None if visit.text("all") else [identifier(given) for given in visit.texts("sender")]
    if chosen == []:
        return await list_page(visit, status=422, error=NOTHING)
    try:
        made = await visit.services.selections.start(visit.actor, visit.about.id, chosen)
    except ManagerNeeded as error:
        return await list_page(visit, status=409, error=error_text(error.code))
    except tuple(NOT_SENT) as error:
        status, text = _not_sent(error)
        return await list_page(visit, status=status, error=text)
    except InvalidRequest:
        return await list_page(visit, status=422, error=NOTHING)
    return visit.to(f"/senders/selection/{made.id}", done="codesent")


async def selection(visit: Visit) -> Response:
    return _selection(visit, await _selected(visit))


async def _selected(visit: Visit) -> Selection:
    """Raises NotFound."""
    return await visit.services.selections.get(visit.about.id, identifier(visit.request.path_params["id"]))


def _selection(visit: Visit, found: Selection, *, status: int = 200, error: str | None = None) -> Response:
    return visit.page("selection.html", status=status, selection=found, error=error)


async def confirm_selection(visit: Visit) -> Response:
    found = await _selected(visit)
    try:
        await visit.services.selections.confirm(visit.actor, visit.about.id, found.id, visit.text("code"))
    except WrongCode:
        return _selection(visit, found, status=422, error=WRONG_CODE)
    except CodeOver:
        return _selection(visit, found, status=422, error=CODE_OVER)
    except NotFound:  # confirmed from another window
        return visit.to("/senders")
    return visit.to("/senders", done="chosen")


PAGES: Final = (
    Page(path="/manager", view=shown, needs=May.MANAGE_SENDERS),
    Page(path="/manager", view=designate, needs=May.MANAGE_SENDERS, method="POST"),
    Page(path="/manager/code", view=send_code, needs=May.MANAGE_SENDERS, method="POST"),
    Page(path="/manager/confirm", view=confirm, needs=May.MANAGE_SENDERS, method="POST"),
    Page(path="/manager/documents", view=upload, needs=May.MANAGE_SENDERS, method="POST", uploads=True),
    Page(path="/manager/submission", view=submit, needs=May.MANAGE_SENDERS, method="POST"),
    Page(path="/manager/end", view=end, needs=May.MANAGE_SENDERS, method="POST"),
    Page(path="/manager/decision", view=decide, needs=May.OPERATE, method="POST"),
    Page(path="/senders/selection", view=choose, needs=May.MANAGE_SENDERS, method="POST"),
    Page(path="/senders/selection/{id}", view=selection, needs=May.MANAGE_SENDERS),
    Page(path="/senders/selection/{id}/confirm", view=confirm_selection, needs=May.MANAGE_SENDERS, method="POST"),
)
