"""Where MMSCs deliver their reports: who may, what is taken, and that success is said only after it is stored."""

import asyncio
import base64
import socket
from collections.abc import Sequence

import pytest

from sms_relay.links.interface import Incoming, Receipt, ReceiptState, TryLater
from sms_relay.links.mm7.config import NAMESPACE, Mm7LinkConfig
from sms_relay.links.mm7.link import Mm7Link
from sms_relay.links.mm7.listener import Mm7Listener
from sms_relay.links.mm7.soap import read
from tests.links.mmsc import ACCOUNT, JPG, PATIENCE, Receipts, listening, post, report_req, soap, submit_rsp
from tests.waiting import until


def a_link(name: str = "mm7", **settings: object) -> Mm7Link:
    return Mm7Link(Mm7LinkConfig(url="http://vns:secret@127.0.0.1/", name=name, **settings))


async def test_a_report_is_taken_and_answered() -> None:
    link, receipts = a_link(), Receipts()
    link.on_receipt = receipts
    async with listening(link) as url:
        answer = await post(url, report_req("m-1", "Expired"))
    said = read(answer.content)
    assert (answer.status_code, said.kind, said.transaction_id, said.text("StatusCode")) == (
        200,
        "DeliveryReportRsp",
        "t-1",
        "1000",
    )
    (receipt,) = receipts.taken
    assert (receipt.message_id, receipt.state, receipt.link) == ("m-1", ReceiptState.EXPIRED, "mm7")


async def test_success_is_said_only_after_it_is_stored() -> None:
    stored = asyncio.Event()
    begun = asyncio.Event()

    async def store(_: Receipt) -> None:
        begun.set()
        await stored.wait()

    link = a_link()
    link.on_receipt = store
    async with listening(link) as url:
        reporting = asyncio.create_task(post(url, report_req()))
        async with asyncio.timeout(PATIENCE):
            await begun.wait()
        assert not reporting.done()
        stored.set()
        assert (await reporting).status_code == 200


async def later(_: Receipt) -> None:
    raise TryLater("the database is away")


async def broken(_: Receipt) -> None:
    raise RuntimeError


async def never(_: Receipt) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("handler", [later, broken, never, None])
async def test_what_is_not_stored_stays_with_the_mmsc(handler: object) -> None:
    link = a_link(handler_timeout=0.05)
    link.on_receipt = handler  # type: ignore[assignment]
    async with listening(link) as url:
        answer = await post(url, report_req())
    said = read(answer.content)
    assert (answer.status_code, said.kind, said.text("StatusCode")) == (500, "Fault", "4006")


ACCOUNTS = ["", "Basic", "Basic ***", "Bearer dm5zOnNlY3JldA==", "Basic " + base64.b64encode(b"vns:wrong").decode()]


@pytest.mark.parametrize("account", ACCOUNTS)
async def test_nobody_else_may_report(account: str) -> None:
    link, receipts = a_link(), Receipts()
    link.on_receipt = receipts
    async with listening(link) as url:
        assert (await post(url, report_req(), account)).status_code == 401
        assert (await post(url.replace("/mm7/mm7", "/mm7/other"), report_req())).status_code == 404
    assert receipts.taken == []


async def test_each_link_has_a_path_and_an_account_of_its_own() -> None:
    first, second, receipts = a_link("skt"), a_link("ktf"), Receipts()
    second.on_receipt = receipts
    async with listening(first, second) as url:
        assert (await post(url.replace("/skt", "/ktf"), report_req())).status_code == 200
    assert [one.link for one in receipts.taken] == ["ktf"]


NO_REPORTS = [
    ("<no xml", "2007"),
    ('<!DOCTYPE a SYSTEM "file:///etc/passwd">' + report_req(), "2007"),
    (report_req(""), "2007"),
    (submit_rsp(), "4003"),
    (soap("<DeliverReq/>"), "4003"),
]


