"""What panoramisk would do wrong on a real wire, one test for each finding."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest

from ivr.ami import connection as connection_module
from ivr.ami.actions import Action, hangup, list_channels, originate, ping
from ivr.ami.connection import AmiConnection, AmiUnavailable
from ivr.ami.messages import ChannelListed, Event, OtherEvent, VerificationEnded
from ivr.ami.supervisor import AmiSupervisor, Timing
from tests.ivr.fake_ami import ENDED, Answer, FakeAmi, fake_ami, message, obliging
from tests.ivr.fake_ami import Action as Received

QUICK = Timing(first_pause=0.01, longest_pause=0.02, ping_every=0.05, ping_timeout=0.2, login_timeout=5)
PATIENT = Timing(first_pause=0.01, longest_pause=0.02)


def only_login(_: FakeAmi, action: Received, __: asyncio.StreamWriter) -> bytes | None:
    """Takes the login and is deaf from then on."""
    return obliging(_, action, __) if action["Action"] == ["Login"] else None


@asynccontextmanager
async def supervised(fake: FakeAmi, timing: Timing = PATIENT) -> AsyncIterator[AmiSupervisor]:
    supervisor = AmiSupervisor(fake.url, timing=timing)
    task = asyncio.create_task(supervisor.run())
    try:
        async with asyncio.timeout(20):
            await supervisor.wait_ready()
        yield supervisor
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def connected(fake: FakeAmi) -> AsyncIterator[tuple[AmiConnection, "asyncio.Queue[Event]"]]:
    events: asyncio.Queue[Event] = asyncio.Queue()
    connection = await AmiConnection.open(fake.url, events.put_nowait)
    try:
        yield connection, events
    finally:
        connection.close()


def has_connections(fake: FakeAmi, count: int) -> bool:
    return len(fake.connections) == count


async def next_event(events: "asyncio.Queue[Event]") -> Event:
    async with asyncio.timeout(20):
        return await events.get()


async def test_what_was_unanswered_is_not_sent_again_after_a_reconnect() -> None:
    """panoramisk would send it a second time: an Originate twice on the wire."""

    def drop_on_originate(fake: FakeAmi, action: Received, writer: asyncio.StreamWriter) -> bytes | None:
        if action["Action"] == ["Originate"]:
            writer.transport.abort()
            return None
        return obliging(fake, action, writer)

    async with fake_ami(drop_on_originate) as fake, supervised(fake) as supervisor:
        call = originate("PJSIP/1@trunk", context="c", extension="s", caller_id="1", timeout_ms=1, variables={})
        with pytest.raises(AmiUnavailable):
            await supervisor.send(call)
        await fake.until(lambda: len(fake.connections) > 1)
        await supervisor.wait_ready()
        assert (await supervisor.send(ping())).success
        assert fake.names(0) == ["Login", "Originate"]
        assert fake.names(1) == ["Login", "Ping"]


async def test_a_dropped_connection_is_replaced_by_one_new_one() -> None:
    """panoramisk's own timer would make another beside it."""
    async with fake_ami() as fake, supervised(fake) as supervisor:
        for round_number in (1, 2, 3):
            fake.writers[-1].transport.abort()
            await fake.until(partial(has_connections, fake, round_number + 1))
            await supervisor.wait_ready()
        assert [fake.names(number) for number in range(4)] == [["Login"]] * 4


async def test_an_originate_is_asynchronous_and_answered_at_once() -> None:
    async with fake_ami() as fake, connected(fake) as (connection, events):
        call = originate(
            "PJSIP/1@trunk", context="c", extension="s", caller_id="1", timeout_ms=5, variables={"A": "1", "B": "2"}
        )
        fake.answer = lambda _, action, __: message(
            Response="Success", ActionID=action["ActionID"][0], Message="Originate successfully queued"
        )
        assert (await connection.send(call)).success
        sent = fake.connections[0][-1]
        assert sent["Async"] == ["true"]
        assert sent["Variable"] == ["A=1", "B=2"]
        await fake.send(message(Event="OriginateResponse", ActionID=sent["ActionID"][0], Response="Failure"))
        assert await next_event(events) == OtherEvent("OriginateResponse")
        fake.answer = obliging
        assert (await connection.send(ping())).success


@pytest.mark.parametrize("evil", ["1\r\nAction: Hangup", "1\n", "\x00", "번호", "1\x7f"])
def test_a_value_cannot_add_a_line(evil: str) -> None:
    with pytest.raises(ValueError, match="printable"):
        hangup(evil, 16)
    with pytest.raises(ValueError, match="printable"):
        Action("Hangup", ((evil, "x"),))


async def test_an_event_without_what_it_must_have_costs_nothing() -> None:
    """panoramisk reads a missing header as '', and an error in a callback drops its connection."""
    async with fake_ami() as fake, connected(fake) as (connection, events):
        await fake.send(message(Event="UserEvent", UserEvent="VnsVerificationEnded"))
        await fake.send(ENDED.format(record="x").encode())
        assert await next_event(events) == VerificationEnded("x")
        assert (await connection.send(ping())).success


