"""MMS, LMS and BARCODE rows of an agent that has a link for them, on real tables; the links are scripted."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, update

from sms_relay.agent.contents import Folders
from sms_relay.agent.service import Agent
from sms_relay.content.packages import BadPackageError, unpacked
from sms_relay.links.choice import Directory
from sms_relay.links.interface import Carrier, Outgoing, SubmitOutcome, SubmitStatus
from sms_relay.npro.database import NproDatabase
from sms_relay.npro.kst import KoreanClock
from tests.npro.agents import FAST, SENT, ScriptedLink, add, becomes, receipt
from tests.npro.test_agent_contents import BARCODE, content, jpg

DIRECTORY = Directory(prefixes={"0101": Carrier.SKT, "0102": Carrier.KTF})
OF_SKT, OF_KTF, OF_NOBODY = "01011112222", "01022221111", "01099991111"


@pytest.fixture
def multimedia() -> ScriptedLink:
    link = ScriptedLink()
    link.name, link.carrier = "mm7", Carrier.OTHER
    return link


@asynccontextmanager
async def serving(
    database: NproDatabase, multimedia: Sequence[ScriptedLink], folder: Path, texts: ScriptedLink | None = None
) -> AsyncIterator[Agent]:
    config = replace(FAST, folders=Folders(packages=folder / "skn", barcodes=folder / "barcodes"))
    agent = Agent(
        database, [texts or ScriptedLink()], config, KoreanClock(), multimedia=multimedia, directory=DIRECTORY
    )
    task = asyncio.create_task(agent.run())
    try:
        yield agent
        assert not task.done(), "the agent ended by itself"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def built(database: NproDatabase, cont: int) -> tuple[str | None, str | None, str | None]:
    """BUILD_YN, SKN_FILE_NAME, BAR_FILE_NAME."""
    table = database.tables.contents
    async with database.transaction() as connection:
        found = (await connection.execute(select(table).where(table.c.CONT_SEQ.in_([cont])))).one()
    if found.BUILD_YN == "Y":
        assert found.SKN_FILE_DATE is not None
    return found.BUILD_YN, found.SKN_FILE_NAME, found.BAR_FILE_NAME


async def test_each_carriers_handsets_get_their_own_files(
    database: NproDatabase, multimedia: ScriptedLink, tmp_path: Path
) -> None:
    columns: dict[str, object] = {"MMS_BODY": "본문", "FILE_CNT": 4}
    for at, network in enumerate(("ALL", "skt", "KTF"), 1):
        file = tmp_path / f"{at}.jpg"
        file.write_bytes(jpg(20 + at, 20))
        columns |= {f"FILE_NAME{at}": str(file), f"FILE_TYPE{at}": "IMG", f"SERVICE_DEP{at}": network}
    async with serving(database, [multimedia], tmp_path):
        cont = await content(database, **columns)
        for number in (OF_SKT, OF_KTF, OF_NOBODY):
            await becomes(database, await add(database, MSG_TYPE=6, CONT_SEQ=cont, CALL_TO=number), SENT)
    one, two, three = (jpg(20 + at, 20) for at in (1, 2, 3))
    assert [[each.data for each in sent.media] for sent in multimedia.sent] == [[one, two], [one, three], [one]]
    assert {(sent.subject, sent.text, sent.kind.value) for sent in multimedia.sent} == {("제목", "본문", "mms")}


async def test_a_message_of_which_nothing_is_for_the_carrier(
    database: NproDatabase, multimedia: ScriptedLink, tmp_path: Path
) -> None:
    (tmp_path / "1.jpg").write_bytes(jpg(20, 20))
    columns = {"FILE_NAME1": str(tmp_path / "1.jpg"), "FILE_TYPE1": "IMG", "SERVICE_DEP1": "SKT"}
    async with serving(database, [multimedia], tmp_path):
        cont = await content(database, **columns)
        seq = await add(database, MSG_TYPE=6, CONT_SEQ=cont, CALL_TO=OF_KTF)
        await becomes(database, seq, (3, "x", 120, "ETC"))
    assert multimedia.sent == []


async def test_texts_in_ms949_leave_as_utf8(database: NproDatabase, multimedia: ScriptedLink, tmp_path: Path) -> None:
    (tmp_path / "1.txt").write_bytes("똠방각하".encode("cp949"))
    async with serving(database, [multimedia], tmp_path):
        cont = await content(database, FILE_NAME1=str(tmp_path / "1.txt"), FILE_TYPE1="TXT")
        await becomes(database, await add(database, MSG_TYPE=6, CONT_SEQ=cont), SENT)
    assert [(one.content_type, one.data.decode()) for one in multimedia.sent[0].media] == [("text/plain", "똠방각하")]


async def test_a_content_is_built_once_and_its_files_may_go(
    database: NproDatabase, multimedia: ScriptedLink, tmp_path: Path
) -> None:
    file = tmp_path / "1.jpg"
    file.write_bytes(jpg(30, 30))
    async with serving(database, [multimedia], tmp_path):
        cont = await content(database, FILE_NAME1=str(file), FILE_TYPE1="IMG")
        await becomes(database, await add(database, MSG_TYPE=6, CONT_SEQ=cont), SENT)
    state, package, _ = await built(database, cont)
    assert (state, package) == ("Y", str(next((tmp_path / "skn").glob("*.skn"))))
    file.unlink()
    async with serving(database, [multimedia], tmp_path):  # another process, as it were: nothing in memory
        await becomes(database, await add(database, MSG_TYPE=6, CONT_SEQ=cont), SENT)
    assert [[one.data for one in sent.media] for sent in multimedia.sent] == [[jpg(30, 30)]] * 2


async def test_a_damaged_package_is_built_again(
    database: NproDatabase, multimedia: ScriptedLink, tmp_path: Path
) -> None:
    file = tmp_path / "1.jpg"
    file.write_bytes(jpg(30, 30))
    async with serving(database, [multimedia], tmp_path):
        cont = await content(database, FILE_NAME1=str(file), FILE_TYPE1="IMG")
        await becomes(database, await add(database, MSG_TYPE=6, CONT_SEQ=cont), SENT)
    package = next((tmp_path / "skn").glob("*.skn"))
    package.write_bytes(package.read_bytes()[:100])
    async with serving(database, [multimedia], tmp_path):
        await becomes(database, await add(database, MSG_TYPE=6, CONT_SEQ=cont), SENT)
    assert [one.data for one in multimedia.sent[1].media] == [jpg(30, 30)]
    assert unpacked(package.read_bytes())[0].data == jpg(30, 30)


async def test_other_columns_make_another_package(
    database: NproDatabase, multimedia: ScriptedLink, tmp_path: Path
) -> None:
    for at in (1, 2):
        (tmp_path / f"{at}.jpg").write_bytes(jpg(30 + at, 30))
    async with serving(database, [multimedia], tmp_path):
        cont = await content(database, FILE_NAME1=str(tmp_path / "1.jpg"), FILE_TYPE1="IMG")
        await becomes(database, await add(database, MSG_TYPE=6, CONT_SEQ=cont), SENT)
        table = database.tables.contents
        async with database.transaction() as connection:
            changed = update(table).where(table.c.CONT_SEQ.in_([cont])).values(FILE_NAME1=str(tmp_path / "2.jpg"))
            await connection.execute(changed)
        await becomes(database, await add(database, MSG_TYPE=6, CONT_SEQ=cont), SENT)
    assert [sent.media[0].data for sent in multimedia.sent] == [jpg(31, 30), jpg(32, 30)]


async def test_what_cannot_be_built_says_so_in_both_rows(
    database: NproDatabase, multimedia: ScriptedLink, tmp_path: Path
) -> None:
    async with serving(database, [multimedia], tmp_path):
        cont = await content(database, FILE_NAME1=str(tmp_path / "none.jpg"), FILE_TYPE1="IMG")
        await becomes(database, await add(database, MSG_TYPE=6, CONT_SEQ=cont), (3, "x", 117, "ETC"))
    assert await built(database, cont) == ("N", None, None)


async def test_a_barcode_is_on_the_picture_that_is_sent_and_kept(
    database: NproDatabase, multimedia: ScriptedLink, tmp_path: Path
) -> None:
    (tmp_path / "1.jpg").write_bytes(jpg(220, 184))
    async with serving(database, [multimedia], tmp_path):
        cont = await content(database, **{**BARCODE, "FILE_NAME1": str(tmp_path / "1.jpg")})
        await becomes(database, await add(database, MSG_TYPE=7, CONT_SEQ=cont), SENT)
    state, package, picture = await built(database, cont)
    (kept,) = (tmp_path / "barcodes").iterdir()
    assert (state, picture) == ("Y", str(kept))
    assert package is not None
    assert [one.data for one in multimedia.sent[0].media] == [kept.read_bytes()]
    assert kept.read_bytes() != jpg(220, 184)


async def test_a_long_text_goes_the_same_way(database: NproDatabase, multimedia: ScriptedLink, tmp_path: Path) -> None:
    texts = ScriptedLink()
    async with serving(database, [multimedia], tmp_path, texts):
        cont = await content(database, MMS_BODY="긴 글")
        await becomes(database, await add(database, MSG_TYPE=6, CONT_SEQ=cont), SENT)
    assert [(one.kind.value, one.text, one.subject) for one in multimedia.sent] == [("lms", "긴 글", "제목")]
    assert texts.sent == []


@pytest.mark.parametrize("down", ["texts", "multimedia"])
async def test_rows_of_a_link_that_is_down_wait_and_the_others_go_on(
    database: NproDatabase, multimedia: ScriptedLink, tmp_path: Path, down: str
) -> None:
    texts = ScriptedLink()
    texts.connected, multimedia.connected = down != "texts", down != "multimedia"
    async with serving(database, [multimedia], tmp_path, texts):
        cont = await content(database, MMS_BODY="긴 글")
        long, short = await add(database, MSG_TYPE=6, CONT_SEQ=cont), await add(database)
        strange = await add(database, MSG_TYPE=9)
        waiting, going = (short, long) if down == "texts" else (long, short)
        await becomes(database, going, SENT)
        await becomes(database, waiting, (0, None, None, None))
        texts.connected = multimedia.connected = True
        await becomes(database, waiting, SENT)
        await becomes(database, strange, (3, "q", 107, "ETC"))


async def test_a_full_window_of_multimedia_messages_holds_no_text_up(database: NproDatabase, tmp_path: Path) -> None:
    answering = asyncio.Event()

    async def slowly(outgoing: Outgoing) -> SubmitOutcome:
        await answering.wait()
        return SubmitOutcome(status=SubmitStatus.ACCEPTED, message_ids=(f"id-{outgoing.id}",))

    slow = ScriptedLink(slowly)
    async with serving(database, [slow], tmp_path):
        cont = await content(database, MMS_BODY="긴 글")
        long = [await add(database, MSG_TYPE=6, CONT_SEQ=cont) for _ in range(12)]
        await becomes(database, await add(database), SENT)
        answering.set()
        for seq in long:
            await becomes(database, seq, SENT)
    assert len(slow.sent) == 12


REFUSALS = [(2003, "2", 42003), (2004, "g", 42004), (2007, "e", 42007), (3002, "k", 43002), (4005, "z", 44005)]


@pytest.mark.parametrize(("status", "code", "detail"), REFUSALS)
async def test_what_a_refusal_of_an_mmsc_becomes(
    database: NproDatabase, tmp_path: Path, status: int, code: str, detail: int
) -> None:
    async def refuse(_: Outgoing) -> SubmitOutcome:
        return SubmitOutcome(status=SubmitStatus.REFUSED, mm7_status=status)

    async with serving(database, [ScriptedLink(refuse)], tmp_path):
        cont = await content(database, MMS_BODY="긴 글")
        await becomes(database, await add(database, MSG_TYPE=6, CONT_SEQ=cont), (3, code, detail, "ETC"))


async def test_a_report_makes_the_row_final(database: NproDatabase, multimedia: ScriptedLink, tmp_path: Path) -> None:
    async with serving(database, [multimedia], tmp_path) as agent:
        cont = await content(database, MMS_BODY="긴 글")
        seq = await add(database, MSG_TYPE=6, CONT_SEQ=cont)
        await becomes(database, seq, SENT)
        await agent.handle_receipt(replace(receipt(f"id-{seq}"), link="mm7"))
        await becomes(database, seq, (3, "0", 0, "LGT"))


@pytest.mark.parametrize("raw", [b"", b"PK", b"no zip at all"])
def test_what_is_no_package(raw: bytes) -> None:
    with pytest.raises(BadPackageError):
        unpacked(raw)


def test_customers_are_told_full_paths() -> None:
    folders = Folders.of(Path("skn"), None)
    assert (folders.packages, folders.barcodes) == (Path.cwd() / "skn", None)
