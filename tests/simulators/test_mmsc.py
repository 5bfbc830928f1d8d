"""The MMSC simulator: each of its settings does what it says, over a real socket."""

import asyncio
import re
import shlex
import signal
import stat
import sys
import tomllib
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from simulators.mmsc.settings import Fault, Rule, Settings
from sms_relay.links.interface import Incoming, Receipt, ReceiptState, SubmitStatus, TryLater
from sms_relay.links.mm7.link import Mm7Link
from tests.links.mmsc import JPG, linked, listening, message, up
from tests.simulators.mmsc import ROOT, RunningMmsc, mmsc
from tests.waiting import until

DOCUMENT = Path(__file__).parents[2] / "docs" / "mmsc-simulator.md"


class Reports:
    """A handler that refuses the first `refused` reports, then keeps what it is given."""

    def __init__(self, refused: int = 0) -> None:
        self.taken: list[Receipt] = []
        self.refused = refused

    async def __call__(self, receipt: Receipt) -> None:
        if self.refused:
            self.refused -= 1
            raise TryLater("not now")
        self.taken.append(receipt)

    async def come(self, count: int) -> list[Receipt]:
        async def there() -> bool:
            return len(self.taken) >= count

        await until(there)
        return self.taken


@asynccontextmanager
async def together(
    tmp_path: Path, reports: Reports, link_settings: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[tuple[RunningMmsc, Mm7Link]]:
    """Simulator, link and listener."""
    port = await _free_port()
    async with (
        linked(port, on_receipt=reports, **(link_settings or {})) as link,
        listening(link) as url,
        mmsc(tmp_path, url, port, **settings) as centre,
    ):
        await up(link)
        yield centre, link


async def _free_port() -> int:
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


async def test_a_message_to_a_handset(tmp_path: Path) -> None:
    reports = Reports()
    async with together(tmp_path, reports) as (centre, link):
        outcome = await link.submit(message("똠방각하 😀"))
        (receipt,) = await reports.come(1)
        (line,) = centre.outbox
    assert (receipt.message_id, receipt.state) == (outcome.message_id, ReceiptState.DELIVERED)
    assert line.pop("at").endswith("Z")
    files = line.pop("files")
    assert line == {
        "from": "0215771234",
        "to": "01012345678",
        "text": "똠방각하 😀",
        "subject": "제목",
        "parts": 1,
        "message_id": outcome.message_id,
        "system_id": "vns",
    }
    assert [(one["name"], one["content_type"]) for one in files] == [("1.txt", "text/plain"), ("2.jpg", "image/jpeg")]
    assert (tmp_path / "mms" / str(outcome.message_id) / "2.jpg").read_bytes() == JPG
    assert files[1]["path"] == str(tmp_path / "mms" / str(outcome.message_id) / "2.jpg")
    assert stat.S_IMODE((tmp_path / "mms.jsonl").stat().st_mode) == 0o600


async def test_statuses_of_rules(tmp_path: Path) -> None:
    rules = [{"destination": "0101*", "status": 2003}, {"destination": "0102*", "http_status": 500}]
    async with together(tmp_path, Reports(), rules=rules) as (centre, link):
        refused = await link.submit(message(to="01011110000"))
        lost = await link.submit(message(to="01022220000"))
        taken = await link.submit(message(to="01033330000"))
        assert [one["to"] for one in centre.outbox] == ["01033330000"]
    assert (refused.status, refused.mm7_status) == (SubmitStatus.REFUSED, 2003)
    assert (lost.status, taken.status) == (SubmitStatus.UNKNOWN, SubmitStatus.ACCEPTED)


@pytest.mark.parametrize(("timing", "count"), [("normal", 1), ("early", 1), ("duplicate", 2)])
async def test_timing_of_reports(tmp_path: Path, timing: str, count: int) -> None:
    reports = Reports()
    rules = [{"report": timing, "mm_status": "Rejected"}]
    async with together(tmp_path, reports, {"report_hold": 20}, rules=rules) as (_, link):
        outcome = await link.submit(message())
        assert outcome.status is SubmitStatus.ACCEPTED
        found = await reports.come(count)
        assert [(one.message_id, one.state) for one in found] == [(outcome.message_id, ReceiptState.REFUSED)] * count


async def test_a_report_is_offered_until_it_is_taken(tmp_path: Path) -> None:
    reports = Reports(refused=3)
    async with together(tmp_path, reports) as (_, link):
        await link.submit(message())
        assert len(await reports.come(1)) == 1
    assert reports.refused == 0


@pytest.mark.parametrize("kind", ["cut", "silent", "garbled"])
@pytest.mark.parametrize("taken", [False, True])
async def test_faults(tmp_path: Path, kind: str, taken: bool) -> None:
    faults = [{"kind": kind, "start": 1, "taken": taken}]
    async with together(tmp_path, Reports(), {"response_timeout": 2}, faults=faults) as (centre, link):
        outcomes = [(await link.submit(message())).status for _ in range(3)]
        assert outcomes == [SubmitStatus.ACCEPTED, SubmitStatus.UNKNOWN, SubmitStatus.ACCEPTED]
        assert len(centre.outbox) == 2 + taken


async def test_settings_are_read_again(tmp_path: Path) -> None:
    async with together(tmp_path, Reports()) as (centre, link):
        assert (await link.submit(message())).status is SubmitStatus.ACCEPTED
        centre.rewrite(rules=[{"status": 2004}])
        centre.process.send_signal(signal.SIGHUP)

        async def refused() -> bool:
            return (await link.submit(message())).mm7_status == 2004

        await until(refused)


@pytest.mark.parametrize("settings", [{}, {"deliver_in_base64": True, "deliver_copies": 2}])
async def test_a_handset_sends_a_picture(tmp_path: Path, settings: dict[str, Any]) -> None:
    """With the program of the document; the first offer is not taken."""
    taken: list[Incoming] = []
    refused: list[Incoming] = []

    async def take(incoming: Incoming) -> None:
        if not refused:
            refused.append(incoming)
            raise TryLater("not now")
        taken.append(incoming)

    copies: int = settings.get("deliver_copies", 1)
    (tmp_path / "photo.jpg").write_bytes(JPG)
    async with together(tmp_path, Reports(), **settings) as (centre, link):
        link.on_incoming = take
        code, said = await _handset(centre.url, str(tmp_path / "photo.jpg"))

        async def there() -> bool:
            return len(taken) == copies

        await until(there)
        assert (code, {one.delivery for one in (*refused, *taken)}) == (0, {said})
        assert (await _handset(centre.url.replace("secret", "wrong")))[0] == 1
    for one in taken:
        assert (one.source, one.destination, one.text) == ("01012345678", "07081234567", "문 앞에 두었습니다")
        assert [(file.content_type, file.data) for file in one.media] == [("image/jpeg", JPG)]


async def _handset(url: str, *files: str) -> tuple[int | None, str]:
    """As the document shows it. Exit code and what was said."""
    shown = re.search(r"python (-m simulators\.mmsc\.handset .*) photo\.jpg", DOCUMENT.read_text(encoding="utf-8"))
    assert shown is not None
    words = [url if word.startswith("http://") else word for word in shlex.split(shown[1])]
    process = await asyncio.create_subprocess_exec(sys.executable, *words, *files, stdout=PIPE, cwd=ROOT)
    said, _ = await process.communicate()
    return process.returncode, said.decode().strip()


async def test_a_wrong_account_is_let_in_nowhere(tmp_path: Path) -> None:
    async with together(tmp_path, Reports()) as (centre, _), linked(centre.port, account="vns:wrong") as other:
        await up(other)
        assert (await other.submit(message())).status is SubmitStatus.NOT_SENT
        assert centre.outbox == []


@pytest.mark.parametrize("model", [Settings, Rule, Fault])
def test_every_setting_is_documented(model: type[BaseModel]) -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert [name for name in model.model_fields if f"`{name}" not in document] == []


def test_the_documents_example_is_accepted() -> None:
    example = re.search(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    assert Settings.model_validate(tomllib.loads(example[1])).rule_for("01000009999").mm_status == "Expired"
