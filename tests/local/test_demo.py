"""The demo: the whole story on real parts, and that its judge sees what is wrong."""

import signal

import pytest

from local.accounts import SetupError
from local.demo import STEPS, Scene, connected, hidden, must, number_shown, refused, show
from local.settings import LocalSettings
from local.story import Call, Cast, Credentials, StoryError
from local.up import demo_port
from simulators.phones.carrier import CallReport
from simulators.phones.traces import Message
from tests.local.conftest import Start

INVITE = "INVITE sip:01090001111@127.0.0.1 SIP/2.0\r\nFrom: <sip:07080000001@vns>;tag=1\r\n\r\n"


def report(
    status: int | None = 200, *, heard: dict[bytes, int] | None = None, mark: bytes = b"a", early: bool = False
) -> CallReport:
    return CallReport(
        status=status,
        early_media=early,
        messages=(Message(received=True, text=INVITE),),
        rtp_sent=50,
        rtp_received=50 if early else 0,
        mark=mark,
        heard=heard or {},
    )


@pytest.fixture
async def scene() -> Scene:
    credentials = Credentials(base_url="http://127.0.0.1:9", mall_key="", courier_key="", smsc="", sms_outbox=None)
    return Scene(Cast(LocalSettings(), credentials))


@pytest.mark.asterisk
@pytest.mark.slow
def test_every_step_of_the_story_is_right(up: Start) -> None:
    one = up("--demo")
    assert one.ready.startswith("READY ")
    assert one.process.stdout is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith(("All ", "The story failed")):
        line = one.process.stdout.readline()
        assert line, "the story ended early"
        lines.append(line)
    assert lines[-1] == f"All {len(STEPS)} steps were right.\n", "".join(lines)
    with one.client() as client:
        assert client.get("/readyz").status_code == 200, "it serves on"
    one.process.send_signal(signal.SIGINT)
    assert one.process.wait(timeout=60) == 0


@pytest.mark.parametrize(
    ("place", "visible"),
    [
        ("From: <sip:07080000001@vns>", False),
        ("From: <sip:01090001111@vns>", True),
        ("P-Asserted-Identity: <tel:+821090001111>", True),
        ('"text": "1090001111"', True),
    ],
)
def test_a_real_number_is_seen_in_any_notation(place: str, visible: bool) -> None:
    if visible:
        with pytest.raises(StoryError, match="visible"):
            hidden("01090001111", "nothing here", place)
    else:
        hidden("01090001111", "nothing here", place)


def test_must_tells_why() -> None:
    must(True, "not told")
    with pytest.raises(StoryError, match="the reason"):
        must(False, "the reason")


def test_the_number_shown_is_read_from_the_invite() -> None:
    assert number_shown(report()) == "07080000001"


@pytest.mark.parametrize(
    ("caller", "called", "problem"),
    [
        (report(503), None, "got 503"),
        (report(200), None, "got 200"),
        (report(heard={b"b": 3}), report(mark=b"b", heard={b"a": 50}), "caller does not hear"),
        (report(heard={b"b": 50}), report(mark=b"b", heard={b"x": 50}), "called does not hear"),
    ],
)
async def test_a_call_without_voice_both_ways_is_wrong(
    scene: Scene, caller: CallReport, called: CallReport | None, problem: str
) -> None:
    with pytest.raises(StoryError, match=problem):
        connected(scene, Call(caller=caller, called=called), "caller", "called", "07080000001")


@pytest.mark.parametrize(
    ("caller", "called", "problem"),
    [
        (report(200), report(), "a phone rang"),
        (report(404, early=True), None, "404 instead of 410"),
        (report(410), None, "no announcement"),
    ],
)
async def test_a_refusal_that_is_not_one_is_wrong(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caller: CallReport, called: CallReport | None, problem: str
) -> None:
    async def call(_cast: Cast, _caller: str, _dialled: str) -> Call:
        return Call(caller=caller, called=called)

    monkeypatch.setattr(Cast, "call", call)
    with pytest.raises(StoryError, match=problem):
        await refused(scene, "01090002222", "phone", "050410000000", 410)


async def test_a_platform_that_does_not_answer_is_told(scene: Scene) -> None:
    _, step = STEPS[0]
    with pytest.raises(StoryError, match="no answer"):
        await step(scene)


@pytest.mark.parametrize(
    ("digits", "shown"),
    [("050412345678", "0504-1234-5678"), ("07080000001", "070-8000-0001"), ("18770001", "1877-0001")],
)
def test_numbers_are_shown_as_people_write_them(digits: str, shown: str) -> None:
    assert show(digits) == shown


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("VNS_SIP_TRUNK", "192.0.2.7:5060", "VNS_SIP_TRUNK must be a loopback address"),
        ("VNS_SMPP_URL", "smpp://id:secret@192.0.2.7:2775", "unset VNS_SMPP_URL"),
    ],
)
def test_a_carrier_that_is_not_the_demos_own_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, remedy: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SetupError, match=remedy):
        demo_port(LocalSettings())
