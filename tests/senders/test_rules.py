"""Which numbers may be senders, and what is found in files of them."""

import io
import zipfile
from datetime import UTC, date, datetime, timedelta

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vns.errors import InvalidNumber, InvalidRequest
from vns.senders.bulk import MAX_ROWS, Fault, cells_of, judged
from vns.senders.rules import RULES, Status, sender_number, status_at
from vns.sheets import MAX_BYTES

TODAY = date(2026, 3, 1)


@pytest.mark.parametrize(
    "text",
    ["010-1234-5678", "011-234-5678", "02-123-4567", "02-1234-5678", "031-123-4567", "044-123-4567", "070-1234-5678",
     "080-123-4567", "080-1234-5678", "1588-1111", "1551-1234", "1811-1234", "030-1234-56789", "+82 10 1234 5678",
     "０１０-１２３４-５６７８"],
)  # fmt: skip
def test_numbers_that_may_be_senders(text: str) -> None:
    assert sender_number(text, TODAY).digits.isdigit()


@pytest.mark.parametrize(
    "text",
    ["", " ", "112", "119", "1335", "1111", "7942", "060-700-1234", "0504-1234-5678", "010-123-456", "1588-12345",
     "02-1588-1234", "1599-123", "1512-1234", "010-1111-1111", "02-7942-7942", "+1 212 555 0100", "abc", "01012345678x",
     "010123456789"],
)  # fmt: skip
def test_numbers_that_may_not(text: str) -> None:
    with pytest.raises(InvalidNumber) as refused:
        sender_number(text, TODAY)
    assert text.strip() == "" or text not in refused.value.detail


def test_a_050_is_a_sender_only_where_carriers_take_it() -> None:
    assert sender_number("0504-1234-5678", TODAY, allow_050=True).digits == "050412345678"


def test_rules_hold_from_their_day_to_their_last() -> None:
    rule = RULES[0]
    number = sender_number("010-1234-5678", TODAY)
    dated = type(rule)(kind=rule.kind, lengths=rule.lengths, since=TODAY, until=TODAY)
    days = [TODAY - timedelta(days=1), TODAY, TODAY + timedelta(days=1)]
    assert [dated.fits(number, day, allow_050=False) for day in days] == [False, True, False]


def test_a_proof_ends_at_its_instant() -> None:
    end = datetime(2026, 3, 1, tzinfo=UTC)
    before = end - timedelta(microseconds=1)
    assert (status_at(Status.VERIFIED, end, before), status_at(Status.VERIFIED, end, end)) == (
        Status.VERIFIED,
        Status.EXPIRED,
    )
    assert status_at(Status.FAILED, end, end) is Status.FAILED


@given(
    texts=st.lists(st.sampled_from(["010-1234-5678", "01012345678", "02-123-4567", "1588-1234", "no", "112"])),
    room=st.integers(0, 4),
    registered=st.sets(st.sampled_from(["01012345678", "15881234"])),
)
def test_clean_rows_are_each_new_and_no_more_than_there_is_room(
    texts: list[str], room: int, registered: set[str]
) -> None:
    rows = judged(texts, registered=registered, room=room, on=TODAY, allow_050=False)
    assert [(row.place, row.text) for row in rows] == list(enumerate(texts, 1))
    clean = [row.number.digits for row in rows if row.fault is None and row.number]
    assert len(clean) == len(set(clean)) <= room
    assert not registered & set(clean)
    for row in rows:
        assert (row.number is None) == (row.fault is Fault.MALFORMED)
        if row.fault is Fault.DUPLICATE:
            assert any(one.number == row.number and one.place < row.place for one in rows)


def xlsx(*cells: object) -> bytes:
    book, file = openpyxl.Workbook(), io.BytesIO()
    for cell in cells:
        book.worksheets[0].append([cell])
    book.save(file)
    return file.getvalue()


def test_a_workbook_keeps_its_order_and_gets_back_the_zeros_that_cells_lost() -> None:
    assert cells_of(xlsx("010-1234-5678", 1012345678, None, 15881234, 21234567, 212345678)) == [
        "010-1234-5678",
        "01012345678",
        "15881234",
        "021234567",
        "0212345678",
    ]


def test_texts_in_both_codings() -> None:
    assert cells_of("\ufeff010-1234-5678\r\n\r\n전화\n".encode()) == ["010-1234-5678", "전화"]
    assert cells_of("전화\n".encode("cp949")) == ["전화"]


def test_files_that_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
    for content in (b"%PDF-1.7\0", b"PK\x03\x04 no archive", broken, b"\xff\xfe\0\0", b"1" * (MAX_BYTES + 1)):
        with pytest.raises(InvalidRequest):
            cells_of(content)
    with pytest.raises(InvalidRequest, match="at most"):
        cells_of(b"1\n" * (MAX_ROWS + 1))
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/workbook.xml", bytes(2_000_000))
    monkeypatch.setattr("vns.sheets.MAX_UNPACKED", 1_000_000)
    with pytest.raises(InvalidRequest, match="unpacks"):
        cells_of(bomb.getvalue())
