"""What a spreadsheet or a text that somebody uploads holds: rows of cells, read with limits. Pure.

Files come from strangers: their size, their unpacked size and their rows are limited before anything is built of them.
What a file is, is seen from its content and not from its name.
"""

import csv
import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import xlrd
from openpyxl import load_workbook

from vns.errors import InvalidRequest

MAX_BYTES: Final = 4 * 1024 * 1024
MAX_UNPACKED: Final = 64 * 1024 * 1024  # bytes of an .xlsx in all
MAX_PARTS: Final = 500  # files inside an .xlsx
MAX_CELL: Final = 500  # characters
_XLS, _ZIP = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"PK\x03\x04"

Row = tuple[str, ...]


class UnreadableSheet(InvalidRequest):
    """The file is no spreadsheet that can be read, or one that is too large."""


def rows_of(content: bytes, *, columns: int, most: int, text: Callable[[object], str]) -> list[Row]:
    """The first `columns` cells of each row of the first sheet, without empty ones at the end and without empty rows.

    `text` spells a cell of a spreadsheet, which may be a number. A text has a row in each line: of one cell where
    `columns` is 1, else divided by commas or tabs. Raises UnreadableSheet, also for more than `most` rows.
    """
    if len(content) > MAX_BYTES:
        raise UnreadableSheet(f"a file has at most {MAX_BYTES // 1024 // 1024} MiB")
    found: list[Row] = []
    try:
        for row in _read(content, columns):
            cells = [text(value).strip()[:MAX_CELL] for value in row[:columns]]
            while cells and not cells[-1]:
                cells.pop()
            if cells:
                found.append(tuple(cells))
            if len(found) > most:
                break
    except UnreadableSheet:
        raise
    except Exception as error:
        raise UnreadableSheet("the file cannot be read") from error
    if len(found) > most:
        raise UnreadableSheet(f"a file has at most {most} rows")
    return found


def _read(content: bytes, columns: int) -> Iterator[Sequence[object]]:
    if content.startswith(_XLS):
        return _of_xls(content, columns)
    if content.startswith(_ZIP):
        return _of_xlsx(content, columns)
    return _of_text(content, columns)


def _of_xlsx(content: bytes, columns: int) -> Iterator[Sequence[object]]:
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        sizes = [part.file_size for part in parts.infolist()]
    if len(sizes) > MAX_PARTS or sum(sizes) > MAX_UNPACKED:
        raise UnreadableSheet("the file unpacks to too much")
    book = load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
    try:
        yield from book.worksheets[0].iter_rows(max_col=columns, values_only=True)
    finally:
        book.close()


def _of_xls(content: bytes, columns: int) -> Iterator[Sequence[object]]:
    with xlrd.open_workbook(file_contents=content, on_demand=True, logfile=io.StringIO()) as book:
        sheet = book.sheet_by_index(0)
        for number in range(sheet.nrows):
            yield sheet.row_values(number, 0, columns)


def _of_text(content: bytes, columns: int) -> Iterator[Sequence[object]]:
    text = _decoded(content)
    if columns == 1:
        return ([line] for line in text.splitlines())
    dialect = "excel-tab" if "\t" in text.partition("\n")[0] else "excel"
    return csv.reader(io.StringIO(text), dialect=dialect)


def _decoded(content: bytes) -> str:
    if b"\0" not in content:
        for coding in ("utf-8-sig", "cp949"):
            try:
                return content.decode(coding)
            except UnicodeDecodeError:
                continue
    raise UnreadableSheet("the text is neither UTF-8 nor MS949")
