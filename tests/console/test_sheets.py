"""Spreadsheets in and out: orders become numbers, hostile files are refused, nothing taken away calculates."""

import io
import zipfile

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.console import sheets
from tests.console.conftest import Console
from vns.sheets import UnreadableSheet
from vns.users.rules import Role


def book(rows: list[list[object]]) -> bytes:
    made = openpyxl.Workbook()
    assert made.active is not None
    for row in rows:
        made.active.append(row)
    target = io.BytesIO()
    made.save(target)
    return target.getvalue()


def bomb() -> bytes:
    """A file of some kB that unpacks to 100 MB."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as parts:
        for number in range(2):
            parts.writestr(f"xl/worksheets/sheet{number}.xml", b"0" * 50_000_000)
    return target.getvalue()


@given(st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc")), max_size=40))
def test_no_cell_begins_a_formula(text: str) -> None:
    assert not sheets.guarded(text).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert sheets.guarded(text).removeprefix("'") == text.removeprefix("'")


def test_cells_are_written_as_text() -> None:
    content = sheets.written("t", ("a",), [["=1+1"], ["+82"], ["010-1234-5678"], ["@SUM(A1)"]])
    sheet = openpyxl.load_workbook(io.BytesIO(content)).worksheets[0]
    cells = [row[0] for row in sheet.iter_rows(min_row=2)]
    assert [cell.data_type for cell in cells] == ["s"] * 4
    assert [cell.value for cell in cells] == ["'=1+1", "'+82", "010-1234-5678", "'@SUM(A1)"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bomb.xlsx", bomb()),
        ("noise.xlsx", b"PK\x03\x04" + b"\x00" * 500),
        ("noise.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 2000),
        ("noise.csv", b"\xff\xfe\x00\xff\xff"),
        ("page.html", b"<table><tr><td>1</td></tr></table>"),
        ("big.csv", b"1,2\n" * 2_000_000),
        ("many.csv", b"1,2\n" * 2_000),
    ],
)
async def test_files_that_are_refused(name: str, content: bytes) -> None:
    with pytest.raises(UnreadableSheet):
        await sheets.read(content, name, most=1_000)


async def test_what_is_read() -> None:
    rows = await sheets.read(
        book([["주문", "번호"], ["A-1", 1012345678], [None, None], ["A-2", "02-123-4567"]]), "a.xlsx", most=9
    )
    assert rows == [("주문", "번호"), ("A-1", "1012345678"), ("A-2", "02-123-4567")]
    korean = "주문,번호\nA-1,010-1234-5678\n".encode("cp949")
    assert (await sheets.read(korean, "a.csv", most=9))[1] == ("A-1", "010-1234-5678")


async def test_orders_become_numbers_and_a_file(console: Console) -> None:
    browser = await console.login(Role.MALL_USER)
    await browser.get("/orders")
    content = "주문번호,전화\n=cmd|'/c calc'!A1,010-1234-5678\nA-2,1023456789\nA-3,112\n".encode()
    shown = await browser.post("/orders", {"service": "050", "days": "30"}, files={"sheet": ("o.csv", content)})
    assert shown.status_code == 200, shown.text
    assert "3건 중 2건" in shown.text
    assert shown.text.count('class="yellow"') == 1
    ids = [part.split('"')[0] for part in shown.text.split('name="binding" value="')[1:]]
    assert len(ids) == 2
    file = await browser.post("/orders/download", {"binding": ids})
    sheet = openpyxl.load_workbook(io.BytesIO(file.content)).worksheets[0]
    rows = [[str(cell) for cell in row] for row in sheet.iter_rows(min_row=2, values_only=True)]
    assert rows[0][0] == "'=cmd|'/c calc'!A1"
    assert [row[2] for row in rows] == ["010-****-5678", "010-****-6789"]
    again = await browser.post("/orders", {"service": "050"}, files={"sheet": ("o.csv", content)})
    assert all(f'value="{one}"' in again.text for one in ids), "the same orders have the same numbers"


async def test_uploads_that_are_refused_say_what_to_do(console: Console) -> None:
    browser = await console.login(Role.MALL_USER)
    await browser.get("/orders")
    for name, content in (("bomb.xlsx", bomb()), ("empty.csv", b""), ("head.csv", "주문,전화\n".encode())):
        answer = await browser.post("/orders", files={"sheet": (name, content)})
        assert answer.status_code == 422, name
        assert 'role="alert"' in answer.text
    assert (await browser.post("/orders")).status_code == 422
    huge = await browser.post("/orders", files={"sheet": ("huge.csv", b"1" * 11_000_000)})
    assert huge.status_code == 413
    assert (await browser.post("/why", {"number": "1" * 2_000_000})).status_code == 413
