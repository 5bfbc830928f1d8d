"""The handler behind the peers of the benchmark of texts."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from loadtests.texts_peers import Peer, peer
from loadtests.wire_client import WireClient, request_bytes


@pytest.fixture
async def handler() -> AsyncIterator[Peer]:
    with peer("loadtests.texts_http") as started:
        yield started


async def _asked(handler: Peer, path: str) -> bytes:
    client = await WireClient.connect(handler.port)
    status, body = await client.ask(request_bytes("GET", path))
    client.close()
    assert status == 200
    return body


async def test_kannel_gets_its_text_back_and_receipts_are_counted(handler: Peer) -> None:
    assert await _asked(handler, "/mo?text=parcel+%237") == b"parcel #7"
    assert await _asked(handler, "/ack?id=1") == b"ACK/Jasmin"
    assert (await asyncio.to_thread(handler.until, "receipts", 1))["receipts"] == 1


async def test_what_jasmin_hands_in_goes_to_its_own_interface_as_it_came(handler: Peer) -> None:
    asked: asyncio.Queue[bytes] = asyncio.Queue()

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.put_nowait((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
        writer.write(b'HTTP/1.0 200 OK\r\n\r\nSuccess "1"')
        writer.close()

    async with await asyncio.start_server(answered, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        handler.order("jasmin", port=port, connections=2, path="/send?to={to}&content={content}")
        assert (
            await _asked(handler, "/jasmin?id=1&from=01011112222&to=07080000001&content=parcel%20%237") == b"ACK/Jasmin"
        )
        assert await asyncio.wait_for(asked.get(), 30) == b"GET /send?to=01011112222&content=parcel%20%237 HTTP/1.0"
        assert (await asyncio.to_thread(handler.until, "accepted", 1))["accepted"] == 1
