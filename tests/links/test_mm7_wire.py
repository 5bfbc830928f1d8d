"""What MM7 looks like on the wire, read by two parsers that are not the writer's: the standard library's for MIME, and
the one of the MMSC simulator, which takes the standard at its word.
"""

import contextlib
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import cast
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from simulators.mmsc.submits import Refused, Submit, read_submit
from sms_relay.links.interface import Media, Outgoing, ReceiptState
from sms_relay.links.mm7.config import Mm7LinkConfig
from sms_relay.links.mm7.mime import root
from sms_relay.links.mm7.reports import canonical_id, read_report
from sms_relay.links.mm7.soap import BadMessage, read
from sms_relay.links.mm7.submit import Answer, BadNumber, Request, compose, read_answer
from tests.links.mmsc import JPG, message, report_req, rs_error, soap, submit_rsp

CONFIG = Mm7LinkConfig(url="http://vns:secret@127.0.0.1/mm7", vasp_id="VASP", vas_id="안심", service_code="S1")
AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PICTURE = Media(content_type="image/jpeg", data=JPG)
TEXT = Media(content_type="text/plain", data="둘째 글".encode())
SOUND = Media(content_type="application/vnd.smaf", data=b"MMMD\0\0\0\0")


def composed(outgoing: Outgoing) -> Request:
    return compose(CONFIG, outgoing, AT)


def strictly(request: Request) -> Submit:
    return read_submit({"content-type": request.content_type, "soapaction": '""'}, request.body)


def by_the_library(request: Request) -> EmailMessage:
    head = f"MIME-Version: 1.0\r\nContent-Type: {request.content_type}\r\n\r\n".encode()
    return BytesParser(policy=policy.HTTP).parsebytes(head + request.body)


def test_the_elements_of_a_submit() -> None:
    submit = strictly(composed(message("본문", PICTURE, TEXT, SOUND)))
    assert (submit.vasp_id, submit.source, submit.destination, submit.subject, submit.report_wanted) == (
        "VASP",
        "0215771234",
        "01012345678",
        "제목",
        True,
    )
    assert [(one.name, one.content_type, one.data) for one in submit.files] == [
        ("1.txt", "text/plain", "본문".encode()),
        ("2.jpg", "image/jpeg", JPG),
        ("3.txt", "text/plain", "둘째 글".encode()),
        ("4.mmf", "application/vnd.smaf", SOUND.data),
    ]
    assert submit.text == "본문\n둘째 글"


def test_the_parts_as_the_standard_library_reads_them() -> None:
    whole = by_the_library(composed(message("본문 😀", PICTURE)))
    soap_part, content = (cast("EmailMessage", part) for part in whole.iter_parts())
    assert (whole.get_content_type(), whole.get_param("type"), whole.get_param("start")) == (
        "multipart/related",
        "text/xml",
        soap_part["Content-ID"],
    )
    start, text, picture = (cast("EmailMessage", part) for part in content.iter_parts())
    assert content.get_param("start") == start["Content-ID"]
    assert (text.get_content(), picture.get_payload(decode=True)) == ("본문 😀", JPG)
    for part in (whole, soap_part, content, start, text, picture):
        assert part.defects == []
    slides: Element = fromstring(cast("bytes", start.get_payload(decode=True)))
    assert [one.get("src") for one in slides.iter() if one.get("src")] == ["cid:2.jpg", "cid:1.txt"]


@given(data=st.binary(max_size=300), subject=st.text(max_size=40), text=st.text(max_size=80))
def test_every_byte_and_every_character_arrives(data: bytes, subject: str, text: str) -> None:
    """Surrogates cannot be written at all and never come from a database; the rest XML either holds or leaves out."""
    text, subject = (one.encode("utf-8", "ignore").decode() for one in (text, subject))
    request = composed(message(text, Media(content_type="image/jpeg", data=b"\xff\xd8\xff" + data), subject=subject))
    submit = strictly(request)
    assert submit.files[-1].data == b"\xff\xd8\xff" + data
    assert submit.text == text
    whole = "".join(one for one in subject if one in "\t\n\r" or (one >= " " and one not in "\ufffe\uffff"))
    assert submit.subject == whole.replace("\r\n", "\n").replace("\r", "\n")  # as XML reads line ends
    parts = list(cast("EmailMessage", list(by_the_library(request).iter_parts())[1]).iter_parts())
    assert cast("EmailMessage", parts[-1]).get_payload(decode=True) == b"\xff\xd8\xff" + data


@pytest.mark.parametrize("number", ["", "010-1234-5678", "+821012345678", "01012345678<"])
def test_a_number_that_is_none_is_not_written(number: str) -> None:
    with pytest.raises(BadNumber):
        composed(message(to=number))


