"""One request to the console: who asks, about which tenant, and how an answer is made.

Which tenant a page is about is decided here and nowhere else: people of a tenant see their own, whatever they send;
an operator chooses one.
"""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from markupsafe import Markup
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.console.permissions import May, may
from api.console.rendering import rendered
from api.console.security import (
    PATH,
    SESSION_COOKIE,
    TOKEN_FIELD,
    VISITOR_COOKIE,
    form_token,
    new_visitor,
    set_cookie,
)
from api.services import Services, services_of
from vns.access.rules import Principal, Tenant, TenantKind, in_place_of
from vns.errors import NotFound, Unauthorized
from vns.users.rules import Role, User

NOTICES: Final = {
    "released": "해제했습니다. 이 번호로는 더 이상 연결되지 않습니다.",
    "saved": "저장했습니다.",
    "password": "비밀번호를 변경했습니다.",
    "sent": "인증번호를 다시 보냈습니다.",
    "revoked": "키를 폐기했습니다. 몇 초 안에 사용이 중지됩니다.",
    "registered": "등록했습니다.",
    "removed": "삭제했습니다. 삭제한 번호로는 더 이상 발신할 수 없습니다.",
    "codesent": "인증번호를 보냈습니다. 5분 안에 입력해 주세요.",
    "uploaded": "서류를 올렸습니다. 운영자가 확인한 뒤 결과가 여기에 표시됩니다.",
    "designated": "담당자를 지정했습니다. 휴대전화 인증과 서류 올리기를 마친 뒤 승인을 요청해 주세요.",
    "mobileproven": "휴대전화를 인증했습니다.",
    "paper": "서류를 올렸습니다.",
    "submitted": "승인을 요청했습니다. 운영자가 확인한 뒤 결과가 여기에 표시됩니다.",
    "drafted": "신청 내용을 저장했습니다. 확인한 뒤 승인을 요청해 주세요.",
    "renewing": "갱신 신청을 작성했습니다. 바뀐 내용을 고친 뒤 승인을 요청해 주세요.",
    "withdrawn": "신청을 취소하고 입력한 내용을 지웠습니다.",
    "revokedexemption": "예외 적용을 끝냈습니다. 예외로만 인증된 번호는 다시 인증해야 합니다.",
    "ended": "담당자 지정을 해제했습니다.",
    "chosen": "선택한 번호를 인증했습니다. 이제 발신번호로 쓸 수 있습니다.",
    "decided": "심사 결과를 저장했습니다.",
    "verified": "인증을 마쳤습니다. 이제 발신번호로 쓸 수 있습니다.",
    "loggedout": "로그아웃했습니다.",
}


@dataclass(frozen=True, slots=True)
class MenuEntry:
    href: str
    title: str
    current: bool


MENU: Final = (
    ("/bindings", "안심번호", May.SEE_BINDINGS),
    ("/why", "연결 확인", May.SEE_BINDINGS),
    ("/orders", "일괄 할당", May.ALLOCATE),
    ("/calls", "통화", May.SEE_TRAFFIC),
    ("/messages", "문자", May.SEE_TRAFFIC),
    ("/traffic", "통계", May.SEE_TRAFFIC),
    ("/pools", "번호 대역", May.SEE_POOLS),
    ("/senders", "발신번호", May.SEE_SENDERS),
    ("/manager", "담당자", May.MANAGE_SENDERS),
    ("/exemption", "예외 적용", May.MANAGE_SENDERS),
    ("/accounts", "등록 계정", May.SEE_SENDERS),
    ("/reviews", "서류 심사", May.OPERATE),
    ("/keys", "API 키", May.MANAGE_KEYS),
    ("/people", "사용자", May.MANAGE_PEOPLE),
    ("/audit", "감사 기록", May.SEE_AUDIT),
    ("/tenants", "고객사", May.OPERATE),
    ("/profile", "내 정보", None),
)