@pytest.mark.parametrize(("body", "status"), NO_REPORTS, ids=lambda value: str(value)[:30])
async def test_what_is_no_report_is_refused_with_a_fault(body: str, status: str) -> None:
    async with listening(a_link()) as url:
        answer = await post(url, body)
    assert (answer.status_code, read(answer.content).text("StatusCode")) == (500, status)


async def test_a_report_without_end_is_not_read_to_it() -> None:
    async with listening(a_link()) as url:
        assert (await post(url, b" " * 100_000)).status_code == 413


async def test_a_report_in_a_multipart() -> None:
    link, receipts = a_link(), Receipts()
    link.on_receipt = receipts
    body = f"--b\r\nContent-Type: text/xml\r\nContent-ID: <s>\r\n\r\n{report_req('m-9')}\r\n--b--\r\n"
    async with listening(link) as url:
        answer = await post(url, body.encode(), ACCOUNT, 'multipart/related; boundary="b"; start="<s>"')
    assert (answer.status_code, [one.message_id for one in receipts.taken]) == (200, ["m-9"])


async def test_a_port_that_somebody_holds_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def told() -> bool:
        return "reports of MMSCs cannot be taken" in caplog.text

    monkeypatch.setattr("sms_relay.links.mm7.listener.RETRY_SECONDS", 0.01)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        listener = Mm7Listener([a_link()], "127.0.0.1", holder.getsockname()[1])
        task = asyncio.create_task(listener.run())
        await until(told)
        assert not listener.listening.is_set()
    async with asyncio.timeout(PATIENCE):
        await listener.listening.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class Inbox:
    """A handler that keeps what it is given."""

    def __init__(self) -> None:
        self.taken: list[Incoming] = []

    async def __call__(self, incoming: Incoming) -> None:
        self.taken.append(incoming)


def deliver_req(
    sender: str = "01012345678", recipients: str = "<To><Number>07080000001</Number></To>", more: str = ""
) -> str:
    return soap(
        f'<DeliverReq xmlns="{NAMESPACE}"><MM7Version>6.8.0</MM7Version><Sender><Number>{sender}</Number></Sender>'
        f'<Recipients>{recipients}</Recipients>{more}<Content href="cid:c"/></DeliverReq>'
    )


Part = tuple[str, bytes]
TEXT: Part = ("text/plain; charset=utf-8", "문 앞에\r\n두었습니다".encode())


def multipart(parts: Sequence[Part], boundary: str, head: str = "") -> bytes:
    body = b"".join(
        f"--{boundary}\r\nContent-Type: {kind}\r\nContent-Location: 01012345678.jpg\r\n\r\n".encode() + data + b"\r\n"
        for kind, data in parts
    )
    return head.encode() + body + f"--{boundary}--\r\n".encode()


def message_of(envelope: str, *parts: Part) -> tuple[bytes, str]:
    """Body and Content-Type: the envelope and one multipart with the parts."""
    inner = ("multipart/mixed; boundary=in", multipart(parts, "in"))
    return multipart([("text/xml", envelope.encode()), inner], "out"), "multipart/related; boundary=out; type=text/xml"


async def deliver(link: Mm7Link, body: bytes, content_type: str) -> tuple[int, str, str]:
    """Status, kind and StatusCode of the answer."""
    async with listening(link) as url:
        answer = await post(url, body, ACCOUNT, content_type)
    said = read(answer.content)
    return answer.status_code, said.kind, said.text("StatusCode")


async def test_a_message_from_a_handset_is_taken_byte_for_byte_and_answered() -> None:
    link, inbox = a_link(), Inbox()
    link.on_incoming = inbox
    smil = ("application/smil", b"<smil><meta content='01012345678'/></smil>")
    envelope = deliver_req("01012345678/TYPE=PLMN", more="<LinkedID>l-1</LinkedID><Subject>제목</Subject>")
    body = message_of(envelope, smil, TEXT, ("image/jpeg; name=a.jpg", JPG))
    assert await deliver(link, *body) == (200, "DeliverRsp", "1000")
    (one,) = inbox.taken
    assert (one.source, one.destination, one.text) == ("01012345678", "07080000001", "문 앞에\r\n두었습니다")
    assert (one.subject, one.delivery, one.link) == ("제목", "l-1", "mm7")
    assert [(file.content_type, file.data) for file in one.media] == [("image/jpeg", JPG)]