DAMAGE = [
    (b"env:mustUnderstand", b"env:mustForget", 2007),
    (b"<Recipients>", b"<Recipients><To><Number>01011112222</Number></To>", 4004),
    (b"<MM7Version>6.8.0</MM7Version>", b"", 4004),
    (b"<ReadReply>", b"<Priority>Normal</Priority><ReadReply>", 4004),
    (b"cid:content", b"cid:other", 4004),
    (b"cid:1.txt", b"cid:9.txt", 2004),
    (b'charset="utf-8"\r\nContent-ID: <1', b'charset="ascii"\r\nContent-ID: <1', 2004),
    (b"image/jpeg", b"image/gif", 2004),
    (b"\r\n--", b"\n--", 2007),
    (b"<env:Envelope", b'<!DOCTYPE a [<!ENTITY b "c">]><env:Envelope', 2007),
]


@pytest.mark.parametrize(("there", "instead", "status"), DAMAGE, ids=lambda value: str(value)[:30])
def test_the_strict_reader_is_strict(there: bytes, instead: bytes, status: int) -> None:
    request = composed(message())
    assert there in request.body
    with pytest.raises(Refused) as refused:
        strictly(Request(content_type=request.content_type, body=request.body.replace(there, instead)))
    assert refused.value.status == status


def test_answers() -> None:
    assert read_answer("text/xml", submit_rsp(" 17 ").encode()) == Answer(status=1000, message_id="17")
    assert read_answer("text/xml", submit_rsp("17", 1100).encode()).accepted
    refused = read_answer("text/xml; charset=utf-8", rs_error(2003).encode())
    assert (refused.status, refused.accepted) == (2003, False)


def test_an_answer_in_a_multipart_and_in_another_release() -> None:
    body = submit_rsp("17").replace("REL-6-MM7-1-4", "REL-5-MM7-1-2")
    first = "--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n"
    wrapped = f"{first}--b\r\nContent-ID: <x>\r\nContent-Type: text/xml\r\n\r\n{body}\r\n--b--\r\n"
    answer = read_answer('multipart/related; boundary=b; start="<x>"', wrapped.encode())
    assert answer == Answer(status=1000, message_id="17")
    assert read_answer('multipart/related; type="text/xml"', body.encode()).status == 1000  # no boundary, no parts


LAUGHS = '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>' + soap("<SubmitRsp>&b;</SubmitRsp>")
OUTSIDE = '<!DOCTYPE l SYSTEM "file:///etc/passwd">' + submit_rsp()
NO_ANSWERS = [
    b"",
    b"<html>Welcome</html>",
    LAUGHS.encode(),
    OUTSIDE.encode(),
    submit_rsp().encode()[:-20],
    soap("").encode(),
    soap("<SubmitRsp/>").encode(),
    submit_rsp(status=-1).encode(),
    rs_error(1000).encode(),
    report_req().encode(),
    b'<?xml version="1.0" encoding="no-such"?><a/>',
]


@pytest.mark.parametrize("body", NO_ANSWERS, ids=lambda value: str(value)[:40])
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(BadMessage):
        read_answer("text/xml", body)


@given(content_type=st.text(st.characters(max_codepoint=255), max_size=60), body=st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_none(content_type: str, body: bytes) -> None:
    for head in (content_type, "multipart/related; boundary=b"):
        with contextlib.suppress(BadMessage):
            read_answer(head, b"--b\r\n" + body + b"\r\n--b--\r\n")


def test_a_multipart_in_a_multipart_without_end_is_no_message() -> None:
    body = b"".join(
        b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (at, at + 1) for at in range(5000)
    )
    with pytest.raises(BadMessage):
        read(root("multipart/related; boundary=b0", body))


STATES = [
    ("Retrieved", ReceiptState.DELIVERED),
    ("retrieved", ReceiptState.DELIVERED),
    ("Forwarded", ReceiptState.DELIVERED),
    ("Expired", ReceiptState.EXPIRED),
    ("Rejected", ReceiptState.REFUSED),
    ("Unrecognised", ReceiptState.UNRECOGNISED),
    ("Deferred", ReceiptState.ENROUTE),
    ("Indeterminate", ReceiptState.UNKNOWN),
    ("System_error", ReceiptState.UNKNOWN),
    ("", ReceiptState.UNKNOWN),
]


@pytest.mark.parametrize(("word", "state"), STATES)
def test_states_of_reports(word: str, state: ReceiptState) -> None:
    report = read_report(read(report_req(status=word).encode()))
    assert (report.message_id, report.state, report.done_at) == ("m-1", state, AT)


@pytest.mark.parametrize(
    ("date", "moment"), [("2026-03-02T18:00:00+09:00", AT), ("2026-03-02T09:00:00.000Z", AT), ("yesterday", None)]
)
def test_dates_of_reports(date: str, moment: datetime | None) -> None:
    assert read_report(read(report_req(date=date).encode())).done_at == moment


def test_a_report_that_names_no_message() -> None:
    with pytest.raises(BadMessage):
        read_report(read(report_req("").encode()))


@pytest.mark.parametrize("long", ["x" * 200, "번호-7", "\xe9"])
def test_an_id_that_tables_do_not_hold_is_the_same_wherever_it_is_read(long: str) -> None:
    assert len(canonical_id(long)) <= 80
    assert canonical_id(long).isascii()
    answered = read_answer("text/xml", submit_rsp(long).encode()).message_id
    assert answered == read_report(read(report_req(f" {long}\n").encode())).message_id
    assert canonical_id("x" * 80) == "x" * 80
