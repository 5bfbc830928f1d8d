"""Sender numbers: the list, one registered, proven by call or text, deleted, taken away as a file.

A number that is searched for stands in a form, never in an address.
"""

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from api.console import sheets
from api.console.pages import Page
from api.console.permissions import May
from api.console.rendering import KST
from api.console.visit import Visit, identifier
from api.console.words import SENDER_METHODS, SENDER_STATUSES, error_text
from vns.errors import (
    CallerIdNotProven,
    CallUnderWay,
    CodeOver,
    Conflict,
    InvalidNumber,
    InvalidRequest,
    NotFound,
    NumberNotMappable,
    QuotaExceeded,
    RateLimited,
    VnsError,
    WrongCode,
)
from vns.numbering.rules import NumberKind, hyphenate, parse
from vns.senders.manager_rules import ManagerStatus
from vns.senders.rules import SenderNumber

PAGE_SIZE: Final = 50
MALFORMED: Final = (
    "발신번호로 쓸 수 없는 번호입니다. 숫자 8~11자리로, 일반전화는 지역번호를 붙이고 15xx·16xx·18xx 대표번호는 "
    "8자리만 입력해 주세요. 112 같은 특수번호와 걸 수 없는 번호는 등록할 수 없습니다."
)
TAKEN: Final = "이미 등록된 번호입니다. 아래 목록에서 찾아보세요."
FULL: Final = (
    "등록할 수 있는 {:,}개를 모두 썼습니다. 쓰지 않는 번호를 삭제하거나 고객센터에 한도를 늘려 달라고 요청해 주세요."
)
WRONG_CODE: Final = "인증번호가 다릅니다. 6자리 숫자를 다시 확인해 주세요. 5번 틀리면 새로 받아야 합니다."
CODE_OVER: Final = "인증번호가 만료되었거나 너무 많이 틀렸습니다. 인증번호를 다시 받아 주세요."
NOT_SENT: Final[dict[type[VnsError], tuple[int, str]]] = {
    RateLimited: (429, "이 번호로 인증번호를 너무 자주 보냈습니다. 10분 뒤에 다시 시도해 주세요."),
    CallUnderWay: (409, "이 번호로 인증 전화를 걸고 있습니다. 통화가 끝난 뒤 다시 시도해 주세요."),
    CallerIdNotProven: (503, "지금은 인증번호를 보낼 수 없습니다. 고객센터로 연락해 주세요."),
    NumberNotMappable: (
        422,
        "전화나 문자로 인증할 수 없는 번호입니다. 아래에서 통신서비스 이용증명원을 올려 주세요.",
    ),
}


async def listed(visit: Visit) -> Response:
    return await list_page(visit)


async def list_page(
    visit: Visit,
    *,
    status: int = 200,
    error: str | None = None,
    found: Sequence[SenderNumber] | None = None,
) -> Response:
    """`found`: what a search came to, in place of the list."""
    senders, tenant, cursor = visit.services.senders, visit.about, visit.asked("cursor")
    oldest = visit.asked("order") == "oldest"
    pages = None
    if found is None:
        shown = await senders.list(tenant.id, cursor=cursor, limit=PAGE_SIZE, oldest_first=oldest)
        order = "oldest" if oldest else None
        pages = {
            "first": visit.link("/senders", order=order) if cursor else None,
            "next": visit.link("/senders", order=order, cursor=shown.next_cursor) if shown.next_cursor else None,
        }
        found = shown.items
    manages = visit.may(May.MANAGE_SENDERS)
    manager = await visit.services.managers.find(tenant.id) if manages else None
    return visit.page(
        "senders.html",
        status=status,
        senders=found,
        searched=visit.text("wanted"),
        typed={name: visit.text(name) if error else "" for name in ("number", "label")},
        pages=pages,
        oldest=oldest,
        count=await senders.count(tenant.id),
        policy=await senders.policy(tenant.id),
        chooses=manager is not None and manager.status is ManagerStatus.APPROVED,
        offered=manages and await senders.offers_bulk(tenant.id),
        error=error,
    )


async def search(visit: Visit) -> Response:
    try:
        wanted = parse(visit.text("wanted"))
    except InvalidNumber:
        return await list_page(visit, status=422, error="찾을 번호를 02-1234-5678처럼 끝까지 입력해 주세요.", found=())
    return await list_page(visit, found=(await visit.services.senders.list(visit.about.id, number=wanted)).items)


