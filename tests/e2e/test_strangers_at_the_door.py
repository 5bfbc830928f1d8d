"""Only the carrier's address may use the SIP socket: whoever else speaks to it is challenged and gets nothing."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from ivr.ami.actions import list_channels
from ivr.ami.messages import ChannelListed
from ivr.ami.reconcile import Vanished
from ivr.callids import call_id_of
from simulators.phones.scenarios import Identity
from tests.core_world import COURIER, CUSTOMER, STRANGER
from tests.e2e.conftest import Platform, Switch
from vns.numbering.rules import digits_of

pytestmark = pytest.mark.asterisk

ELSEWHERE = "127.0.0.2"  # of this machine too, and not the carrier's
SDP = "v=0\r\no=- 1 1 IN IP4 {at}\r\ns=-\r\nc=IN IP4 {at}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n"
MORE = {
    "INVITE": "Content-Type: application/sdp\r\n",
    "REGISTER": "Expires: 60\r\n",
    "SUBSCRIBE": "Event: presence\r\nExpires: 60\r\n",
}


def request(
    method: str,
    number: str,
    port: int,
    at: tuple[str, int],
    caller: str = COURIER,
    further: str = "",
    asserted: bool = True,
) -> bytes:
    """As the carrier would send it, so that nothing but the address is wrong. `further`: whole lines."""
    body = SDP.format(at=at[0]) if method == "INVITE" else ""
    identity = f"P-Asserted-Identity: <sip:{caller}@127.0.0.1>\r\n" if asserted else ""
    return (
        f"{method} sip:{number}@127.0.0.1:{port} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {at[0]}:{at[1]};branch=z9hG4bK{method}{at[1]}\r\n"
        f"From: <sip:{caller}@127.0.0.1>;tag={method}\r\n"
        f"To: <sip:{number}@127.0.0.1>\r\n"
        f"{identity}"
        f"Call-ID: {method}-{at[1]}@{at[0]}\r\n"
        f"CSeq: 1 {method}\r\n"
        f"Contact: <sip:{COURIER}@{at[0]}:{at[1]}>\r\n"
        f"Max-Forwards: 70\r\n{further}{MORE.get(method, '')}Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def statuses(method: str, number: str, port: int, source: str, caller: str = COURIER, **said: Any) -> list[int]:
    """The codes that come back, up to the final one. Raises TimeoutError when there is none within 20 seconds."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.bind((source, 0))
        wire.settimeout(20)
        wire.connect(("127.0.0.1", port))
        wire.send(request(method, number, port, wire.getsockname(), caller, **said))
        codes: list[int] = []
        while not codes or codes[-1] < 200:
            answer = re.match(rb"SIP/2\.0 (\d{3}) ", wire.recv(65_535))
            assert answer is not None
            codes.append(int(answer[1]))
        return codes


def calls_processed(switch: Switch) -> int:
    """How many calls ever came into the dialplan."""
    found = re.search(r"^(\d+) calls? processed", switch.console("core show channels count"), re.MULTILINE)
    assert found is not None
    return int(found[1])


LINE_ENDS = quote("1\r\nUniqueid: x", safe="")

# By these headers Asterisk finds calls of which the question reads the headers, whoever sends them.
READ: dict[str, dict[str, Any]] = {
    "plain": {},
    "privacy": {"further": "Privacy: id\r\n"},
    "remote party": {"further": "Remote-Party-ID: <sip:x@y>\r\n"},
    "another identity": {"further": "P-Asserted-Identity: <tel:+821033334444>\r\n"},
    "line ends": {"caller": LINE_ENDS, "asserted": False},
}


@pytest.mark.parametrize("said", READ.values(), ids=READ)
@pytest.mark.parametrize("method", ["INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE"])
async def test_a_stranger_gets_no_service(platform: Platform, method: str, said: dict[str, Any]) -> None:
    switch, number = platform.switch, digits_of((await platform.world.allocate()).vn)
    before = calls_processed(switch)
    port = switch.settings.sip_port
    assert await asyncio.to_thread(statuses, method, number, port, ELSEWHERE, **said) == [401]
    assert calls_processed(switch) == before
    # the carrier's own call gets through, and is the only one that anybody wrote down
    async with platform.carrier.phone():
        caller = await platform.carrier.call(number, Identity.plain(COURIER), talk_seconds=0.2)
    assert caller.status == 200
    assert len(await platform.ended_calls()) == 1
    assert calls_processed(switch) > before


