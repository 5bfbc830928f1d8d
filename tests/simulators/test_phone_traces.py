"""sipp's message trace, read while it is being written."""

from simulators.phones.carrier import own_messages
from simulators.phones.traces import Message, read_trace

INVITE = (
    "INVITE sip:050412345678@127.0.0.1:5060 SIP/2.0\r\nCSeq: 1 INVITE\r\nFrom: <sip:a@b>;tag=1\r\n"
    "Content-Type: application/sdp\r\n\r\nv=0\r\nc=IN IP4 127.0.0.2\r\nm=audio 4000 RTP/AVP 8\r\n"
)
RINGING = "SIP/2.0 180 Ringing\r\nCSeq: 1 INVITE\r\n\r\n"


def entry(direction: str, text: str) -> bytes:
    rule = "-" * 47
    size = f"({len(text)} bytes)" if direction == "sent" else f"[{len(text)}] bytes "
    return f"{rule} 2026-03-01 12:00:00.000001\nUDP message {direction} {size}:\n\n{text}\n".encode()


def test_messages_with_their_directions() -> None:
    sent, received = read_trace(entry("sent", INVITE) + entry("received", RINGING))
    assert (sent.received, sent.method, sent.status) == (False, "INVITE", None)
    assert sent.uri == "sip:050412345678@127.0.0.1:5060"
    assert sent.header("from") == "<sip:a@b>;tag=1"
    assert sent.media == ("127.0.0.2", 4000)
    assert (received.received, received.method, received.status) == (True, "INVITE", 180)
    assert (received.uri, received.media, received.header("Contact")) == ("", None, "")


def test_every_beginning_of_a_trace_can_be_read() -> None:
    """The file is looked at while sipp writes it."""
    whole = entry("sent", INVITE) + entry("received", RINGING)
    counts = [len(read_trace(whole[:length])) for length in range(len(whole) + 1)]
    assert counts[0] == 0
    assert counts[-1] == 2
    assert counts == sorted(counts)


def test_a_message_cut_short_has_no_media() -> None:
    assert Message(True, INVITE.partition("m=")[0]).media is None
    assert Message(True, "INVITE").method == ""


def test_the_end_of_a_call_that_a_phone_never_heard_of_is_not_its_own() -> None:
    def message(line: str, call: str, sequence: str) -> Message:
        return Message(True, f"{line}\r\nCall-ID: {call}\r\nCSeq: {sequence}\r\n")

    own = (message("INVITE sip:1@h SIP/2.0", "a", "1 INVITE"), message("BYE sip:1@h SIP/2.0", "a", "2 BYE"))
    others = (message("BYE sip:1@h SIP/2.0", "b", "2 BYE"), message("OPTIONS sip:1@h SIP/2.0", "c", "1 OPTIONS"))
    assert own_messages((*own, *others)) == (*own, others[1])
