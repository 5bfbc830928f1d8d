"""Who answers Asterisk in `bin/bench ways`: the number behind the prefix."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from loadtests.bench_servers import ROOT, listens
from local.children import tied


@pytest.fixture
def port(request: pytest.FixtureRequest, new_port: Callable[[], int]) -> Iterator[int]:
    port = new_port()
    command = [sys.executable, "-m", "loadtests.way_servers", request.param, "--port", str(port)]
    with subprocess.Popen(tied(command), cwd=ROOT) as process:
        while not listens(port):
            assert process.poll() is None
        yield port
        process.terminate()


@pytest.mark.parametrize("port", ["fastagi"], indirect=True)
async def test_fastagi(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"agi_network: yes\nagi_extension: wayb01012345678\n")
    writer.write(b"agi_arg_1: x\n\n")
    assert await reader.read() == b'SET VARIABLE NUM "01012345678"\n'
    writer.close()


@pytest.mark.parametrize("port", ["curl"], indirect=True)
async def test_curl(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in (b"01012345678", b"01098765432"):
        writer.write(b"GET /?" + number + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(len(number)) == number
    writer.close()
