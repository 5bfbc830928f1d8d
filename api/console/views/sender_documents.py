"""Certificates of sender numbers: a tenant uploads, an operator looks at what waits and decides."""

from typing import Final

from starlette.responses import Response

from api.console.pages import Page
from api.console.permissions import May
from api.console.views.senders import one_number
from api.console.visit import Visit, identifier
from vns.errors import InvalidDocument, InvalidRequest, QuotaExceeded
from vns.senders.evidence import MAX_BYTES, MAX_OF_NUMBER, MediaType

PAGE_SIZE: Final = 50
ENDINGS: Final = {MediaType.PDF: "pdf", MediaType.JPEG: "jpg", MediaType.PNG: "png"}
NONE: Final = "서류 파일을 선택해 주세요."
UNREADABLE: Final = (
    f"서류를 읽을 수 없습니다. 손상되지 않은 PDF, JPG, PNG 파일인지, {MAX_BYTES // 2**20}MB 이하인지 확인해 주세요."
)
FULL: Final = f"서류는 번호마다 {MAX_OF_NUMBER}개까지 올릴 수 있습니다. 고객센터로 연락해 주세요."
REASON: Final = "근거나 사유를 500자 안에서 입력해 주세요."


async def upload(visit: Visit) -> Response:
    sender_id = identifier(visit.request.path_params["id"])
    chosen = visit.file("document")
    if chosen is None:
        return await one_number(visit, status=422, error=NONE)
    try:
        await visit.services.documents.upload(visit.actor, visit.about.id, sender_id, await chosen.read())
    except InvalidDocument:
        return await one_number(visit, status=422, error=UNREADABLE)
    except QuotaExceeded:
        return await one_number(visit, status=409, error=FULL)
    return visit.to(f"/senders/{sender_id}", done="uploaded")


async def read(visit: Visit) -> Response:
    """As a file to keep: what strangers made is never shown as a page of ours."""
    document_id = identifier(visit.request.path_params["id"])
    document, content = await visit.services.documents.read(visit.actor, visit.about.id, document_id)
    return visit.file_answer(content, f"document-{document.id}.{ENDINGS[document.media_type]}", document.media_type)


async def waiting(visit: Visit) -> Response:
    """Numbers, managers and applications of all tenants; nothing of one tenant's page leads here."""
    cursor = visit.asked("cursor")
    found = await visit.services.documents.review(cursor=cursor, limit=PAGE_SIZE)
    pages = {
        "first": visit.link("/reviews") if cursor else None,
        "next": visit.link("/reviews", cursor=found.next_cursor) if found.next_cursor else None,
    }
    more = visit.asked("managers")
    managers = await visit.services.managers.review(cursor=more, limit=PAGE_SIZE)
    manager_pages = {
        "first": visit.link("/reviews") if more else None,
        "next": visit.link("/reviews", managers=managers.next_cursor) if managers.next_cursor else None,
    }
    later = visit.asked("exemptions")
    applications = await visit.services.applications.review(cursor=later, limit=PAGE_SIZE)
    application_pages = {
        "first": visit.link("/reviews") if later else None,
        "next": visit.link("/reviews", exemptions=applications.next_cursor) if applications.next_cursor else None,
    }
    return visit.page(
        "reviews.html",
        senders=found.items,
        managers=managers.items,
        applications=applications.items,
        tenants_by_id={tenant.id: tenant for tenant in visit.tenants},
        pages=pages,
        manager_pages=manager_pages,
        application_pages=application_pages,
    )


async def decide(visit: Visit) -> Response:
    sender_id, senders = identifier(visit.request.path_params["id"]), visit.services.senders
    decision = senders.approve if visit.text("act") == "approve" else senders.reject
    try:
        await decision(visit.actor, visit.about.id, sender_id, visit.text("reason"))
    except InvalidRequest:
        return await one_number(visit, status=422, error=REASON)
    return visit.to(f"/senders/{sender_id}", done="decided")


PAGES: Final = (
    Page(path="/reviews", view=waiting, needs=May.OPERATE),
    Page(path="/senders/documents/{id}", view=read, needs=May.MANAGE_SENDERS),
    Page(path="/senders/{id}/documents", view=upload, needs=May.MANAGE_SENDERS, method="POST", uploads=True),
    Page(path="/senders/{id}/decision", view=decide, needs=May.OPERATE, method="POST"),
)