@dataclass
class Visit:
    """`cookie`: what this browser's forms are tied to. `halfway`: the temporary password must be changed first."""

    request: Request
    services: Services
    user: User | None
    cookie: str
    halfway: bool = False
    fresh_cookie: bool = False
    form: FormData = field(default_factory=FormData)
    tenant: Tenant | None = None
    tenants: list[Tenant] = field(default_factory=list)  # an operator's choice

    def may(self, what: May) -> bool:
        return self.user is not None and may(self.user.role, what)

    @property
    def who(self) -> User:
        """Raises Unauthorized."""
        if self.user is None:
            raise Unauthorized("nobody is logged in")
        return self.user

    @property
    def actor(self) -> str:
        """How the journal names who does something here."""
        return f"user:{self.who.id}"

    @property
    def menu(self) -> list[MenuEntry]:
        here = self.request.url.path
        shown = [(path, title) for path, title, needs in MENU if needs is None or self.may(needs)]
        return [MenuEntry(self.link(path), title, f"{here}/".startswith(f"{PATH}{path}/")) for path, title in shown]

    async def choose_tenant(self) -> None:
        """Raises NotFound for a tenant that an operator names and nobody knows."""
        access = self.services.access
        if self.who.role is not Role.OPERATOR:
            self.tenant = await access.get_tenant(self.who.tenant_id)
            return
        known = [tenant for tenant in await access.list_tenants() if tenant.kind is not TenantKind.OPERATOR]
        self.tenants = sorted(known, key=lambda tenant: tenant.kind is not TenantKind.MALL)
        named = self.request.query_params.get("tenant") or self.text("tenant")
        if named:
            self.tenant = next((tenant for tenant in self.tenants if named in (tenant.code, str(tenant.id))), None)
            if self.tenant is None:
                raise NotFound("no such tenant")
        else:
            self.tenant = self.tenants[0] if self.tenants else None

    @property
    def about(self) -> Tenant:
        """The tenant that the page is about. Raises NotFound where an operator has none to look at yet."""
        if self.tenant is None:
            raise NotFound("there is no tenant yet")
        return self.tenant

    @property
    def principal(self) -> Principal:
        """As whom the core's services are asked: the tenant the page is about, done by this user."""
        return in_place_of(self.about, self.actor)

    def text(self, name: str) -> str:
        """A field of the form, without what stands around it; empty where there is none."""
        value = self.form.get(name)
        return value.strip() if isinstance(value, str) else ""

    def texts(self, name: str) -> list[str]:
        return [value.strip() for value in self.form.getlist(name) if isinstance(value, str)]

    def file(self, name: str) -> UploadFile | None:
        """A file that was chosen."""
        value = self.form.get(name)
        return value if isinstance(value, UploadFile) and value.filename else None

    def asked(self, name: str) -> str | None:
        """A part of the query; None where it is missing or empty."""
        return self.request.query_params.get(name, "").strip() or None

    def link(self, path: str, **query: object) -> str:
        """An address of the console; what is None is left out, and an operator's choice of tenant goes along."""
        asked = {name: str(value) for name, value in query.items() if value is not None}
        if self.tenants and self.tenant is not None:
            asked.setdefault("tenant", self.tenant.code)
        return f"{PATH}{path}" + (f"?{urlencode(asked)}" if asked else "")

    def page(self, template: str, *, status: int = 200, error: str | None = None, **context: object) -> Response:
        shown = {
            "visit": self,
            "csrf": self._csrf,
            "error": error,
            "notice": NOTICES.get(self.asked("done") or ""),
            "help_desk": self.services.console.help_desk,
            **context,
        }
        answer = HTMLResponse(rendered(template, shown), status)
        if self.fresh_cookie:
            set_cookie(answer, VISITOR_COOKIE, self.cookie, secure=self.services.console.secure_cookies)
        return answer

    def to(self, path: str, **query: object) -> Response:
        return RedirectResponse(self.link(path, **query), 303)

    def file_answer(self, content: bytes, name: str, media_type: str) -> Response:
        """A file to keep. `name` is ASCII."""
        return Response(
            content, media_type=media_type, headers={"content-disposition": f'attachment; filename="{name}"'}
        )

    def _csrf(self) -> Markup:
        return Markup('<input type="hidden" name="{}" value="{}">').format(TOKEN_FIELD, form_token(self.cookie))


async def visit_of(request: Request) -> Visit:
    """Who this is, by the session's cookie. A cookie that is none, or over, is a visitor's."""
    services = services_of(request)
    token = request.cookies.get(SESSION_COOKIE)
    if token:
        session = await services.sessions.session(token)
        if session is not None:
            return Visit(request, services, session.user, cookie=token, halfway=session.user.must_change_password)
    known = request.cookies.get(VISITOR_COOKIE)
    return Visit(request, services, None, cookie=known or new_visitor(), fresh_cookie=known is None)


def identifier(text: str | None) -> UUID:
    """Raises NotFound: an id of another shape names nothing."""
    try:
        return UUID(text or "")
    except ValueError:
        raise NotFound("nothing has this id") from None