async def test_a_refused_login_is_told() -> None:
    def refuse(_: FakeAmi, action: Received, __: asyncio.StreamWriter) -> bytes:
        return message(Response="Error", ActionID=action["ActionID"][0], Message="Authentication failed")

    async with fake_ami(refuse) as fake:
        with pytest.raises(AmiUnavailable, match="refused"):
            await AmiConnection.open(fake.url, lambda _: None)


@pytest.mark.parametrize("ending", ["silence", "drop"])
async def test_a_login_without_an_answer_ends(ending: str) -> None:
    def end(_: FakeAmi, __: Received, writer: asyncio.StreamWriter) -> None:
        if ending == "drop":
            writer.close()

    async with fake_ami(end) as fake:
        with pytest.raises(AmiUnavailable):
            await AmiConnection.open(fake.url, lambda _: None, login_timeout=0.2)


async def test_nobody_there() -> None:
    async with fake_ami() as fake:
        url = fake.url
    with pytest.raises(AmiUnavailable):
        await AmiConnection.open(url, lambda _: None)


async def test_a_connection_gone_deaf_is_replaced() -> None:
    """panoramisk pings and never looks whether an answer comes."""
    async with fake_ami(only_login) as fake, supervised(fake, QUICK):
        await fake.until(lambda: len(fake.connections) > 1)
        assert fake.names(0) == ["Login", "Ping"]


async def test_sending_without_a_connection_fails_at_once() -> None:
    """panoramisk raises AttributeError before the first connection, and keeps the action after the last one."""
    supervisor = AmiSupervisor("ami://vns:word@127.0.0.1:1")
    with pytest.raises(AmiUnavailable):
        await supervisor.send(ping())
    async with fake_ami() as fake, connected(fake) as (connection, _):
        connection.close()
        with pytest.raises(AmiUnavailable):
            await connection.send(ping())


async def test_a_supervisor_that_is_stopped_does_not_come_back() -> None:
    async with fake_ami() as fake:
        async with supervised(fake):
            assert len(fake.connections) == 1
        async with connected(fake):  # had it come back, it would have been before this one
            assert len(fake.connections) == 2


async def test_an_answer_that_comes_too_late_finds_nobody() -> None:
    async with fake_ami(only_login) as fake, connected(fake) as (connection, events):
        with pytest.raises(AmiUnavailable, match="in time"):
            await connection.send(ping(), timeout=0.05)
        late = fake.connections[0][-1]["ActionID"][0]
        await fake.send(message(Response="Success", ActionID=late))
        await fake.send(ENDED.format(record="after").encode())
        assert await next_event(events) == VerificationEnded("after")


@pytest.mark.parametrize("size", [1, 7])
async def test_split_segments(size: int) -> None:
    """Also in the middle of a character of two bytes, which panoramisk would lose with what follows it."""
    data = message(Event="Noise", Name="홍") + ENDED.format(record="1|2|3").encode()
    async with fake_ami() as fake, connected(fake) as (_, events):
        for start in range(0, len(data), size):
            await fake.send(data[start : start + size])
        assert await next_event(events) == OtherEvent("Noise")
        assert await next_event(events) == VerificationEnded("1|2|3")


async def test_joined_and_repeated_messages() -> None:
    async with fake_ami() as fake, connected(fake) as (_, events):
        await fake.send(ENDED.format(record="a").encode() * 2 + ENDED.format(record="b").encode())
        assert [await next_event(events) for _ in range(3)] == [
            VerificationEnded("a"),
            VerificationEnded("a"),
            VerificationEnded("b"),
        ]


async def test_answers_nobody_asked_for_are_ignored() -> None:
    async with fake_ami() as fake, connected(fake) as (connection, _):
        await fake.send(message(Response="Success", ActionID="somebody-else") + b"\r\n\r\ngarbage\r\n\r\n")
        assert (await connection.send(ping())).success


async def test_a_list_comes_with_its_events_and_others_pass_by() -> None:
    def channels(fake: FakeAmi, action: Received, writer: asyncio.StreamWriter) -> bytes:
        if action["Action"] != ["CoreShowChannels"]:
            return obliging(fake, action, writer) or b""
        identity = action["ActionID"][0]
        return (
            message(Response="Success", ActionID=identity, EventList="start", Message="Channels will follow")
            + message(Event="CoreShowChannel", ActionID=identity, Uniqueid="vns-1700000000.1")
            + ENDED.format(record="between").encode()
            + message(Event="CoreShowChannel", ActionID=identity, Uniqueid="vns-1700000000.2")
            + message(Event="CoreShowChannelsComplete", ActionID=identity, EventList="Complete", ListItems="2")
        )

    async with fake_ami(channels) as fake, connected(fake) as (connection, events):
        reply = await connection.send(list_channels())
        listed = [event for event in reply.events if isinstance(event, ChannelListed)]
        assert listed == [ChannelListed("vns-1700000000.1"), ChannelListed("vns-1700000000.2")]
        assert await next_event(events) == VerificationEnded("between")


