"""The carrier's side of a trunk with phones on it: each call yields a report of all that one side saw and heard."""

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from simulators.phones.rtp import Voice
from simulators.phones.scenarios import Behaviour, Identity, caller_scenario, team_scenario
from simulators.phones.traces import Message, read_trace

LOOK_EVERY = 0.02  # seconds between looks at a trace
LONGEST_CALL = 120.0  # seconds


class PhoneFailed(Exception):
    """sipp did not start, or a call took longer than any may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReport:
    """What one phone saw and heard. `status`: the final one for the caller, None when none came.

    `heard`: voice packets received from each mark; `rtp_received` counts those of prompts as well.
    """

    status: int | None
    early_media: bool
    messages: tuple[Message, ...]
    rtp_sent: int
    rtp_received: int
    mark: bytes
    heard: dict[bytes, int]
    sound: bytes = b""  # heard, as A-law at 8 kHz

    @property
    def received(self) -> tuple[Message, ...]:
        """What the network told this phone."""
        return tuple(message for message in self.messages if message.received)

    def heard_from(self, other: "CallReport") -> int:
        """Packets of the other phone's own voice."""
        return self.heard.get(other.mark, 0)


class Phone:
    """One phone in action: a sipp process and its voice."""

    def __init__(self, process: asyncio.subprocess.Process, voice: Voice, trace: Path) -> None:
        self._process = process
        self._voice = voice
        self._trace = trace
        self._watching = asyncio.create_task(self._watch())

    @property
    def process_id(self) -> int:
        return self._process.pid

    def messages(self) -> tuple[Message, ...]:
        """What it sent and received. A BYE of a call that it never heard of is not its own: an earlier phone at this
        address was gone before it had answered, and the network says it again for half a minute."""
        seen = read_trace(self._trace.read_bytes()) if self._trace.exists() else ()
        return own_messages(seen)

    async def until(self, condition: Callable[["Phone"], bool], *, timeout: float = 20.0) -> None:  # noqa: ASYNC109 - a phone's patience
        """Wait until `condition(phone)` holds. Raises PhoneFailed."""
        try:
            async with asyncio.timeout(timeout):
                while not condition(self):  # noqa: ASYNC110 - a trace file sends no signal
                    await asyncio.sleep(LOOK_EVERY)
        except TimeoutError as error:
            raise PhoneFailed("the phone waited in vain") from error

    async def ringing(self) -> None:
        """Until a call has come in (called phone) or 180 has (calling phone)."""
        await self.until(lambda phone: any(message.status == 180 for message in phone.messages()))

    async def answered(self) -> None:
        await self.until(lambda phone: any(_is_answer(message) for message in phone.messages()))

    async def talked(self, packets: int = 10) -> None:
        """Until it has heard that many voice packets."""
        await self.until(lambda phone: phone._voice.packets >= packets)

    async def press(self, keys: str) -> None:
        """Press keys, as telephone events (RFC 4733), and wait until they were sent."""
        await self._voice.press(keys)

    @property
    def packets(self) -> int:
        """Voice packets heard so far."""
        return self._voice.packets

    def called(self, number: str) -> tuple[Message, ...]:
        """The messages of the calls to one of a team's numbers; none if it was not called."""
        messages = self.messages()
        calls = {m.header("Call-ID") for m in messages if m.method == "INVITE" and m.uri.startswith(f"sip:{number}@")}
        return tuple(message for message in messages if message.header("Call-ID") in calls)

    async def ended(self) -> CallReport:
        """Wait for sipp to end by itself (a calling phone does). Raises PhoneFailed."""
        try:
            async with asyncio.timeout(LONGEST_CALL):
                await self._process.wait()
        except TimeoutError as error:
            raise PhoneFailed("the call does not end") from error
        return self.report()

    async def hung_up(self) -> CallReport:
        """For a called phone: wait until the call is over."""
        await self.until(lambda phone: any(_is_over(message) for message in phone.messages()))
        return self.report()

    def report(self) -> CallReport:
        """What it has seen so far."""
        messages = self.messages()
        finals = [m.status for m in messages if m.method == "INVITE" and m.status is not None and m.status >= 200]
        return CallReport(
            status=finals[-1] if finals else None,
            early_media=any(m.received and m.status == 183 and m.media is not None for m in messages),
            messages=messages,
            rtp_sent=self._voice.sent,
            rtp_received=self._voice.packets,
            mark=self._voice.mark,
            heard=dict(self._voice.heard),
            sound=self._voice.sound(),
        )

    async def close(self) -> None:
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        await self._voice.close()

    async def _watch(self) -> None:
        """Talk once the other side has said where it listens."""
        await self.until(lambda phone: phone._other_side() is not None, timeout=LONGEST_CALL)
        target = self._other_side()
        if target is not None:
            self._voice.aim(*target)

    def _other_side(self) -> tuple[str, int] | None:
        return next((m.media for m in self.messages() if m.received and m.media is not None), None)


