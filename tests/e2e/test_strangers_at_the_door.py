"""Only the carrier's address may use the SIP socket: whoever else speaks to it is challenged and gets nothing."""

import asyncio
import re
import socket
from urllib.parse import quote

import pytest

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
    method: str, number: str, port: int, at: tuple[str, int], caller: str = COURIER, further: str = ""
) -> bytes:
    """As the carrier would send it, so that nothing but the address is wrong. `further`: whole lines."""
    body = SDP.format(at=at[0]) if method == "INVITE" else ""
    return (
        f"{method} sip:{number}@127.0.0.1:{port} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {at[0]}:{at[1]};branch=z9hG4bK{method}{at[1]}\r\n"
        f"From: <sip:{caller}@127.0.0.1>;tag={method}\r\n"
        f"To: <sip:{number}@127.0.0.1>\r\n"
        f"P-Asserted-Identity: <sip:{caller}@127.0.0.1>\r\n"
        f"Call-ID: {method}-{at[1]}@{at[0]}\r\n"
        f"CSeq: 1 {method}\r\n"
        f"Contact: <sip:{COURIER}@{at[0]}:{at[1]}>\r\n"
        f"Max-Forwards: 70\r\n{further}{MORE.get(method, '')}Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def statuses(method: str, number: str, port: int, source: str, caller: str = COURIER, further: str = "") -> list[int]:
    """The codes that come back, up to the final one. Raises TimeoutError when there is none within 20 seconds."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.bind((source, 0))
        wire.settimeout(20)
        wire.connect(("127.0.0.1", port))
        wire.send(request(method, number, port, wire.getsockname(), caller, further))
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


# By these headers Asterisk finds calls of which the question reads the headers, whoever sends them.
READ = ["", "Privacy: id\r\n", "Remote-Party-ID: <sip:x@y>\r\n", "P-Asserted-Identity: <tel:+821033334444>\r\n"]


@pytest.mark.parametrize("further", READ, ids=["plain", "privacy", "remote party", "another identity"])
@pytest.mark.parametrize("method", ["INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE"])
async def test_a_stranger_gets_no_service(platform: Platform, method: str, further: str) -> None:
    switch, number = platform.switch, digits_of((await platform.world.allocate()).vn)
    before = calls_processed(switch)
    port = switch.settings.sip_port
    assert await asyncio.to_thread(statuses, method, number, port, ELSEWHERE, further=further) == [401]
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