async def test_one_offered_again_has_the_same_name_and_digest_and_another_session() -> None:
    link, inbox = a_link(), Inbox()
    link.on_incoming = inbox
    same, other = message_of(deliver_req(), TEXT), message_of(deliver_req(), ("text/plain", b"other"))
    for body in (same, same, other):
        assert (await deliver(link, *body))[0] == 200
    first, again, third = inbox.taken
    assert (first.delivery, first.raw) == (again.delivery, again.raw) == ("t-1", first.raw)
    assert third.raw != first.raw
    assert len({one.session_id for one in inbox.taken}) == 3


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (("text/plain; charset=euc-kr", "똠방각하".encode("cp949")), "똠방각하"),
        (("text/plain", "똠방각하".encode("cp949")), "똠방각하"),
        (("text/plain; charset=us-ascii", "가".encode()), "가"),
        (("text/plain; charset=utf-16", "가😀".encode("utf-16")), "가😀"),
        (("text/plain; charset=utf-8", b"\xff\xfe\xfd"), None),
        (("text/plain; charset=unheard-of", b"a"), None),
        (("text/plain; charset=hex", b"61"), None),
        (("text/plain; charset=unicode_escape", b"\\ud800"), None),
        (("text/plain; charset=raw_unicode_escape", b"\\uac00"), None),
        (("text/plain; charset=utf-7", b"+2AA-"), None),
        (("text/plain; charset=utf-7", b"+rAA-"), "가"),
        (("text/plain; charset=idna", b"xn--a"), None),
        (("text/plain; charset=undefined", b"a"), None),
        (("text/plain; charset=punycode", b"a-b999999999"), None),
        (("text/plain; charset=\xff", b"a"), None),
    ],
)
async def test_texts_are_read_in_the_character_set_they_are_in(part: Part, text: str | None) -> None:
    link, inbox = a_link(), Inbox()
    link.on_incoming = inbox
    await deliver(link, *message_of(deliver_req(), part))
    assert [one.text for one in inbox.taken] == [text]


@pytest.mark.parametrize(
    "body",
    [
        message_of(deliver_req(sender=""), TEXT),
        message_of(deliver_req(recipients=""), TEXT),
        message_of(deliver_req(recipients="<To><Number>1</Number><Number>2</Number></To>"), TEXT),
        message_of(deliver_req().replace(">t-1<", "><"), TEXT),
        message_of(deliver_req(), *[TEXT] * 31),
        message_of('<!DOCTYPE a SYSTEM "file:///etc/passwd">' + deliver_req(), TEXT),
    ],
    ids=["no sender", "no recipient", "two recipients", "no name", "too many parts", "a DTD"],
)
async def test_what_is_no_message_is_refused_with_a_fault(body: tuple[bytes, str]) -> None:
    link, inbox = a_link(), Inbox()
    link.on_incoming = inbox
    assert await deliver(link, *body) == (500, "Fault", "2007")
    assert inbox.taken == []


@pytest.mark.parametrize("handler", [later, broken, never])
async def test_a_message_that_is_not_stored_stays_with_the_mmsc(handler: object) -> None:
    link = a_link(handler_timeout=0.05)
    link.on_incoming = handler  # type: ignore[assignment]
    assert await deliver(link, *message_of(deliver_req(), TEXT)) == (500, "Fault", "4006")


async def test_messages_are_refused_where_nobody_takes_any() -> None:
    assert await deliver(a_link(), *message_of(deliver_req(), TEXT)) == (500, "Fault", "4003")


async def test_a_message_without_end_is_not_read_to_it() -> None:
    async with listening(a_link()) as url:
        answer = await post(url, b" " * 4_200_000, ACCOUNT, "multipart/related; boundary=b")
    assert answer.status_code == 413