def own_messages(seen: tuple[Message, ...]) -> tuple[Message, ...]:
    """Without the ends of calls whose beginning is not among them."""
    calls = {message.header("Call-ID") for message in seen if message.method == "INVITE"}
    return tuple(message for message in seen if message.method != "BYE" or message.header("Call-ID") in calls)


def _is_answer(message: Message) -> bool:
    return message.method == "INVITE" and message.status == 200


def _is_over(message: Message) -> bool:
    """The last message of a call that was taken, turned away or given up."""
    ended = message.method == "BYE" and message.status == 200
    return ended or (message.method == "INVITE" and message.status is not None and message.status >= 300)


class Carrier:
    """`trunk`: the carrier's own address, where called phones are. `asterisk`: where calls go. `folder`: traces."""

    def __init__(self, *, trunk: tuple[str, int], asterisk: tuple[str, int], folder: Path) -> None:
        self._trunk = trunk
        self._asterisk = asterisk
        self._folder = folder
        self._numbers = itertools.count(1)

    @asynccontextmanager
    async def phone(
        self,
        behaviour: Behaviour | None = None,
        *,
        mute: bool = False,
        numbers: Mapping[str, Behaviour] | None = None,
    ) -> AsyncIterator[Phone]:
        """A phone that takes the calls which come over the trunk, whatever number they are for. One at a time."""
        address, port = self._trunk
        voice = await Voice.open(address)
        voice.mute = mute
        scenario = team_scenario(numbers or {}, behaviour or Behaviour(), address=address, port=voice.port)
        phone = await self._start("callee", scenario, voice, [], port)
        try:
            await phone.until(lambda phone: _listens(phone.process_id, port))
            yield phone
        finally:
            await phone.close()

    async def call(
        self,
        dialled: str,
        identity: Identity,
        *,
        talk_seconds: float = 1.0,
        give_up_after: float | None = None,
    ) -> CallReport:
        """Call and wait for the end. `give_up_after`: hang up when not answered by then."""
        async with self.calling(dialled, identity, talk_seconds=talk_seconds, give_up_after=give_up_after) as phone:
            return await phone.ended()

    @asynccontextmanager
    async def calling(
        self,
        dialled: str,
        identity: Identity,
        *,
        talk_seconds: float = 60.0,
        give_up_after: float | None = None,
    ) -> AsyncIterator[Phone]:
        """A phone that has just sent its INVITE."""
        address = self._trunk[0]
        voice = await Voice.open(address)
        scenario = caller_scenario(
            identity,
            dialled,
            address=address,
            port=voice.port,
            talk_seconds=talk_seconds,
            give_up_after=give_up_after,
        )
        target = f"{self._asterisk[0]}:{self._asterisk[1]}"
        phone = await self._start("caller", scenario, voice, ["-m", "1", target], _free_port(address))
        try:
            yield phone
        finally:
            await phone.close()

    async def _start(self, kind: str, scenario: str, voice: Voice, arguments: list[str], port: int) -> Phone:
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"{kind}-{next(self._numbers)}"
        script, trace = self._folder / f"{name}.xml", self._folder / f"{name}.messages"
        script.write_text(scenario)
        trace.unlink(missing_ok=True)
        command = ["sipp", "-sf", str(script), "-i", self._trunk[0], "-p", str(port), "-nostdin"]
        command += ["-trace_msg", "-message_file", str(trace), *arguments]
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=self._folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env={"PATH": "/usr/bin:/bin", "TERM": "dumb"},
            )
        except FileNotFoundError as error:
            raise PhoneFailed("sipp is not installed (apt-get install sip-tester)") from error
        return Phone(process, voice, trace)


def _free_port(address: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _listens(process_id: int, port: int) -> bool:
    """Whether sipp has bound its port."""
    try:
        return any(at.laddr.port == port for at in psutil.Process(process_id).net_connections("udp4"))
    except psutil.NoSuchProcess as error:
        raise PhoneFailed("sipp ended at once: is the port taken?") from error
