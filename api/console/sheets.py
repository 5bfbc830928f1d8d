"""Spreadsheets: what is uploaded is read with limits, what is taken away can start no formula.

Whoever opens a file of ours may open it in a program that calculates what looks like a formula. What was typed by
strangers (a reference, a name) is therefore written as text, with an apostrophe before what such programs take for one.
"""

import asyncio
import io
from collections.abc import Iterable, Sequence
from typing import Final

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell

from vns.sheets import Row, UnreadableSheet, rows_of

XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ENDINGS: Final = frozenset({"xls", "xlsx", "csv", "txt"})
MAX_COLUMNS: Final = 20
_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


def guarded(text: str) -> str:
    """What begins like a formula gets an apostrophe, after which every program takes it for text."""
    return f"'{text}" if text.startswith(_STARTS) else text


def written(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """An .xlsx in which every cell is text."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet(title)
    for row in (head, *rows):
        cells = []
        for value in row:
            cell = WriteOnlyCell(sheet, value=guarded(value))
            cell.data_type = "s"
            cells.append(cell)
        sheet.append(cells)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


async def read(content: bytes, name: str, *, most: int) -> list[Row]:
    """The rows of the first sheet, or of lines of text, as text; empty rows left out.

    Raises UnreadableSheet, also for more than `most` rows.
    """
    if name.lower().rpartition(".")[2] not in ENDINGS:
        raise UnreadableSheet("a sheet is .xls, .xlsx, .csv or .txt")
    return await asyncio.to_thread(rows_of, content, columns=MAX_COLUMNS, most=most, text=_text)


def _text(value: object) -> str:
    """As a person reads the cell: a number kept as a number has lost its leading zero, but gets no `.0`."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