Listing = Callable[[str], bytes]  # what stands in a list, given the action's id
CHANNEL = "vns-1700000000.1"


def listing(events: Listing, *, counted: int = 1) -> Answer:
    """An Asterisk with a list of channels; `counted`: how many it says there are."""

    def answer(fake: FakeAmi, action: Received, writer: asyncio.StreamWriter) -> bytes | None:
        if action["Action"] != ["CoreShowChannels"]:
            return obliging(fake, action, writer)
        identity = action["ActionID"][0]
        head = message(Response="Success", ActionID=identity, EventList="start", Message="Channels will follow")
        end = message(Event="CoreShowChannelsComplete", ActionID=identity, EventList="Complete", ListItems=str(counted))
        return head + events(identity) + end

    return answer


def shown(identity: str, caller: str) -> bytes:
    return message(Event="CoreShowChannel", ActionID=identity, CallerIDNum=caller, Uniqueid=CHANNEL)


@pytest.mark.parametrize(
    ("events", "counted"),
    [
        pytest.param(partial(shown, caller="1\r\nUniqueid: x"), 1, id="a channel with two ids"),
        pytest.param(partial(shown, caller="1\r\n\r\nx"), 1, id="a channel without one"),
        pytest.param(partial(shown, caller="1\r\nResponse: Success"), 1, id="an end before the end"),
        pytest.param(partial(shown, caller="1"), 2, id="fewer than there are"),
    ],
)
async def test_a_list_that_cannot_be_read_whole_is_no_answer(events: Listing, counted: int) -> None:
    """A caller's text stands in it as it is. With that channel left out, its call would look as if it had vanished."""
    async with fake_ami(listing(events, counted=counted)) as fake, connected(fake) as (connection, _):
        with pytest.raises(AmiUnavailable):
            await connection.send(list_channels())
        fake.answer = listing(partial(shown, caller="1"))
        assert (await connection.send(list_channels())).events[0] == ChannelListed(CHANNEL)


async def test_a_refused_list_is_none() -> None:
    """Read as an empty one it would end every call."""

    def refuse(fake: FakeAmi, action: Received, writer: asyncio.StreamWriter) -> bytes | None:
        if action["Action"] != ["CoreShowChannels"]:
            return obliging(fake, action, writer)
        return message(Response="Error", ActionID=action["ActionID"][0], Message="Permission denied")

    async with fake_ami(refuse) as fake, connected(fake) as (connection, _):
        with pytest.raises(AmiUnavailable):
            await connection.send(list_channels())


async def test_a_message_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "LONGEST_MESSAGE", 1_000)
    async with fake_ami() as fake, connected(fake) as (connection, _):
        await fake.send(b"x" * 5_000)
        async with asyncio.timeout(20):
            await connection.wait_gone()


async def test_events_beyond_the_queue_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ivr.ami.supervisor.QUEUE_LENGTH", 2)
    async with fake_ami() as fake, supervised(fake) as supervisor:
        await fake.send(ENDED.format(record="r").encode() * 5)
        assert (await supervisor.send(ping())).success  # answered after the events
        assert (supervisor.verifications.qsize(), supervisor.dropped) == (2, 3)


def named(name: str) -> Answer:
    """An Asterisk of that system name."""

    def answer(fake: FakeAmi, action: Received, writer: asyncio.StreamWriter) -> bytes | None:
        if action["Action"] == ["CoreSettings"]:
            return message(Response="Success", ActionID=action["ActionID"][0], SystemName=name)
        return obliging(fake, action, writer)

    return answer


async def test_an_asterisk_is_known_by_its_name() -> None:
    async with fake_ami(named("north")) as fake:
        supervisor = AmiSupervisor(fake.url, name="north", timing=PATIENT)
        task = asyncio.create_task(supervisor.run())
        async with asyncio.timeout(20):
            await supervisor.wait_ready()
        assert (await supervisor.send(ping())).success
        task.cancel()


async def test_another_asterisk_at_the_address_is_none(caplog: pytest.LogCaptureFixture) -> None:
    """Two addresses mixed up: each one's calls would seem to have vanished."""
    async with fake_ami(named("south")) as fake:
        supervisor = AmiSupervisor(fake.url, name="north", timing=QUICK)
        task = asyncio.create_task(supervisor.run())
        await fake.until(lambda: len(fake.connections) > 2)
        assert not supervisor.ready
        with pytest.raises(AmiUnavailable):
            await supervisor.send(ping())
        task.cancel()
    assert "the Asterisk at the address of north is another: 'south'" in caplog.text
