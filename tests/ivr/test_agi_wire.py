"""The question port on a real socket: what panoramisk's server would do wrong, and what a bridge does under stress."""

import asyncio
import errno
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop

from ivr.agi import server as server_module
from ivr.agi.server import AgiRequest, AgiServer, Answer
from ivr.nodes import question_token
from tests.waiting import until

TOKEN = question_token("ami://vns:a-secret@127.0.0.1:5038")
GREETING = (
    b"agi_network: yes\nagi_network_script: question\nagi_request: agi://127.0.0.1/question\n"
    b"agi_channel: PJSIP/trunk-1\nagi_language: en\nagi_type: PJSIP\nagi_uniqueid: vns-1700000000.1\n"
    b"agi_version: 22.10.1\nagi_callerid: unknown\nagi_calleridname: unknown\nagi_callingpres: 0\n"
    b"agi_callingani2: 0\nagi_callington: 0\nagi_callingtns: 0\nagi_dnid: unknown\nagi_rdnis: unknown\n"
    b"agi_context: vns-in\nagi_extension: 1\nagi_priority: 3\nagi_enhanced: 0.0\nagi_accountcode: \n"
    b"agi_threadid: 1\nagi_arg_1: 0504%2C1\nagi_arg_2: %EC%9D%B4%0A%22\nagi_arg_3: " + TOKEN.encode() + b"\n\n"
)
ANSWER = (
    b'SET VARIABLE ARRAY(BRIDGE,NUM,TIMEOUT(absolute),CALLERID(all)) "a,010,0,0504"\n'
    b"SET CONTEXT vns-answer\nSET EXTENSION connect\nSET PRIORITY 1\n"
)


class Bridge:
    """Answers with what it is given, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[AgiRequest] = []
        self.answer: Answer | Exception = {"BRIDGE": "a", "ACT": "connect", "NUM": "010", "CID": "0504"}

    async def ask(self, request: AgiRequest) -> Answer:
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Line:
    """One connection, as Asterisk makes it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, data: bytes = GREETING) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def read(self) -> bytes:
        """What comes until the end of a line, b'' at the end."""
        async with asyncio.timeout(20):
            return await self.reader.readline()


@asynccontextmanager
async def question_port(bridge: Bridge) -> AsyncIterator[int]:
    server = AgiServer("question", bridge.ask, tokens=[TOKEN])
    port = await server.start("127.0.0.1", 0)
    try:
        yield port
    finally:
        await server.close()


@asynccontextmanager
async def line_to(port: int) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


async def works(port: int) -> bool:
    async with line_to(port) as line:
        await line.ask()
        answer = b"".join([await line.read() for _ in range(5)])  # and the end
        await line.ask(b"200 result=1\n200 result=0\n200 result=0\n200 result=0\n")
        return answer == ANSWER


async def test_one_command_answers_and_the_line_closes() -> None:
    bridge = Bridge()
    async with question_port(bridge) as port, line_to(port) as line:
        await line.ask()
        assert b"".join([await line.read() for _ in range(4)]) == ANSWER
        await line.ask(b"200 result=1\n")
        assert await line.read() == b""
    [asked] = bridge.asked
    assert (asked.unique_id, asked.channel) == ("vns-1700000000.1", "PJSIP/trunk-1")
    assert asked.arguments == ("0504,1", '이\n"')


async def test_a_bridge_that_ends_answers_what_it_was_asked_and_takes_no_more() -> None:
    """Asterisk is turned away from the closed port at once, and asks the next bridge."""
    bridge, decided, closing = Bridge(), asyncio.Event(), asyncio.Event()

    async def decide(request: AgiRequest) -> Answer:
        closing.set()
        await decided.wait()
        return await bridge.ask(request)

    server = AgiServer("question", decide, tokens=[TOKEN])
    port = await server.start("127.0.0.1", 0)
    async with line_to(port) as line:
        await line.ask()
        await closing.wait()
        ending = asyncio.create_task(server.close())

        async def closed() -> bool:
            return not await connects(port)

        await until(closed)
        assert not ending.done()
        decided.set()
        assert b"".join([await line.read() for _ in range(4)]) == ANSWER
        await line.ask(b"200 result=1\n")
        assert await line.read() == b""
        await ending


def segments_sent(connection: socket.socket) -> int:
    """With something in them: `tcpi_data_segs_out` of Linux's `struct tcp_info`."""
    [sent] = struct.unpack_from("I", connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160), 156)
    return int(sent)


async def test_the_lines_of_a_question_travel_together() -> None:
    """Asterisk writes them one by one. Where nobody acknowledges the first one, the others wait for one another."""
    async with question_port(Bridge()) as port:
        for _ in range(50):  # again where this process was held up for so long that the kernel acknowledged by itself
            with socket.create_connection(("127.0.0.1", port), timeout=20) as asterisk:
                for header in GREETING.splitlines(keepends=True):
                    asterisk.sendall(header)  # and the bridge has had no turn yet
                unread = segments_sent(asterisk)
                asterisk.setblocking(False)
                answer = await asyncio.get_running_loop().sock_recv(asterisk, 4096)
                assert answer == ANSWER
                if (unread, segments_sent(asterisk)) == (1, 2):
                    return
        pytest.fail("the lines never travelled together")


