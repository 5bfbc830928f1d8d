"""A spreadsheet of orders becomes safe numbers: one row, one number; what is wrong with a row is said beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from api.console import sheets
from api.console.pages import Page
from api.console.permissions import May
from api.console.visit import Visit, identifier
from api.console.words import ERRORS, STATUSES
from vns.bindings.rules import MAX_REFERENCE, AllocationRequest, Binding
from vns.bindings.service import MAX_BATCH
from vns.errors import InvalidNumber, NotFound, VnsError
from vns.numbering.rules import PhoneNumber, digits_of, hyphenate, parse
from vns.pools.rules import Mode, Service
from vns.sheets import UnreadableSheet
from vns.storage.journal import Entry

HEAD: Final = ("주문번호", "고객 전화번호", "상대 전화번호(양방향일 때)")
SAMPLE: Final = (("A-1001", "010-1234-5678", ""), ("A-1002", "010-2345-6789", "010-9876-5432"))
SERVICES: Final = {"050": "050 (일반형)", "070": "070", "1877": "1877"}
DAYS: Final = {"7": "7일", "14": "14일", "30": "30일", "90": "90일"}
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the sheet and what became of it."""

    place: int
    reference: str
    binding: Binding | None = None
    error: str | None = None


async def form(visit: Visit) -> Response:
    return _page(visit)


def _page(visit: Visit, *, rows: Sequence[Row] | None = None, error: str | None = None) -> Response:
    return visit.page(
        "orders.html",
        status=422 if error else 200,
        rows=rows,
        made=[row for row in rows or () if row.binding is not None],
        services=SERVICES,
        days=DAYS,
        most=MAX_BATCH,
        error=error,
    )


async def sample(visit: Visit) -> Response:
    return visit.file_answer(sheets.written("orders", HEAD, SAMPLE), "orders-sample.xlsx", sheets.XLSX)


async def allocate(visit: Visit) -> Response:
    chosen = visit.file("sheet")
    if chosen is None:
        return _page(visit, error="주문 파일을 선택해 주세요.")
    try:
        lines = await sheets.read(await chosen.read(), chosen.filename or "", most=MAX_BATCH + 1)
    except UnreadableSheet:
        return _page(
            visit, error=f"파일을 읽을 수 없습니다. {MAX_BATCH:,}행 이하의 .xlsx, .xls, .csv 파일인지 확인해 주세요."
        )
    orders = list(enumerate(lines, 1))
    if orders and not any(character.isdigit() for character in "".join(orders[0][1][1:2])):
        del orders[0]  # a heading
    if not orders or len(orders) > MAX_BATCH:
        return _page(visit, error=f"주문이 1건에서 {MAX_BATCH:,}건까지 들어 있어야 합니다.")
    service = Service(visit.text("service")) if visit.text("service") in SERVICES else Service.PERSONAL
    days = int(visit.text("days")) if visit.text("days") in DAYS else 30
    read = [_request(line, service, days * _DAY) for _, line in orders]
    asked = [one for one in read if isinstance(one, AllocationRequest)]
    answers = iter(await visit.services.bindings.allocate_many(visit.principal, asked) if asked else [])
    rows = []
    for (place, line), one in zip(orders, read, strict=True):
        answer = next(answers) if isinstance(one, AllocationRequest) else one
        reference = line[0][:MAX_REFERENCE]
        if isinstance(answer, VnsError):
            error = ERRORS.get(answer.code, ERRORS["invalid_request"])
            rows.append(Row(place=place, reference=reference, error=error))
        else:
            rows.append(Row(place=place, reference=reference, binding=answer.binding))
    return _page(visit, rows=rows)


def _request(line: Sequence[str], service: Service, seconds: int) -> AllocationRequest | VnsError:
    """The same row uploaded again finds the number that it got before."""
    reference, real, peer = (*line, "", "", "")[:3]
    try:
        return AllocationRequest(
            mode=Mode.BIDIRECTIONAL if peer else Mode.ONE_WAY,
            real_number=_typed(real),
            peer_number=_typed(peer) if peer else None,
            service=service,
            ttl_seconds=seconds,
            reference=reference[:MAX_REFERENCE] or None,
            ensure=True,
        )
    except VnsError as error:
        return error


def _typed(text: str) -> PhoneNumber:
    """A spreadsheet that keeps numbers as numbers has dropped the leading zero. Raises InvalidNumber."""
    try:
        return parse(text)
    except InvalidNumber:
        return parse(f"0{text}")


async def download(visit: Visit) -> Response:
    """The numbers of an upload as a file: read again, so that only the tenant's own are ever in it."""
    found: list[Binding] = []
    for given in visit.texts("binding")[:MAX_BATCH]:
        found.append(await visit.services.bindings.get(visit.principal, identifier(given)))
    if not found:
        raise NotFound("no numbers were named")
    note = Entry(
        at=visit.services.clock.now(),
        tenant_id=visit.about.id,
        actor=visit.actor,
        event="export.made",
        data={"what": "orders", "rows": len(found)},
    )
    await visit.services.audit.note(note)
    head = ("주문번호", "안심번호", "고객 전화번호", "상대 전화번호", "상태")
    rows = [
        (
            one.reference or "",
            hyphenate(digits_of(one.vn)),
            one.real_masked,
            one.peer_masked or "",
            STATUSES.get(one.status, one.status),
        )
        for one in found
    ]
    return visit.file_answer(sheets.written("numbers", head, rows), "safe-numbers.xlsx", sheets.XLSX)


PAGES: Final = (
    Page(path="/orders", view=form, needs=May.ALLOCATE),
    Page(path="/orders", view=allocate, needs=May.ALLOCATE, method="POST", uploads=True),
    Page(path="/orders/sample", view=sample, needs=May.ALLOCATE),
    Page(path="/orders/download", view=download, needs=May.ALLOCATE, method="POST"),
)
