"""Many sender numbers at once: a file is read into rows, what is wrong is yellow, and nothing is registered before
each yellow row is edited or taken out. The rows live in the page's form: nothing is kept here between the steps.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from api.console import sheets
from api.console.pages import Page
from api.console.permissions import May
from api.console.visit import Visit
from vns.errors import ManagerNeeded
from vns.senders.bulk import Fault, Row, cells_of
from vns.sheets import UnreadableSheet

MOST: Final = 3_000  # rows of one file: each is a field of a form
MAX_CELL: Final = 40  # characters of a cell that are shown again
ENDINGS: Final = (".xls", ".xlsx", ".txt")
YELLOW: Final = frozenset({Fault.MALFORMED, Fault.DUPLICATE, Fault.REGISTERED})
SAMPLE: Final = ("02-1234-5678", "070-1234-5678", "1588-1234", "010-1234-5678")
UNREADABLE: Final = (
    f"파일을 읽을 수 없습니다. A열에 번호만 {MOST:,}개까지 적은 .xls, .xlsx, .txt 파일인지 확인해 주세요."
)
EMPTY: Final = "파일에 번호가 없습니다. A열에 발신번호를 한 줄에 하나씩 적어 주세요."
NEEDED: Final = "일괄등록은 승인된 담당자가 있어야 할 수 있습니다. 담당자를 지정해 승인을 받은 뒤 다시 올려 주세요."
REFUSED: Final = "노란 행이 있어 등록하지 않았습니다. 노란 행을 고치거나 [X]로 뺀 뒤 다시 등록해 주세요."
OVER: Final = (
    "등록할 수 있는 {most:,}개를 넘습니다. 지금 {count:,}개가 등록되어 있어 {room:,}개까지 더 등록할 수 있습니다. "
    "{over:,}개를 빼거나 고객센터에 한도를 늘려 달라고 요청해 주세요."
)


async def form(visit: Visit) -> Response:
    return await _page(visit, None)


async def sample(visit: Visit) -> Response:
    first, *rest = ((number,) for number in SAMPLE)
    return visit.file_answer(sheets.written("senders", first, rest), "sender-numbers-sample.xlsx", sheets.XLSX)


async def check_file(visit: Visit) -> Response:
    chosen = visit.file("sheet")
    if chosen is None or not (chosen.filename or "").lower().endswith(ENDINGS):
        return await _page(visit, None, error="발신번호 파일(.xls, .xlsx, .txt)을 선택해 주세요.")
    try:
        cells = await asyncio.to_thread(cells_of, await chosen.read())
    except UnreadableSheet:
        return await _page(visit, None, error=UNREADABLE)
    if not cells:
        return await _page(visit, None, error=EMPTY)
    if len(cells) > MOST:
        return await _page(visit, None, error=UNREADABLE)
    try:
        return await _checked(visit, [cell[:MAX_CELL] for cell in cells])
    except ManagerNeeded:
        return await _page(visit, None, error=NEEDED, status=409)


async def act(visit: Visit) -> Response:
    """The rows as they stand in the page: looked at again, one taken out, or all registered."""
    cells = visit.texts("number")[:MOST]
    taken_out = visit.text("remove")
    if taken_out:
        cells = [cell for place, cell in enumerate(cells, 1) if str(place) != taken_out]
    cells = [cell for cell in cells if cell]
    if not cells:
        return await _page(visit, None, error=EMPTY)
    try:
        if taken_out or visit.text("act") != "register":
            return await _checked(visit, cells)
        return await _registered(visit, cells)
    except ManagerNeeded:
        return await _page(visit, None, error=NEEDED, status=409)


async def _registered(visit: Visit, cells: Sequence[str]) -> Response:
    rows = await visit.services.senders.register_all(visit.actor, visit.about.id, cells)
    faults = {row.fault for row in rows}
    if faults == {None}:
        return visit.to("/senders", done="registered")
    return await _page(visit, rows, error=REFUSED if faults & YELLOW else await _over(visit, rows))


async def _checked(visit: Visit, cells: Sequence[str]) -> Response:
    rows = await visit.services.senders.check(visit.about.id, cells)
    over = any(row.fault is Fault.OVER_QUOTA for row in rows)
    return await _page(visit, rows, error=await _over(visit, rows) if over else None, status=200)


async def _over(visit: Visit, rows: Sequence[Row]) -> str:
    policy = await visit.services.senders.policy(visit.about.id)
    count = await visit.services.senders.count(visit.about.id)
    over = sum(row.fault is Fault.OVER_QUOTA for row in rows)
    return OVER.format(most=policy.max_numbers, count=count, room=max(0, policy.max_numbers - count), over=over)


async def _page(
    visit: Visit, rows: Sequence[Row] | None, *, error: str | None = None, status: int | None = None
) -> Response:
    """`rows` None: the choice of a file."""
    return visit.page(
        "sender_file.html",
        status=status or (422 if error else 200),
        rows=rows,
        offered=await visit.services.senders.offers_bulk(visit.about.id),
        yellow=YELLOW,
        counts=Counter(row.fault for row in rows or () if row.fault),
        most=MOST,
        error=error,
    )


PAGES: Final = (
    Page(path="/senders/file", view=form, needs=May.MANAGE_SENDERS),
    Page(path="/senders/file", view=check_file, needs=May.MANAGE_SENDERS, method="POST", uploads=True),
    Page(path="/senders/file/sample", view=sample, needs=May.MANAGE_SENDERS),
    Page(path="/senders/file/rows", view=act, needs=May.MANAGE_SENDERS, method="POST", uploads=True),
)