async def test_a_question_that_is_still_being_written_is_not_fetched_line_by_line() -> None:
    """A bridge that is woken by the first line, before Asterisk has come to write the second, leaves it time to."""
    lines = GREETING.splitlines(keepends=True)
    async with question_port(Bridge()) as port:
        for _ in range(50):  # again where a line took longer to write than the bridge waits
            with socket.create_connection(("127.0.0.1", port), timeout=20) as asterisk:
                asterisk.setblocking(False)
                for header in lines:
                    assert asterisk.send(header) == len(header)
                    for _turn in range(3):  # in which a bridge reads what is there
                        await asyncio.sleep(0)
                answer = await asyncio.get_running_loop().sock_recv(asterisk, 4096)
                assert answer == ANSWER
                if segments_sent(asterisk) <= len(lines) / 3:
                    return
        pytest.fail("the lines never travelled together")


@pytest.mark.parametrize("pause", [3_600.0, 0.0])
async def test_without_a_file_to_open_connections_wait(pause: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nobody spins: a loop that waits for connections would be told of the same one at once, again and again."""
    monkeypatch.setattr(server_module, "PAUSE", pause)
    accept, tried, times = socket.socket._accept, asyncio.Event(), []  # type: ignore[attr-defined]

    def no_file_left(_: socket.socket) -> tuple[int, object]:
        times.append(1)
        tried.set()
        raise OSError(errno.EMFILE, "Too many open files")

    async with question_port(Bridge()) as port:
        monkeypatch.setattr(socket.socket, "_accept", no_file_left)
        async with line_to(port) as line:
            await line.ask()
            await tried.wait()
            for _ in range(100):
                await asyncio.sleep(0)
            monkeypatch.setattr(socket.socket, "_accept", accept)
            if pause:
                assert len(times) == 1
            else:
                assert b"".join([await line.read() for _ in range(4)]) == ANSWER


@pytest.mark.parametrize("gathering", [3_600.0, 0.001])
async def test_questions_gather_and_none_that_has_is_left_by_a_bridge_that_ends(gathering: float) -> None:
    bridge = Bridge()
    server = AgiServer("question", bridge.ask, tokens=[TOKEN], gathering=lambda: gathering)
    port = await server.start("127.0.0.1", 0)
    assert await works(port)
    async with line_to(port) as line:
        await line.ask()
        if gathering > 1:
            for _ in range(100):
                await asyncio.sleep(0)
            assert len(bridge.asked) == 1
            ending = asyncio.create_task(server.close())
        assert b"".join([await line.read() for _ in range(4)]) == ANSWER
        await line.ask(b"200 result=1\n")
        assert await line.read() == b""
    await (ending if gathering > 1 else server.close())
    assert len(bridge.asked) == 2


async def test_a_question_without_end_holds_no_bridge_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "DRAIN", 0.05)
    async with question_port(Bridge()) as port, line_to(port) as stalled:
        await stalled.ask(GREETING[:10])
        assert await works(port)
    # the port was closed by now, although nobody ended the question


async def connects(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return False
    writer.close()
    return True


async def test_a_client_that_connects_and_closes() -> None:
    """panoramisk's handler would read nothing for ever and freeze the whole event loop."""
    async with question_port(Bridge()) as port:
        for _ in range(3):
            async with line_to(port):
                pass
        assert await works(port)


async def test_half_a_question_then_the_end() -> None:
    bridge = Bridge()
    async with question_port(bridge) as port:
        async with line_to(port) as line:
            await line.ask(GREETING[:40])
        assert await works(port)
    assert len(bridge.asked) == 1


async def test_what_is_too_short_for_a_question_is_read_when_its_sender_closes() -> None:
    """And a whole question in two segments is not taken for half of one."""
    bridge = Bridge()
    async with question_port(bridge) as port:
        async with line_to(port) as line:
            await line.ask(GREETING[:-20])
            await asyncio.sleep(0)
            await line.ask(GREETING[-20:])
            assert (await line.read()).startswith(b"SET VARIABLE")
        async with line_to(port) as short:
            await short.ask(b"agi_network_script: other\n\n")
            short.writer.write_eof()
            assert await short.read() == b""
    assert len(bridge.asked) == 1


async def test_a_client_that_says_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "REQUEST_TIMEOUT", 0.05)
    async with question_port(Bridge()) as port, line_to(port) as line:
        assert await line.read() == b""


async def test_a_question_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "LONGEST_REQUEST", 1_000)
    async with question_port(Bridge()) as port:
        async with line_to(port) as line:
            await line.ask(b"agi_arg_1: " + b"x" * 100_000)
            with pytest.raises(ConnectionError):
                assert await line.read() == b""
                raise ConnectionResetError  # closed without a reset is as good
        assert await works(port)


