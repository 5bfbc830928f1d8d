"""A manager interface on a real socket that can drop, stall, split, repeat and inject."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Action = dict[str, list[str]]
Answer = Callable[["FakeAmi", Action, asyncio.StreamWriter], "bytes | None"]

ENDED = "Event: UserEvent\r\nUserEvent: VnsVerificationEnded\r\nRecord: {record}\r\n\r\n"


def message(**headers: str) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + b"\r\n"


def obliging(_: "FakeAmi", action: Action, __: asyncio.StreamWriter) -> bytes | None:
    """Says yes to everything."""
    return message(Response="Success", ActionID=action["ActionID"][0], Message="Done")


@dataclass
class FakeAmi:
    """`answer` decides what goes back; None: nothing. `connections`: the actions of each, in order."""

    answer: Answer = obliging
    connections: list[list[Action]] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    port: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        return f"ami://vns:word@127.0.0.1:{self.port}"

    def names(self, connection: int) -> list[str]:
        return [action["Action"][0] for action in self.connections[connection]]

    async def send(self, data: bytes, connection: int = -1) -> None:
        self.writers[connection].write(data)
        await self.writers[connection].drain()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that arrived makes it true."""
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(condition)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        actions: list[Action] = []
        self.connections.append(actions)
        self.writers.append(writer)
        try:
            writer.write(b"Asterisk Call Manager/11.0.0\r\n")
            while True:
                text = (await reader.readuntil(b"\r\n\r\n")).decode()
                action: Action = {}
                for line in text.strip().split("\r\n"):
                    name, _, value = line.partition(": ")
                    action.setdefault(name, []).append(value)
                actions.append(action)
                async with self.changed:
                    self.changed.notify_all()
                reply = self.answer(self, action, writer)
                if reply is not None:
                    writer.write(reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def fake_ami(answer: Answer = obliging) -> AsyncIterator[FakeAmi]:
    fake = FakeAmi(answer)
    server = await asyncio.start_server(fake._serve, "127.0.0.1", 0)
    fake.port = server.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        server.close()
        for writer in fake.writers:
            writer.close()
        await server.wait_closed()
