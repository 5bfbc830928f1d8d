"""How many calls and texts came in each hour of the last day, and how many of them failed."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from markupsafe import Markup
from starlette.responses import Response

from api.console.charts import Series, by_hour, stacked_bars
from api.console.pages import Page
from api.console.permissions import May
from api.console.visit import Visit
from vns.storage.traffic import HourCount

HOURS: Final = 24
CALL_GROUPS: Final = MappingProxyType(
    {
        "통화": frozenset({"answered"}),
        "미연결": frozenset({"busy", "no_answer", "cancelled", "in_progress"}),
        "거절": frozenset({"unallocated", "ended", "not_a_party", "not_allowed"}),
        "장애": frozenset({"unreachable", "overload", "unknown"}),
    }
)
MESSAGE_GROUPS: Final = MappingProxyType(
    {
        "전달": frozenset({"delivered"}),
        "진행": frozenset({"received", "queued", "sent"}),
        "거절": frozenset({"refused"}),
        "실패": frozenset({"failed", "unknown"}),
    }
)
_COLOURS: Final = ("a", "d", "c", "b")


@dataclass(frozen=True, slots=True)
class Chart:
    """A plot and the table that says the same: a row for each hour in which anything happened."""

    title: str
    drawing: Markup
    series: tuple[Series, ...]
    rows: tuple[tuple[str, tuple[int, ...]], ...]
    totals: tuple[int, ...]


async def traffic(visit: Visit) -> Response:
    """The page, or for a look again the charts alone."""
    until = visit.services.clock.now()
    since = until.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    counts, services = visit.services.counts, visit.services
    calls, messages = await asyncio.gather(
        counts.of("calls", services.calls.by_hour, visit.principal, since),
        counts.of("messages", services.messages.by_hour, visit.principal, since),
    )
    shown = [
        _chart("통화", calls, CALL_GROUPS, since),
        _chart("문자", messages, MESSAGE_GROUPS, since),
    ]
    if visit.asked("rows"):
        return visit.page("parts/traffic_charts.html", charts=shown)
    return visit.page("traffic.html", charts=shown, live=visit.link("/traffic", rows=1))


def _chart(title: str, counts: Sequence[HourCount], groups: Mapping[str, frozenset[str]], since: datetime) -> Chart:
    moments, sums = by_hour(counts, groups, since, HOURS)
    labels = [f"{moment:%H}시" for moment in moments]
    series = tuple(
        Series(group, colour, tuple(map(float, sums[group]))) for group, colour in zip(groups, _COLOURS, strict=True)
    )
    columns = list(zip(*(sums[group] for group in groups), strict=True))
    rows = tuple(
        (f"{moment:%m-%d %H}시", column) for moment, column in zip(moments, columns, strict=True) if any(column)
    )
    drawing = stacked_bars(f"최근 24시간 {title}, 시간대별", labels, series)
    return Chart(title, drawing, series, rows, tuple(sum(sums[group]) for group in groups))


PAGES: Final = (Page(path="/traffic", view=traffic, needs=May.SEE_TRAFFIC),)
