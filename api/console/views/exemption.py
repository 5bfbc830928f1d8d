"""The exemption (예외 적용): applied for by a tenant, decided on by an operator."""

from typing import Final

from starlette.responses import Response

from api.console.pages import Page
from api.console.permissions import May
from api.console.views.sender_documents import NONE, REASON, UNREADABLE
from api.console.visit import Visit, identifier
from vns.errors import Conflict, InvalidApplication, InvalidDocument, InvalidRequest, NotFound, QuotaExceeded
from vns.numbering.rules import hyphenate
from vns.senders.exemption_rules import MAX_ADDRESS, MAX_NAME, MAX_NUMBERS, Application, Company

FIELDS: Final = ("company", "business_number", "corporate_number", "representative", "address", "numbers")
WRONG: Final = {
    "company": f"회사 이름을 {MAX_NAME}자 안에서 입력해 주세요.",
    "business_number": "사업자등록번호가 맞지 않습니다. 등록증의 10자리 숫자를 다시 확인해 주세요.",
    "corporate_number": "법인등록번호가 맞지 않습니다. 13자리 숫자를 다시 확인해 주세요. 2025년 1월 31일 이후에 받은 "
    "번호라면 아래 칸에 표시하고, 개인사업자라면 비워 주세요.",
    "representative": f"대표자 이름을 {MAX_NAME}자 안에서 입력해 주세요.",
    "address": f"주소를 {MAX_ADDRESS}자 안에서 입력해 주세요.",
    "numbers": f"발신번호를 한 줄에 하나씩 {MAX_NUMBERS:,}개까지 입력해 주세요.",
}
ROWS: Final = "발신번호 목록의 {}번째 줄이 발신번호 형식이 아니거나 위와 중복됩니다. 고치거나 지워 주세요."
FULL: Final = "등록할 수 있는 발신번호 수를 넘습니다. 번호를 줄이거나 고객센터에 한도를 늘려 달라고 요청해 주세요."
TOO_MANY: Final = (
    "이 고객사의 발신번호 한도를 넘어 승인할 수 없습니다. 고객사 페이지에서 한도를 늘린 뒤 다시 승인해 주세요."
)
UNDER_REVIEW: Final = "운영자가 확인하고 있는 신청은 바꿀 수 없습니다. 바꾸려면 먼저 신청을 취소해 주세요."
UNDER_WAY: Final = "이미 작성했거나 심사 중인 신청이 있습니다. 아래에서 확인해 주세요."
DECIDED: Final = "승인을 기다리는 신청이 아닙니다. 고객사가 바꾸었거나 이미 심사했습니다. 내용을 다시 확인해 주세요."
GONE: Final = "신청이 없습니다. 이미 취소했거나 바뀌었습니다."


async def shown(visit: Visit) -> Response:
    return await _page(visit)


async def _page(visit: Visit, *, status: int = 200, error: str | None = None, typing: bool = False) -> Response:
    """`typing`: what was typed is shown again, in place of what is stored."""
    standing = await visit.services.applications.standing(visit.about.id)
    application, exemption = standing.application, standing.exemption
    typed = {name: visit.text(name) for name in FIELDS} if typing else _stored(application)
    company = application.company if application else None
    ticked = bool(visit.text("new_corporate_number")) if typing else bool(company and company.new_corporate_number)
    return visit.page(
        "exemption.html",
        status=status,
        application=application,
        exemption=exemption,
        over=exemption is not None and exemption.ends_at <= visit.services.clock.now(),
        typed=typed,
        stored=_stored(application),
        new_corporate_number=ticked,
        error=error,
    )


def _stored(application: Application | None) -> dict[str, str]:
    company = application.company if application else None
    if company is None:
        return dict.fromkeys(FIELDS, "")
    return {
        "company": company.company,
        "business_number": shown_business_number(company.business_number),
        "corporate_number": shown_corporate_number(company.corporate_number),
        "representative": company.representative,
        "address": company.address,
        "numbers": "\n".join(map(hyphenate, company.numbers)),
    }


def shown_business_number(digits: str) -> str:
    return f"{digits[:3]}-{digits[3:5]}-{digits[5:]}"


