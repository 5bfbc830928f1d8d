"""The codec: what is written is read again, pieces of any size, and no bytes at all can surprise it."""

from hypothesis import given
from hypothesis import strategies as st

from sms_relay.links.smpp import pdu
from sms_relay.links.smpp.pdu import Command, Status, Tag

_SEQUENCE = st.integers(1, 0x7FFFFFFF)
_BYTE = st.integers(0, 255)


def _text(most: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=most - 1)


_TLVS = st.dictionaries(st.integers(0, 0xFFFF), st.binary(max_size=300), max_size=4)
_STATUS = st.integers(0, 0xFFFFFFFF)
_UNITS = st.one_of(
    st.builds(
        pdu.Message,
        st.sampled_from([Command.SUBMIT_SM, Command.DELIVER_SM]),
        _SEQUENCE,
        _text(21),
        _text(21),
        st.binary(max_size=254),
        _BYTE,
        _BYTE,
        _BYTE,
        _text(6),
        _BYTE,
        _BYTE,
        _BYTE,
        _BYTE,
        _BYTE,
        _BYTE,
        _text(17),
        _text(17),
        _BYTE,
        _BYTE,
        _TLVS,
    ),
    st.builds(
        pdu.MessageResp,
        st.sampled_from([Command.SUBMIT_SM_RESP, Command.DELIVER_SM_RESP]),
        _SEQUENCE,
        _STATUS,
        _text(65),
        _TLVS,
    ),
    st.builds(
        pdu.Bind,
        st.sampled_from([Command.BIND_RECEIVER, Command.BIND_TRANSMITTER, Command.BIND_TRANSCEIVER]),
        _SEQUENCE,
        _text(16),
        _text(9),
        _text(13),
        _BYTE,
        _BYTE,
        _BYTE,
        _text(41),
    ),
    st.builds(
        pdu.BindResp,
        st.sampled_from([Command.BIND_RECEIVER_RESP, Command.BIND_TRANSMITTER_RESP, Command.BIND_TRANSCEIVER_RESP]),
        _SEQUENCE,
        _STATUS,
        _text(16),
        _TLVS,
    ),
    st.builds(
        pdu.Plain,
        st.sampled_from(
            [
                Command.ENQUIRE_LINK,
                Command.ENQUIRE_LINK_RESP,
                Command.UNBIND,
                Command.UNBIND_RESP,
                Command.GENERIC_NACK,
            ]
        ),
        _SEQUENCE,
        _STATUS,
    ),
)


def test_the_bytes_of_a_submit_sm() -> None:
    """Counted by hand from SMPP 3.4 4.4.1."""
    message = pdu.Message(
        Command.SUBMIT_SM, 2, "0212", "010", b"hi", data_coding=14, registered_delivery=1,
        tlvs={Tag.MESSAGE_STATE: b"\x02"},
    )  # fmt: skip
    assert pdu.encode(message).hex(" ") == (
        "00 00 00 2f 00 00 00 04 00 00 00 00 00 00 00 02 "
        "00 00 00 30 32 31 32 00 00 00 30 31 30 00 00 00 00 00 00 01 00 0e 00 02 68 69 "
        "04 27 00 01 02"
    )


@given(_UNITS)
def test_what_is_written_is_read_again(unit: pdu.Pdu) -> None:
    assert pdu.decode(pdu.encode(unit)) == unit


@given(st.lists(_UNITS, max_size=5), st.data())
def test_a_stream_in_pieces_of_any_size(units: list[pdu.Pdu], data: st.DataObject) -> None:
    stream = b"".join(pdu.encode(unit) for unit in units)
    framer = pdu.Framer()
    frames: list[bytes] = []
    at = 0
    while at < len(stream):
        size = data.draw(st.integers(1, len(stream) - at))
        frames += framer.feed(stream[at : at + size])
        at += size
    assert [pdu.decode(frame) for frame in frames] == units
    assert framer.error is None


@given(st.binary(max_size=400), st.sampled_from(list(Command)), _SEQUENCE)
def test_any_body_is_read_or_refused_with_its_sequence_number(body: bytes, command: Command, sequence: int) -> None:
    frame = pdu.HEADER.pack(16 + len(body), command, 0, sequence) + body
    try:
        unit = pdu.decode(frame)
    except pdu.PduError as error:
        assert (error.sequence, error.command) == (sequence, command)
        assert error.status != Status.OK
    else:
        assert (unit.sequence, unit.command) == (sequence, command)


@given(st.data())
def test_a_damaged_pdu_is_read_or_refused(data: st.DataObject) -> None:
    frame = bytearray(pdu.encode(data.draw(_UNITS)))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(_BYTE)
    try:
        pdu.decode(bytes(frame))
    except pdu.PduError as error:
        assert error.status != Status.OK


@given(st.lists(st.binary(max_size=100), max_size=20))
def test_any_stream_is_cut_or_declared_broken(pieces: list[bytes]) -> None:
    framer = pdu.Framer()
    frames = [frame for piece in pieces for frame in framer.feed(piece)]
    for frame in frames:
        assert int.from_bytes(frame[:4], "big") == len(frame)
    if framer.error is not None:
        assert framer.feed(pdu.encode(pdu.Plain(Command.ENQUIRE_LINK, 1))) == []


def test_what_no_field_takes_is_refused_when_written() -> None:
    refused = 0
    for message in (
        pdu.Message(Command.SUBMIT_SM, 1, "1" * 21, "2", b""),
        pdu.Message(Command.SUBMIT_SM, 1, "1", "2\0", b""),
        pdu.Message(Command.SUBMIT_SM, 1, "가", "2", b""),
        pdu.Message(Command.SUBMIT_SM, 1, "1", "2", b"x" * 255),
        pdu.Message(Command.SUBMIT_SM, 1, "1", "2", b"", tlvs={5: b"x" * 65_536}),
    ):
        try:
            pdu.encode(message)
        except pdu.Unencodable:
            refused += 1
    assert refused == 5


@given(_UNITS, _SEQUENCE)
def test_a_sequence_number_is_filled_in_later(unit: pdu.Pdu, sequence: int) -> None:
    assert pdu.decode(pdu.with_sequence(pdu.encode(unit), sequence)).sequence == sequence


def test_neither_password_nor_numbers_show() -> None:
    bind = pdu.Bind(Command.BIND_TRANSCEIVER, 1, "vns", "geheim")
    message = pdu.Message(Command.SUBMIT_SM, 1, "01012345678", "01087654321", b"text")
    assert "geheim" not in repr(bind)
    assert "010" not in repr(message)