async def test_nothing_but_the_address_is_wrong_with_these_requests(platform: Platform) -> None:
    """From the carrier's address the same INVITE is a call: it is looked up, and here refused."""
    port = platform.switch.settings.sip_port
    codes = await asyncio.to_thread(statuses, "INVITE", "050499999999", port, "127.0.0.1")
    assert codes[0] == 100
    assert codes[-1] == 404
    assert len(await platform.ended_calls()) == 1


@pytest.mark.parametrize("ends", ["", "\n"], ids=["further headers", "the end of the question"])
async def test_line_ends_in_the_number_dialled_make_nobody_another_caller(platform: Platform, ends: str) -> None:
    """Asterisk hands them on as they are: they would put words of the caller's own into the question."""
    vn = digits_of((await platform.world.pair()).vn)
    asserted = quote(f"<sip:{COURIER}@carrier.example>", safe="")
    forged = f"{vn}\nagi_arg_1: {vn}\nagi_arg_2: {asserted}\nagi_arg_3: \n{ends}"
    port = platform.switch.settings.sip_port
    async with platform.carrier.phone() as customer:
        said = quote(forged, safe="+")
        codes = await asyncio.to_thread(statuses, "INVITE", said, port, "127.0.0.1", STRANGER)
        assert codes[-1] == 503
        [record] = await platform.ended_calls()
        assert (record["result"], record["direction"]) == ("overload", "none")
        assert not customer.called(CUSTOMER)


OPEN_CALL = """
insert into calls (id, vn, direction, arrived_at, bridge, channel) values ($1, 50410000000, 'to_real', $2, 'a', $3)
"""


@asynccontextmanager
async def held_question(switch: Switch) -> AsyncIterator[asyncio.Event]:
    """The first bridge is asked, which is told, and says nothing until this is left."""
    asked, over = asyncio.Event(), asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"agi_arg_1: ")
        asked.set()
        await over.wait()
        writer.transport.abort()

    async with await asyncio.start_server(hold, "127.0.0.1", switch.settings.agi_ports[0]):
        try:
            yield asked
        finally:
            over.set()


@pytest.mark.parametrize("further", ["", "Privacy: id\r\n"], ids=["From alone", "privacy"])
@pytest.mark.parametrize(
    "said",
    [
        pytest.param("\r\nUniqueid: x", id="another channel"),
        pytest.param("\r\nResponse: Success", id="the end of the list"),
        pytest.param("\r\n\r\nEvent: UserEvent\r\nUserEvent: VnsVerificationEnded\r\nRecord: x", id="another event"),
    ],
)
async def test_line_ends_in_from_hide_no_call(quiet_platform: Platform, said: str, further: str) -> None:
    """Asterisk keeps who calls as it was said, and prints that into its list of channels, by which calls that vanished
    are found. With such a call up the list holds it, and the others' ends are found."""
    world, switch = quiet_platform.world, quiet_platform.switch
    vanished = "asterisk-1700000000.1"
    async with world.db.connection() as connection:
        arrived = world.clock.now() - timedelta(seconds=10)
        await connection.execute(OPEN_CALL, call_id_of(vanished), arrived, vanished)
    async with quiet_platform.bridge("b") as bridge:
        await bridge.wait_ready()
        async with held_question(switch) as asked, asyncio.timeout(60):
            port, caller = switch.settings.sip_port, quote(f"1{said}", safe="")
            said_so: dict[str, Any] = {"caller": caller, "further": further, "asserted": False}
            call = asyncio.create_task(
                asyncio.to_thread(statuses, "INVITE", "050499999999", port, "127.0.0.1", **said_so)
            )
            await asked.wait()
            listed = (await bridge.ami.send(list_channels())).events
            comparing = Vanished(
                bridge.ami, bridge.calls, world.clock, bridge="b", caught_up=lambda: True, patience=timedelta()
            )
            ended = [await comparing.one_round() for _ in range(2)]
        assert (await call)[-1] == 404
        assert ended == [0, 1]
        rows = {row["channel"]: row["result"] for row in await quiet_platform.ended_calls(2)}
    [channel] = [event.unique_id for event in listed if isinstance(event, ChannelListed)]
    assert rows == {vanished: "unknown", channel: "unallocated"}