def shown_corporate_number(digits: str | None) -> str:
    return f"{digits[:6]}-{digits[6:]}" if digits else ""


async def write(visit: Visit) -> Response:
    given = Company(
        company=visit.text("company"),
        business_number=visit.text("business_number"),
        corporate_number=visit.text("corporate_number") or None,
        new_corporate_number=bool(visit.text("new_corporate_number")),
        representative=visit.text("representative"),
        address=visit.text("address"),
        numbers=tuple(line for line in map(str.strip, visit.text("numbers").splitlines()) if line),
    )
    try:
        await visit.services.applications.write(visit.actor, visit.about.id, given)
    except InvalidApplication as error:
        return await _page(visit, status=422, error=_wrong(error), typing=True)
    except QuotaExceeded:
        return await _page(visit, status=409, error=FULL, typing=True)
    except Conflict:
        return await _page(visit, status=409, error=UNDER_REVIEW)
    return visit.to("/exemption", done="drafted")


def _wrong(error: InvalidApplication) -> str:
    if error.rows:
        return ROWS.format(", ".join(map(str, error.rows[:10])) + (" …" if len(error.rows) > 10 else ""))
    return WRONG[error.field]


async def upload(visit: Visit) -> Response:
    chosen = visit.file("document")
    if chosen is None:
        return await _page(visit, status=422, error=NONE)
    try:
        await visit.services.applications.upload(visit.actor, visit.about.id, await chosen.read())
    except InvalidDocument:
        return await _page(visit, status=422, error=UNREADABLE)
    except Conflict:
        return await _page(visit, status=409, error=UNDER_REVIEW)
    return visit.to("/exemption", done="drafted")


async def renew(visit: Visit) -> Response:
    try:
        await visit.services.applications.renew(visit.actor, visit.about.id)
    except Conflict:
        return await _page(visit, status=409, error=UNDER_WAY)
    return visit.to("/exemption", done="renewing")


async def submit(visit: Visit) -> Response:
    try:
        await visit.services.applications.submit(visit.actor, visit.about.id)
    except Conflict:
        return await _page(visit, status=409, error=UNDER_WAY)
    except NotFound:
        return await _page(visit, status=404, error=GONE)
    return visit.to("/exemption", done="submitted")


async def withdraw(visit: Visit) -> Response:
    try:
        await visit.services.applications.withdraw(visit.actor, visit.about.id)
    except NotFound:
        return await _page(visit, status=404, error=GONE)
    return visit.to("/exemption", done="withdrawn")


async def decide(visit: Visit) -> Response:
    applications, own = visit.services.applications, identifier(visit.text("application"))
    try:
        if visit.text("act") == "approve":
            await applications.approve(visit.actor, visit.about.id, own)
        else:
            await applications.refuse(visit.actor, visit.about.id, own, visit.text("reason"))
    except InvalidApplication as error:
        return await _page(visit, status=422, error=_wrong(error))
    except InvalidRequest:
        return await _page(visit, status=422, error=REASON)
    except QuotaExceeded:
        return await _page(visit, status=409, error=TOO_MANY)
    except (Conflict, NotFound):
        return await _page(visit, status=409, error=DECIDED)
    return visit.to("/exemption", done="decided")


async def revoke(visit: Visit) -> Response:
    await visit.services.exemptions.revoke(visit.actor, visit.about.id)
    return visit.to("/exemption", done="revokedexemption")


PAGES: Final = (
    Page(path="/exemption", view=shown, needs=May.MANAGE_SENDERS),
    Page(path="/exemption", view=write, needs=May.MANAGE_SENDERS, method="POST"),
    Page(path="/exemption/certificate", view=upload, needs=May.MANAGE_SENDERS, method="POST", uploads=True),
    Page(path="/exemption/renewal", view=renew, needs=May.MANAGE_SENDERS, method="POST"),
    Page(path="/exemption/submission", view=submit, needs=May.MANAGE_SENDERS, method="POST"),
    Page(path="/exemption/withdrawal", view=withdraw, needs=May.MANAGE_SENDERS, method="POST"),
    Page(path="/exemption/decision", view=decide, needs=May.OPERATE, method="POST"),
    Page(path="/exemption/end", view=revoke, needs=May.OPERATE, method="POST"),
)