async def test_a_question_in_single_bytes() -> None:
    bridge = Bridge()
    async with question_port(bridge) as port, line_to(port) as line:
        for position in range(len(GREETING)):
            await line.ask(GREETING[position : position + 1])
        assert (await line.read()).startswith(b"SET VARIABLE")
        await line.ask(b"200 result=1\n")


async def test_another_script_is_not_answered() -> None:
    bridge = Bridge()
    async with question_port(bridge) as port, line_to(port) as line:
        await line.ask(GREETING.replace(b"script: question", b"script: shell"))
        assert await line.read() == b""
    assert bridge.asked == []


FORGED = b"agi_arg_1: 0504%2C1\nagi_arg_2: %3Csip%3Avictim%3E\n"


@pytest.mark.parametrize(
    "question",
    [
        pytest.param(GREETING.replace(b"dnid: unknown\n", b"dnid: 1\n" + FORGED + b"\n"), id="one that ends early"),
        pytest.param(GREETING.replace(b"dnid: unknown\n", b"dnid: 1\n" + FORGED), id="arguments that come twice"),
        pytest.param(
            GREETING.replace(b"extension: 1\n", b"extension: 1\nagi_callerid: 0105\n"), id="a caller that comes twice"
        ),
        pytest.param(GREETING.replace(b"dnid: unknown\n", b"dnid: 1\nagi_arg_4: 99\n"), id="an argument too many"),
        pytest.param(GREETING.replace(TOKEN.encode(), TOKEN[::-1].encode()), id="another token"),
        pytest.param(GREETING.partition(b"agi_arg_1")[0] + b"\n", id="no argument at all"),
    ],
)
async def test_what_a_caller_adds_to_a_question_makes_it_none(question: bytes) -> None:
    """A number dialled, or a caller's user part, may hold line ends: Asterisk hands them on as they are."""
    bridge = Bridge()
    async with question_port(bridge) as port:
        async with line_to(port) as line:
            await line.ask(question)
            line.writer.write_eof()
            assert await line.read() == b""
        assert await works(port)
    assert len(bridge.asked) == 1


async def test_a_caller_who_is_hidden() -> None:
    """The validity goes last: Asterisk takes any number that is set for a valid one."""
    bridge = Bridge()
    bridge.answer = {"BRIDGE": "a", "ACT": "connect", "NUM": "010", "CID": ""}
    async with question_port(bridge) as port, line_to(port) as line:
        await line.ask()
        command = await line.read()
    names = b"BRIDGE,NUM,TIMEOUT(absolute),CALLERID(all),CALLERID(pres),CALLERID(num-valid)"
    assert command == b"SET VARIABLE ARRAY(" + names + b') "a,010,0,,prohib,0"\n'


@pytest.mark.parametrize("reply", [b"HANGUP\n", b"200 result=-1\n", b"510 Invalid\n", b"nonsense\n", b""])
async def test_an_answer_that_is_not_taken_harms_nobody(reply: bytes) -> None:
    async with question_port(Bridge()) as port:
        async with line_to(port) as line:
            await line.ask()
            await line.read()
            await line.ask(reply)
        assert await works(port)


async def test_the_end_comes_right_behind_the_answer() -> None:
    """Asterisk goes on with the call at once: it need not wait until its reply has been read."""
    async with question_port(Bridge()) as port, line_to(port) as line:
        await line.ask()
        assert b"".join([await line.read() for _ in range(4)]) == ANSWER
        assert await line.read() == b""


async def test_an_answer_never_acknowledged_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "COMMAND_TIMEOUT", 0.05)
    async with question_port(Bridge()) as port, line_to(port) as line:
        await line.ask()
        await line.read()
        with pytest.raises(ConnectionError):
            async with asyncio.timeout(60):
                while True:  # our half stays open until the server gives it up
                    await line.ask(b"\n")
                    await asyncio.sleep(0)


def test_the_same_on_the_loop_that_a_bridge_runs_on() -> None:
    """Its transports are no asyncio.Transport by inheritance."""

    async def ask() -> bool:
        async with question_port(Bridge()) as port:
            return await works(port)

    assert uvloop.run(ask())


@pytest.mark.parametrize("value", ['"', "\\", "a\nEXEC System", "a\rb"])
async def test_a_value_cannot_become_a_command(value: str) -> None:
    bridge = Bridge()
    bridge.answer = {"ACT": "connect", "NUM": value, "CID": ""}
    async with question_port(bridge) as port, line_to(port) as line:
        await line.ask()
        assert await line.read() == b""


async def test_many_questions_at_once_do_not_wait_for_one_another() -> None:
    """A stalled client holds up nobody."""
    async with question_port(Bridge()) as port, line_to(port) as stalled:
        await stalled.ask(GREETING[:10])
        assert await asyncio.gather(*(works(port) for _ in range(50))) == [True] * 50
