"""A session fed with anything: no exception gets out, and every submit ends."""

import asyncio
import logging
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sms_relay.links.quiet import Quiet
from sms_relay.links.smpp import pdu
from sms_relay.links.smpp.config import SmppLinkConfig
from sms_relay.links.smpp.pdu import Command, Status
from sms_relay.links.smpp.session import NoAnswerError, Session, SessionClosedError

SUBMITS = 5
WINDOW = 3


class Memory(asyncio.Transport):
    """A transport that only remembers."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.written = b""
        self._session = session
        self._closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            asyncio.get_running_loop().call_soon(self._session.connection_lost, None)

    abort = close

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


_SEQUENCES = st.integers(0, SUBMITS + 4)
_STATUS = st.sampled_from([0, 0, 0x14, 0x58, 0xB, 0xFFFFFFFF])
_FRAMES = st.one_of(
    st.builds(lambda n, s: pdu.encode(pdu.MessageResp(Command.SUBMIT_SM_RESP, n, s, "1")), _SEQUENCES, _STATUS),
    st.builds(
        lambda n, s, c: pdu.encode(pdu.Plain(c, n, s)),
        _SEQUENCES,
        _STATUS,
        st.sampled_from([Command.GENERIC_NACK, Command.ENQUIRE_LINK, Command.ENQUIRE_LINK_RESP, Command.UNBIND_RESP]),
    ),
    st.builds(
        lambda n, t, e: pdu.encode(pdu.Message(Command.DELIVER_SM, n, "1", "2", t, esm_class=e)),
        _SEQUENCES,
        st.binary(max_size=50),
        st.integers(0, 255),
    ),
    st.builds(
        lambda n, c, b: pdu.HEADER.pack(16 + len(b), c, 0, n) + b,
        _SEQUENCES,
        st.one_of(st.sampled_from(list(Command)), st.integers(0, 0xFFFFFFFF)),
        st.binary(max_size=50),
    ),
    st.binary(min_size=1, max_size=30),
)


async def _turn() -> None:
    """Lets everything that is ready run once."""
    loop = asyncio.get_running_loop()
    come = loop.create_future()
    loop.call_soon(come.set_result, None)
    await come


async def _submit(session: Session) -> str:
    frame = pdu.encode(pdu.Message(Command.SUBMIT_SM, 0, "1", "2", b"text"))
    try:
        await session.place()
        await session.submit(frame)
    except NoAnswerError:
        return "unknown"
    except SessionClosedError:
        return "not sent"
    return "answered"


@given(st.lists(_FRAMES, max_size=12))
async def test_whatever_the_peer_says(frames: list[bytes]) -> None:
    taken: list[pdu.Message] = []

    async def take(message: pdu.Message) -> int:
        taken.append(message)
        return Status.OK

    ended: list[None] = []
    logger = logging.Logger("unheard")
    logger.addHandler(logging.NullHandler())
    config = SmppLinkConfig(url="smpp://vns:secret@127.0.0.1", window=WINDOW)
    session = Session(config, take, lambda: ended.append(None), Quiet(logger))
    transport = Memory(session)
    session.connection_made(transport)
    binding = asyncio.create_task(session.bind())
    await _turn()
    session.data_received(pdu.encode(pdu.BindResp(Command.BIND_TRANSCEIVER_RESP, 1, 0, "smsc")))
    await binding
    submits = [asyncio.create_task(_submit(session)) for _ in range(SUBMITS)]
    for frame in frames:
        await _turn()
        session.data_received(frame)
        assert session.outstanding <= WINDOW
    await session.leave(0.0)
    outcomes = await asyncio.gather(*submits)
    assert len(outcomes) == SUBMITS
    assert session.over
    assert ended == [None]
    framer = pdu.Framer()
    said = [pdu.decode(frame) for frame in framer.feed(transport.written)]
    assert framer.error is None
    assert sum(unit.command is Command.SUBMIT_SM for unit in said) == SUBMITS - outcomes.count("not sent")