async def register(visit: Visit) -> Response:
    senders, tenant = visit.services.senders, visit.about
    try:
        made = await senders.register(visit.actor, tenant.id, visit.text("number"), label=visit.text("label"))
    except InvalidNumber:
        return await list_page(visit, status=422, error=MALFORMED)
    except InvalidRequest:
        return await list_page(visit, status=422, error="이름은 100자까지 쓸 수 있습니다.")
    except QuotaExceeded:
        policy = await senders.policy(tenant.id)
        return await list_page(visit, status=409, error=FULL.format(policy.max_numbers))
    except Conflict:
        return await list_page(visit, status=409, error=TAKEN)
    return visit.to(f"/senders/{made.id}", done="registered")


async def remove(visit: Visit) -> Response:
    """Those that were chosen; one that somebody else has deleted meanwhile is gone as wanted."""
    chosen = [identifier(given) for given in visit.texts("sender")]
    if not chosen:
        return await list_page(visit, status=422, error="삭제할 번호를 먼저 선택해 주세요.")
    for sender_id in chosen:
        try:
            await visit.services.senders.remove(visit.actor, visit.about.id, sender_id)
        except NotFound:
            if len(chosen) == 1:
                raise
    return visit.to("/senders", done="removed")


async def download(visit: Visit) -> Response:
    found = await visit.services.senders.export(visit.actor, visit.about.id)
    head = ("이름", "발신번호", "상태", "인증 방법", "등록", "인증 만료")
    return visit.file_answer(sheets.written("senders", head, map(_line, found)), "sender-numbers.xlsx", sheets.XLSX)


def _line(one: SenderNumber) -> tuple[str, ...]:
    return (
        one.label,
        hyphenate(one.number or ""),
        SENDER_STATUSES[one.status],
        SENDER_METHODS[one.method] if one.method else "",
        f"{one.created_at.astimezone(KST):%Y-%m-%d %H:%M}",
        f"{one.expires_at.astimezone(KST):%Y-%m-%d}" if one.expires_at else "",
    )


async def one(visit: Visit) -> Response:
    """Also what became of the call alone, as a fragment."""
    if visit.asked("rows"):
        sender_id = identifier(visit.request.path_params["id"])
        call = await visit.services.proving.last_call(visit.about.id, sender_id)
        return visit.page("parts/sender_call.html", call=call)
    return await one_number(visit)


async def one_number(visit: Visit, *, status: int = 200, error: str | None = None) -> Response:
    sender_id = identifier(visit.request.path_params["id"])
    sender = await visit.services.senders.get(visit.about.id, sender_id)
    shows_documents = visit.may(May.MANAGE_SENDERS)
    return visit.page(
        "sender.html",
        status=status,
        sender=sender,
        mobile=_is_mobile(sender),
        until=await visit.services.senders.code_until(visit.about.id, sender_id),
        call=await visit.services.proving.last_call(visit.about.id, sender_id),
        live=visit.link(f"/senders/{sender_id}", rows=1),
        documents=await visit.services.documents.list(visit.about.id, sender_id) if shows_documents else (),
        error=error,
    )


async def send_code(visit: Visit) -> Response:
    """What becomes of a call is told beside it: no notice that it went well stays next to its failure."""
    sender_id = identifier(visit.request.path_params["id"])
    try:
        started = await visit.services.proving.start(visit.actor, visit.about.id, sender_id)
    except tuple(NOT_SENT) as error:
        status, text = NOT_SENT.get(type(error), (409, error_text(error.code)))
        return await one_number(visit, status=status, error=text)
    return visit.to(f"/senders/{sender_id}", done="codesent" if _is_mobile(started) else None)


def _is_mobile(sender: SenderNumber) -> bool:
    return parse(sender.number or "").kind is NumberKind.MOBILE


async def confirm(visit: Visit) -> Response:
    sender_id = identifier(visit.request.path_params["id"])
    try:
        await visit.services.senders.confirm(visit.actor, visit.about.id, sender_id, visit.text("code"))
    except WrongCode:
        return await one_number(visit, status=422, error=WRONG_CODE)
    except CodeOver:
        return await one_number(visit, status=422, error=CODE_OVER)
    return visit.to(f"/senders/{sender_id}", done="verified")


PAGES: Final = (
    Page(path="/senders", view=listed, needs=May.SEE_SENDERS),
    Page(path="/senders", view=register, needs=May.MANAGE_SENDERS, method="POST"),
    Page(path="/senders/search", view=search, needs=May.SEE_SENDERS, method="POST"),
    Page(path="/senders/remove", view=remove, needs=May.MANAGE_SENDERS, method="POST"),
    Page(path="/senders/download", view=download, needs=May.SEE_SENDERS, method="POST"),
    Page(path="/senders/{id}", view=one, needs=May.SEE_SENDERS),
    Page(path="/senders/{id}/code", view=send_code, needs=May.MANAGE_SENDERS, method="POST"),
    Page(path="/senders/{id}/confirm", view=confirm, needs=May.MANAGE_SENDERS, method="POST"),
)
