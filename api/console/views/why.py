"""Why a call or a text would be connected or refused: the explanation of `vns route`, in Korean.

The numbers come in a form's body, for an address would keep the caller's.
"""

from typing import Final

from starlette.responses import Response

from api.console.pages import Page
from api.console.permissions import May
from api.console.visit import Visit
from vns.bindings.rules import Channel
from vns.errors import InvalidNumber, NotFound
from vns.routing.explanation import Explanation

NOTHING: Final = {"number": "", "caller": "", "digits": "", "channel": "voice"}


async def form(visit: Visit) -> Response:
    return visit.page("why.html", asked=NOTHING, explained=None)


async def explain(visit: Visit) -> Response:
    asked = {name: visit.text(name)[:64] for name in NOTHING}
    asked["channel"] = asked["channel"] if asked["channel"] in Channel.__members__.values() else "voice"
    if not asked["number"]:
        return visit.page("why.html", status=422, asked=asked, explained=None, error="안심번호를 입력해 주세요.")
    try:
        explained = await visit.services.explainer.explain(
            asked["number"], asked["caller"] or None, Channel(asked["channel"]), digits=asked["digits"] or None
        )
    except InvalidNumber:
        wrong = "발신번호를 010-1234-5678처럼 입력해 주세요. 발신번호 표시 제한이면 비워 두세요."
        return visit.page("why.html", status=422, asked=asked, explained=None, error=wrong)
    _check_owner(visit, explained)
    return visit.page("why.html", asked=asked, explained=explained, facts=dict(explained.facts))


def _check_owner(visit: Visit, explained: Explanation) -> None:
    """Raises NotFound: what becomes of calls on another tenant's number is not this tenant's to know."""
    owner = explained.routed.decision.tenant_id
    if owner is not None and owner != visit.about.id and not visit.may(May.OPERATE):
        raise NotFound("nothing of this tenant has this number")


PAGES: Final = (
    Page(path="/why", view=form, needs=May.SEE_BINDINGS),
    Page(path="/why", view=explain, needs=May.SEE_BINDINGS, method="POST"),
)
