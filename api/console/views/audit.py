"""The audit log: who did what, for people."""

import json
from typing import Final

from starlette.responses import Response

from api.console.pages import Page
from api.console.permissions import May
from api.console.visit import Visit


async def acts(visit: Visit) -> Response:
    everybody = visit.may(May.OPERATE) and not visit.asked("tenant")
    cursor = visit.asked("cursor")
    found = await visit.services.audit.acts(None if everybody else visit.about.id, cursor=cursor)
    query = {"tenant": "" if everybody else visit.about.code} if visit.tenants else {}
    pages = {
        "first": visit.link("/audit", **query) if cursor else None,
        "next": visit.link("/audit", **query, cursor=found.next_cursor) if found.next_cursor else None,
    }
    shown = [(act, json.dumps(act.data, ensure_ascii=False, sort_keys=True) if act.data else "") for act in found.items]
    names = await visit.services.users.names(act.actor for act in found.items)
    return visit.page("audit.html", acts=shown, names=names, pages=pages, everybody=everybody)


PAGES: Final = (Page(path="/audit", view=acts, needs=May.SEE_AUDIT),)
