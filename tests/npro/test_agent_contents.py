"""Long texts and barcodes: rows that point to a content row."""

import io
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import insert

from sms_relay.npro.database import NproDatabase
from tests.npro.agents import SENT, ScriptedLink, add, becomes, key_of, running


async def content(database: NproDatabase, **columns: object) -> int:
    async with database.transaction() as connection:
        values = {"FILE_CNT": 1, "MMS_SUBJECT": "제목", **columns}
        done = await connection.execute(insert(database.tables.contents), values)
        return key_of(done.inserted_primary_key)


async def test_a_long_text_is_sent_from_its_content_row(database: NproDatabase) -> None:
    link = ScriptedLink()
    body = "긴 글 " * 200
    async with running(database, link):
        cont = await content(database, MMS_BODY=body)
        seq = await add(database, MSG_TYPE=6, CONT_SEQ=cont)
        await becomes(database, seq, SENT)
    assert [(one.kind.value, one.text) for one in link.sent] == [("lms", body)]


CONTENTS = [
    ({"MMS_BODY": "가" * 1001}, "o", 106),
    ({"MMS_BODY": None}, "q", 104),
    ({"MMS_BODY": "글", "FILE_NAME1": "/var/mms/none.jpg", "FILE_TYPE1": "IMG"}, "x", 117),
]


@pytest.mark.parametrize(("columns", "code", "detail"), CONTENTS, ids=lambda value: str(value)[:40])
async def test_contents_that_cannot_be_sent_say_why(
    database: NproDatabase, columns: dict[str, object], code: str, detail: int
) -> None:
    link = ScriptedLink()
    async with running(database, link):
        seq = await add(database, MSG_TYPE=6, CONT_SEQ=await content(database, **columns))
        await becomes(database, seq, (3, code, detail, "ETC"))
    assert link.sent == []


BARCODE = {
    "FILE_NAME1": "/var/mms/1.jpg",
    "FILE_TYPE1": "IMG",
    "BAR_TYPE": "EAN13",
    "BAR_VALUE": "8801234567893",
    "BAR_MERGE_FILE": 1,
    "BAR_SIZE_WIDTH": 200,
    "BAR_SIZE_HEIGHT": 60,
}
BARCODES: list[tuple[dict[str, object], str, int]] = [
    ({}, "x", 117),
    ({"BAR_TYPE": None}, "u", 115),
    ({"BAR_TYPE": "ITF"}, "u", 115),
    ({"BAR_VALUE": "880123456789"}, "u", 115),
    ({"BAR_MERGE_FILE": 2}, "u", 115),
    ({"BAR_MERGE_FILE": 6}, "u", 115),
    ({"BAR_SIZE_WIDTH": 2_000_000_000}, "u", 115),
]


@pytest.mark.parametrize(("columns", "code", "detail"), BARCODES, ids=lambda value: str(value)[:40])
async def test_barcodes_that_cannot_be_made_say_so(
    database: NproDatabase, columns: dict[str, object], code: str, detail: int
) -> None:
    link = ScriptedLink()
    async with running(database, link):
        seq = await add(database, MSG_TYPE=7, CONT_SEQ=await content(database, **{**BARCODE, **columns}))
        await becomes(database, seq, (3, code, detail, "ETC"))
    assert link.sent == []


def jpg(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(out, "JPEG")
    return out.getvalue()


def claiming(side: int) -> bytes:
    """A small JPG whose frame says that it has sides of `side` pixels."""
    small = jpg(16, 16)
    at = small.index(b"\xff\xc0") + 5
    return small[:at] + side.to_bytes(2, "big") * 2 + small[at + 4 :]


def smaf(rate: int) -> bytes:
    """One audio track whose third byte holds the code of its rate."""
    track = bytes((0, 0, 0x10 | rate, 0))
    chunk = b"ATR\0" + len(track).to_bytes(4, "big") + track
    return b"MMMD" + len(chunk).to_bytes(4, "big") + chunk


FILES: list[tuple[str, bytes, str, int]] = [
    ("IMG", jpg(1500, 100), "z", 109),
    ("IMG", jpg(1501, 100), "o", 118),
    ("IMG", claiming(65_000), "o", 118),
    ("IMG", b"GIF89a", "g", 119),
    ("TXT", "가".encode("cp949") * 1000, "z", 109),
    ("TXT", "가".encode("cp949") * 1000 + b".", "o", 118),
    ("TXT", b"\xff\xff", "f", 112),
    ("ADO", smaf(2), "z", 109),
    ("ADO", smaf(3), "g", 119),
    ("ADO", b"RIFF", "g", 119),
    ("MOV", b"any", "g", 119),
]


@pytest.mark.parametrize(("kind", "data", "code", "detail"), FILES, ids=lambda value: str(value)[:12])
async def test_files_are_looked_into_when_the_row_is_due(
    database: NproDatabase, tmp_path: Path, kind: str, data: bytes, code: str, detail: int
) -> None:
    file = tmp_path / "1"
    file.write_bytes(data)
    async with running(database, ScriptedLink()):
        cont = await content(database, FILE_NAME1=str(file), FILE_TYPE1=kind, SERVICE_DEP1="ALL")
        await becomes(database, await add(database, MSG_TYPE=6, CONT_SEQ=cont), (3, code, detail, "ETC"))


PICTURES: list[tuple[tuple[str, ...], str, int]] = [
    (("ALL", "ALL", "SKT", "KTF"), "z", 109),
    (("ALL", "ALL", "SKT", "SKT"), "g", 119),
    (("ALL", "KT"), "g", 119),
]


@pytest.mark.parametrize(("networks", "code", "detail"), PICTURES)
async def test_pictures_are_counted_for_each_carrier(
    database: NproDatabase, tmp_path: Path, networks: tuple[str, ...], code: str, detail: int
) -> None:
    file = tmp_path / "1.jpg"
    file.write_bytes(jpg(20, 20))
    columns: dict[str, object] = {}
    for at, network in enumerate(networks, 1):
        columns |= {f"FILE_NAME{at}": str(file), f"FILE_TYPE{at}": "IMG", f"SERVICE_DEP{at}": network}
    async with running(database, ScriptedLink()):
        cont = await content(database, **columns)
        await becomes(database, await add(database, MSG_TYPE=6, CONT_SEQ=cont), (3, code, detail, "ETC"))


@pytest.mark.parametrize(("width", "code", "detail"), [(220, "z", 108), (199, "u", 115)])
async def test_a_barcode_must_lie_on_its_picture(
    database: NproDatabase, tmp_path: Path, width: int, code: str, detail: int
) -> None:
    file = tmp_path / "1.jpg"
    file.write_bytes(jpg(width, 184))
    async with running(database, ScriptedLink()):
        cont = await content(database, **{**BARCODE, "FILE_NAME1": str(file)})
        await becomes(database, await add(database, MSG_TYPE=7, CONT_SEQ=cont), (3, code, detail, "ETC"))
