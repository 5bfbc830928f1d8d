"""The SMSC simulator with Kannel as its ESME: a client of another make finds nothing odd in it."""

import asyncio
import shutil
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from simulators.smsc.centre import SmscCentre
from simulators.smsc.handset import Handset
from simulators.smsc.outbox import Outbox
from simulators.smsc.settings import Settings
from sms_relay.links.smpp.text import Alphabet
from tests.links.smpp_inbox import PATIENCE

_CONFIGURATION = """
group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = for-the-test
smsbox-port = {smsbox}
smsbox-interface = 127.0.0.1
box-allow-ip = 127.0.0.1
box-deny-ip = *.*.*.*
dlr-storage = internal

group = smsc
smsc = smpp
smsc-id = simulator
host = 127.0.0.1
port = {smsc}
transceiver-mode = true
smsc-username = vns
smsc-password = secret
system-type = ""
max-pending-submits = 20

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1

group = sendsms-user
username = tester
password = for-the-test
max-messages = 5
concatenation = true

group = sms-service
keyword = default
catch-all = true
max-messages = 0
get-url = "http://127.0.0.1:{listener}/text?from=%p&to=%P&text=%a"
"""


@dataclass
class Kannel:
    centre: SmscCentre
    smsc_url: str
    sendsms: str
    listener: int
    outbox: Path
    calls: "asyncio.Queue[tuple[str, dict[str, list[str]]]]"

    async def call(self) -> tuple[str, dict[str, list[str]]]:
        """The next request Kannel makes of its application: path and query."""
        async with asyncio.timeout(PATIENCE):
            return await self.calls.get()


async def _program(name: str, configuration: Path, ready: bytes) -> tuple[Process, asyncio.Task[bytes]]:
    """Starts one of Kannel's programs and waits for its word; what it says later is read away."""
    path = shutil.which(name) or f"/usr/sbin/{name}"
    process = await asyncio.create_subprocess_exec(path, str(configuration), stderr=PIPE)
    assert process.stderr is not None
    said = b""
    async with asyncio.timeout(PATIENCE):
        while ready not in said:
            line = await process.stderr.readline()
            assert line, said.decode()
            said += line
    return process, asyncio.create_task(process.stderr.read())


@pytest.fixture
async def kannel(tmp_path: Path, new_port: Callable[[], int]) -> AsyncIterator[Kannel]:
    calls: asyncio.Queue[tuple[str, dict[str, list[str]]]] = asyncio.Queue()

    async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        split = urlsplit(request.split()[1].decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        calls.put_nowait((split.path, parse_qs(split.query)))

    listener = await asyncio.start_server(application, "127.0.0.1", 0)
    outbox = tmp_path / "outbox.jsonl"
    settings = Settings(platform_prefixes=("0708",), default_alphabet=Alphabet.GSM7)
    centre = SmscCentre(settings, Outbox(outbox, settings.default_alphabet), ("vns", "secret"))
    port = await centre.start("127.0.0.1", 0)
    ports = {name: new_port() for name in ("admin", "smsbox", "sendsms")}
    listens = listener.sockets[0].getsockname()[1]
    configuration = tmp_path / "kannel.conf"
    configuration.write_text(_CONFIGURATION.format(smsc=port, listener=listens, **ports))
    started = [await _program("bearerbox", configuration, b"Start-up done")]
    started.append(await _program("smsbox", configuration, b"Connected to bearerbox"))
    yield Kannel(
        centre,
        f"smpp://vns:secret@127.0.0.1:{port}",
        f"http://127.0.0.1:{ports['sendsms']}/cgi-bin/sendsms",
        listens,
        outbox,
        calls,
    )
    for process, reading in reversed(started):
        process.terminate()
        async with asyncio.timeout(PATIENCE):
            await reading
            await process.wait()
    listener.close()
    await centre.stop()


async def test_texts_both_ways_and_receipts(kannel: Kannel) -> None:
    async with Handset(kannel.smsc_url) as handset:
        await handset.send("01012345678", "07081234567", "hello there")
    path, query = await kannel.call()
    assert (path, query["from"], query["to"]) == ("/text", ["01012345678"], ["07081234567"])

    async with httpx.AsyncClient(trust_env=False) as client:
        for text, coding in (("thank you", "0"), ("감사합니다 😀", "2"), ("x" * 200, "0")):
            answer = await client.get(
                kannel.sendsms,
                params={
                    "username": "tester",
                    "password": "for-the-test",
                    "from": "07081234567",
                    "to": "01012345678",
                    "text": text,
                    "coding": coding,
                    "charset": "UTF-8",
                    "dlr-mask": "1",
                    "dlr-url": f"http://127.0.0.1:{kannel.listener}/receipt?state=%d",
                },
            )
            assert answer.status_code == 202
            path, query = await kannel.call()
            assert (path, query["state"]) == ("/receipt", ["1"])
    lines = [line for line in kannel.outbox.read_text(encoding="utf-8").splitlines() if line]
    assert ["thank you" in line for line in lines] == [True, False, False]
    assert ["감사합니다 😀" in line for line in lines] == [False, True, False]
    assert ["x" * 200 in line and '"parts": 2' in line for line in lines] == [False, False, True]
