"""sipp scenarios for one phone, as XML."""

from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

FINALS = (400, 401, 403, 404, 408, 410, 480, 484, 486, 487, 488, 500, 502, 503, 504, 600, 603)
_SDP = """v=0
o=- 1 1 IN IP4 {address}
s=-
c=IN IP4 {address}
t=0 0
m=audio {port} RTP/AVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
"""
_VIA = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]"
_INVITE_VIA = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bK-[pid]-invite-[call_number]"
_ACK_KEEPING_PARTIES = """<recv request="ACK" rrs="true"><action>
<ereg regexp=".*" search_in="hdr" header="From:" assign_to="1"/>
<ereg regexp=".*" search_in="hdr" header="To:" assign_to="2"/>
</action></recv>"""
_ANSWER_HEADERS = "[last_Via:]\n[last_From:]\n[last_To:];tag=[pid]phone[call_number]\n[last_Call-ID:]\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a phone says it is. The parts are header values; None leaves a header out."""

    from_header: str
    asserted: str | None = None
    privacy: str | None = None
    contact: str = "phone"  # user part of the Contact
    extra: tuple[str, ...] = ()  # further whole header lines
    asserted_later: str | None = None  # in a re-INVITE as soon as the call is answered; None: there is none

    @classmethod
    def plain(cls, number: str, *, privacy: str | None = None) -> "Identity":
        """As a carrier hands a subscriber over: the number in From, Contact and asserted."""
        uri = f"<sip:{number}@carrier.example>"
        return cls(from_header=uri, asserted=uri, privacy=privacy, contact=number)

    @classmethod
    def withheld(cls) -> "Identity":
        return cls(from_header='"Anonymous" <sip:anonymous@anonymous.invalid>', privacy="id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What a called phone does: `status` 200 answers, another one turns the call away, None lets it ring for ever.

    `ring_seconds` before that. `hang_up_after`: seconds from the answer; None: the other side hangs up.
    """

    status: int | None = 200
    ring_seconds: float = 0.1
    hang_up_after: float | None = None
    reinvites: bool = False  # sends a re-INVITE and an UPDATE, with `extra` headers, as soon as it has answered
    contact: str = "phone"  # user part of the Contact
    extra: tuple[str, ...] = ()  # further whole header lines in every response to the INVITE


def caller_scenario(
    identity: Identity, dialled: str, *, address: str, port: int, talk_seconds: float, give_up_after: float | None
) -> str:
    """Calls once, talks, hangs up; or takes what comes. `port`: where its voice is heard."""
    lines = [
        f"INVITE sip:{dialled}@[remote_ip]:[remote_port] SIP/2.0",
        _INVITE_VIA,
        f"From: {identity.from_header};tag=[pid]caller[call_number]",
        f"To: <sip:{dialled}@[remote_ip]:[remote_port]>",
        "Call-ID: [call_id]",
        "CSeq: 1 INVITE",
        _contact(identity.contact),
        "Max-Forwards: 70",
        *([f"P-Asserted-Identity: {identity.asserted}"] if identity.asserted else []),
        *([f"Privacy: {identity.privacy}"] if identity.privacy else []),
        *identity.extra,
        "Content-Type: application/sdp",
        "Content-Length: [len]",
    ]
    invite = "\n".join(lines) + "\n\n" + _SDP.format(address=address, port=port)
    last = 2 if identity.asserted_later is None else 3  # CSeq of the end
    patience = f' timeout="{_ms(give_up_after)}" ontimeout="3"' if give_up_after is not None else ""
    steps = [
        _send(invite, retrans=True),
        *(f'<recv response="{code}" optional="true"{patience}/>' for code in (100, 180, 181, 182, 183)),
        *(f'<recv response="{code}" optional="true" next="2"{patience}/>' for code in FINALS),
        f'<recv response="200" rrs="true"{patience}/>',
        _send(_in_dialog(identity, dialled, "ACK", 1)),
        *(_asserts_another(identity, dialled, _SDP.format(address=address, port=port)) if last > 2 else []),
        f'<recv request="BYE" timeout="{_ms(talk_seconds)}" ontimeout="1"/>',
        _send(
            "SIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\nContent-Length: 0\n"
        ),
        _jump(9),
        '<label id="1"/>',
        _send(_in_dialog(identity, dialled, "BYE", last), retrans=True),
        '<recv response="200"/>',
        _jump(9),
        '<label id="2"/>',
        _send(_of_transaction(identity, dialled, "ACK")),
        _jump(9),
        '<label id="3"/>',
        _send(_of_transaction(identity, dialled, "CANCEL"), retrans=True),
        '<recv response="200"/>',
        '<recv response="487"/>',
        _send(_of_transaction(identity, dialled, "ACK")),
        '<label id="9"/>',
    ]
    return _scenario("caller", steps)


def callee_scenario(behaviour: Behaviour, *, address: str, port: int) -> str:
    """Waits for calls to any number. `port`: where its voice is heard."""
    return team_scenario({}, behaviour, address=address, port=port)


def team_scenario(behaviours: Mapping[str, Behaviour], otherwise: Behaviour, *, address: str, port: int) -> str:
    """Waits for calls, any number of them at a time; what happens depends on the number called."""
    choices = "".join(
        f'<ereg regexp="sip:{number}@" search_in="msg" check_it="false" assign_to="{10 + place}"/>'
        for place, number in enumerate(behaviours)
    )
    variables = ",".join(str(10 + place) for place in range(len(behaviours)))
    steps = [
        f'<recv request="INVITE" rrs="true"><action>{choices}</action></recv>'
        if choices
        else '<recv request="INVITE" rrs="true"/>',
        *(f'<nop test="{10 + place}" next="{100 * (place + 1)}"/>' for place in range(len(behaviours))),
        *_taking(otherwise, address, port, 0),
    ]
    for place, behaviour in enumerate(behaviours.values(), start=1):
        steps += [f'<label id="{100 * place}"/>', *_taking(behaviour, address, port, 100 * place)]
    if variables:
        steps.append(f'<Reference variables="{variables}"/>')
    return _scenario("callee", [*steps, '<label id="9"/>'])


def _taking(behaviour: Behaviour, address: str, port: int, base: int) -> list[str]:
    """From the ringing on. Labels are counted from `base`."""
    ringing = f' timeout="{_ms(behaviour.ring_seconds)}" ontimeout="{base + 1}"' if behaviour.status is not None else ""
    ring = f"SIP/2.0 180 Ringing\n{_ANSWER_HEADERS}[last_CSeq:]\n{_contact(behaviour.contact)}\n"
    return [
        _send(f"{ring}{_lines(behaviour.extra)}Content-Length: 0\n"),
        f'<recv request="CANCEL"{ringing}/>',
        _send(
            "SIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\nContent-Length: 0\n"
        ),
        _send(
            f"SIP/2.0 487 Request Terminated\n{_ANSWER_HEADERS}CSeq: [last_cseq_number] INVITE\nContent-Length: 0\n",
            retrans=True,
        ),
        '<recv request="ACK"/>',
        _jump(9),
        f'<label id="{base + 1}"/>',
        *_final(behaviour, address, port, base),
        _jump(9),
    ]


def _final(behaviour: Behaviour, address: str, port: int, base: int) -> list[str]:
    extra = _lines(behaviour.extra)
    if behaviour.status is None:
        return []
    if behaviour.status != 200:
        head = f"SIP/2.0 {behaviour.status} Turned away\n{_ANSWER_HEADERS}[last_CSeq:]\n{extra}Content-Length: 0\n"
        return [_send(head, retrans=True), '<recv request="ACK"/>']
    body = _SDP.format(address=address, port=port)
    head = f"SIP/2.0 200 OK\n{_ANSWER_HEADERS}[last_CSeq:]\n{_contact(behaviour.contact)}\n{extra}"
    after = behaviour.hang_up_after
    limit = f' timeout="{_ms(after)}" ontimeout="{base + 2}"' if after is not None else ""
    speaks_up = after is not None or behaviour.reinvites
    steps = [
        _send(f"{head}Content-Type: application/sdp\nContent-Length: [len]\n\n{body}", retrans=True),
        _ACK_KEEPING_PARTIES if speaks_up else '<recv request="ACK" rrs="true"/>',
        *(_changes(behaviour, body) if behaviour.reinvites else []),
        f'<recv request="BYE"{limit}/>',
        _send(
            "SIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\nContent-Length: 0\n"
        ),
        _jump(9),
    ]
    if after is None:
        return steps
    end = [f'<label id="{base + 2}"/>', _send(_from_callee("BYE", 4) + "Content-Length: 0\n", retrans=True)]
    return [*steps, *end, '<recv response="200"/>']


def _changes(behaviour: Behaviour, body: str) -> list[str]:
    """What carriers send in the middle of a call, with all that they say about the called party."""
    told = f"{_contact(behaviour.contact)}\n{_lines(behaviour.extra)}"
    offer = f"{told}Content-Type: application/sdp\nContent-Length: [len]\n\n{body}"
    return [
        _send(_from_callee("INVITE", 1) + offer, retrans=True),
        '<recv response="100" optional="true"/>',
        '<recv response="200" rrs="true"/>',
        _send(_from_callee("ACK", 1) + "Content-Length: 0\n"),
        _send(_from_callee("UPDATE", 2) + f"{told}Content-Length: 0\n", retrans=True),
        '<recv response="200"/>',
    ]


def _from_callee(method: str, number: int) -> str:
    """The head of a request inside the dialog that the called phone sends; the variables hold the ACK's parties."""
    parties = "From:[$2]\nTo:[$1]\nCall-ID: [call_id]\n"
    return f"{method} [next_url] SIP/2.0\n{_VIA}\n{parties}CSeq: {number} {method}\nMax-Forwards: 70\n"


def _asserts_another(identity: Identity, dialled: str, body: str) -> list[str]:
    told = f"{_contact(identity.contact)}\nP-Asserted-Identity: {identity.asserted_later}\n"
    offer = f"{told}Content-Type: application/sdp\nContent-Length: [len]\n\n{body}"
    return [
        _send(_head_in_dialog(identity, dialled, "INVITE", 2) + offer, retrans=True),
        '<recv response="100" optional="true"/>',
        '<recv response="200" rrs="true"/>',
        _send(_in_dialog(identity, dialled, "ACK", 2)),
    ]


def _in_dialog(identity: Identity, dialled: str, method: str, number: int) -> str:
    return _head_in_dialog(identity, dialled, method, number) + "Content-Length: 0\n"


def _head_in_dialog(identity: Identity, dialled: str, method: str, number: int) -> str:
    return (
        f"{method} [next_url] SIP/2.0\n{_VIA}\n"
        f"From: {identity.from_header};tag=[pid]caller[call_number]\n"
        f"To: <sip:{dialled}@[remote_ip]:[remote_port]>[peer_tag_param]\n"
        f"Call-ID: [call_id]\nCSeq: {number} {method}\nMax-Forwards: 70\n"
    )


def _of_transaction(identity: Identity, dialled: str, method: str) -> str:
    """ACK of a refusal, and CANCEL: they carry the branch of the INVITE."""
    tag = "[peer_tag_param]" if method == "ACK" else ""
    return (
        f"{method} sip:{dialled}@[remote_ip]:[remote_port] SIP/2.0\n"
        f"{_INVITE_VIA}\n"
        f"From: {identity.from_header};tag=[pid]caller[call_number]\n"
        f"To: <sip:{dialled}@[remote_ip]:[remote_port]>{tag}\n"
        f"Call-ID: [call_id]\nCSeq: 1 {method}\nMax-Forwards: 70\nContent-Length: 0\n"
    )


def _send(message: str, *, retrans: bool = False) -> str:
    attribute = ' retrans="500"' if retrans else ""
    return f"<send{attribute}><![CDATA[\n\n{message}\n]]></send>"


def _contact(user: str) -> str:
    return f"Contact: <sip:{user}@[local_ip]:[local_port];transport=[transport]>"


def _lines(headers: tuple[str, ...]) -> str:
    return "".join(f"{line}\n" for line in headers)


def _jump(label: int) -> str:
    return f'<nop next="{label}"/>'


def _scenario(name: str, steps: list[str]) -> str:
    body = "\n".join(steps)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE scenario SYSTEM "sipp.dtd">\n'
        f'<scenario name="{escape(name)}">\n{body}\n</scenario>\n'
    )


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
