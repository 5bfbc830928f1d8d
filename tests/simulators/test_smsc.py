"""The SMSC simulator: each of its settings does what it says, over a real socket."""

import asyncio
import signal
import sys
from typing import Any

import pytest

from simulators.smsc.handset import Handset, HandsetError
from simulators.smsc.settings import Settings
from sms_relay.links.interface import Incoming, ReceiptState, SubmitStatus, TryLater
from tests.links.smpp_inbox import PATIENCE, Inbox, done, outgoing, start

VN, HANDSET = "07081234567", "01012345678"


async def test_a_text_to_a_handset(simulator: Any, make_link: Any, inbox: Inbox) -> None:
    smsc = await simulator()
    link = await make_link(smsc.url())
    outcome = await done(start(link, outgoing("똠방각하 펲")))
    (line,) = smsc.outbox
    assert line.pop("at").endswith("Z")
    assert line == {
        "from": "07081234567",
        "to": "01000000001",
        "text": "똠방각하 펲",
        "data_coding": 14,
        "parts": 1,
        "message_id": outcome.message_id,
        "system_id": "vns",
    }
    receipt = await inbox.receipt()
    assert (receipt.message_id, receipt.state) == (outcome.message_id, ReceiptState.DELIVERED)


@pytest.mark.parametrize("way", ["udh", "sar", "payload"])
async def test_parts_are_one_line(simulator: Any, make_link: Any, way: str) -> None:
    smsc = await simulator()
    link = await make_link(smsc.url(), long_text=way)
    text = "문 앞에 놓아 주세요 😀 " * 20
    outcome = await done(start(link, outgoing(text)))
    assert [(line["text"], line["parts"], line["message_id"]) for line in smsc.outbox] == [
        (text, outcome.parts, outcome.message_id)
    ]


async def test_a_handset_texts_a_virtual_number(simulator: Any, make_link: Any, inbox: Inbox) -> None:
    smsc = await simulator(accounts={"handset": "pw"})
    await make_link(smsc.url())
    for account in ("handset:pw", "vns:secret"):
        async with Handset(smsc.url(account)) as handset:
            assert len(await handset.send(HANDSET, VN, "네, 알겠습니다")) == 1
        text = await inbox.text()
        assert (text.source, text.destination, text.text) == (HANDSET, VN, "네, 알겠습니다")
    async with Handset(smsc.url("handset:pw")) as handset:
        assert len(await handset.send(HANDSET, "05041234567", "길다 😀" * 50)) == 4
    text = await inbox.text()
    assert (text.text, text.parts) == ("길다 😀" * 50, 4)
    assert smsc.outbox == []


async def test_the_handset_as_a_command(simulator: Any, make_link: Any, inbox: Inbox) -> None:
    smsc = await simulator()
    await make_link(smsc.url())
    for password, expected in (("secret", 0), ("wrong", 1)):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "simulators.smsc.handset", "--smsc", smsc.url(f"vns:{password}")),
            *("--from", HANDSET, "--to", VN, "안녕"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(PATIENCE):
            out, errors = await process.communicate()
        assert process.returncode == expected, errors
        assert bool(out) is not bool(expected)
    assert (await inbox.text()).text == "안녕"


async def test_a_text_waits_for_the_platform_and_is_offered_until_taken(
    simulator: Any, make_link: Any, inbox: Inbox
) -> None:
    smsc = await simulator()
    async with Handset(smsc.url()) as handset:
        await handset.send(HANDSET, VN, "아무도 없나요")
    link = await make_link(smsc.url())
    assert (await inbox.text()).text == "아무도 없나요"
    seen: asyncio.Queue[str | None] = asyncio.Queue()

    async def reluctant(incoming: Incoming) -> None:
        seen.put_nowait(incoming.text)
        if seen.qsize() < 3:
            raise TryLater("not yet")

    link.on_incoming = reluctant
    async with Handset(smsc.url()) as handset:
        await handset.send(HANDSET, VN, "다시")
        await handset.send(HANDSET, VN, "또")
    async with asyncio.timeout(PATIENCE):
        texts = [await seen.get() for _ in range(3)]
    assert set(texts) == {"다시", "또"}


@pytest.mark.parametrize("account", ["vns:wrong", "nobody:secret", "vns:"])
async def test_passwords_are_checked(simulator: Any, account: str) -> None:
    smsc = await simulator()
    with pytest.raises(HandsetError, match="bind refused"):
        async with Handset(smsc.url(account)):
            pass


@pytest.mark.parametrize(
    ("rule", "state", "error"),
    [
        ({"receipt": "early"}, ReceiptState.DELIVERED, ""),
        ({"receipt_delay": 0.01}, ReceiptState.DELIVERED, ""),
        ({"stat": "UNDELIV", "err": "021"}, ReceiptState.UNDELIVERABLE, "21"),
        ({"stat": "EXPIRED", "err": "001", "receipt_form": "tlv"}, ReceiptState.EXPIRED, "1"),
        ({"stat": "REJECTD", "receipt_form": "text"}, ReceiptState.REJECTED, ""),
        ({"response_delay": 0.01}, ReceiptState.DELIVERED, ""),
    ],
)
async def test_receipts_by_rule(
    simulator: Any, make_link: Any, inbox: Inbox, rule: dict[str, Any], state: ReceiptState, error: str
) -> None:
    smsc = await simulator(rules=[{"destination": "*9999", "receipt": "missing"}, {"destination": "010*", **rule}])
    link = await make_link(smsc.url())
    silent = await done(start(link, outgoing(number=9999)))
    outcome = await done(start(link, outgoing(number=1)))
    receipt = await inbox.receipt()
    assert (receipt.message_id, receipt.state, receipt.error_code) == (outcome.message_id, state, error)
    assert silent.status is SubmitStatus.ACCEPTED
    assert len(smsc.outbox) == 2


async def test_receipts_twice(simulator: Any, make_link: Any, inbox: Inbox) -> None:
    smsc = await simulator(rules=[{"receipt": "duplicate"}])
    link = await make_link(smsc.url())
    outcome = await done(start(link, outgoing()))
    assert [(await inbox.receipt()).message_id for _ in range(2)] == [outcome.message_id] * 2


@pytest.mark.parametrize(
    ("formats", "notations"),
    [
        (
            {"response_ids": "HEX", "receipt_ids": "padded"},
            {"response_ids": "hex", "receipt_ids": "decimal"},
        ),
        ({"response_ids": "decimal", "receipt_ids": "hex"}, {"response_ids": "decimal", "receipt_ids": "hex"}),
        ({"response_ids": "padded"}, {}),
    ],
)
async def test_notations_of_ids(
    simulator: Any, make_link: Any, inbox: Inbox, formats: dict[str, str], notations: dict[str, str]
) -> None:
    smsc = await simulator(rules=[{"receipt_form": "text"}], **formats)
    link = await make_link(smsc.url(), **notations)
    outcome = await done(start(link, outgoing()))
    assert (await inbox.receipt()).message_id == outcome.message_id


async def test_refusals_by_rule(simulator: Any, make_link: Any) -> None:
    smsc = await simulator(rules=[{"destination": "*7", "status": 0x0B}, {"destination": "*8", "status": 0x14}])
    link = await make_link(smsc.url(), throttle_retries=1, throttle_pause=0.001)
    outcomes = [await done(start(link, outgoing(number=number))) for number in (7, 8, 9)]
    assert [(outcome.command_status, outcome.retryable) for outcome in outcomes] == [
        (0x0B, False),
        (0x14, True),
        (None, False),
    ]
    assert [line["to"] for line in smsc.outbox] == ["01000000009"]


async def test_throttling(simulator: Any, make_link: Any) -> None:
    """25 texts at once are more than ten in one second, also where they fall into two."""
    smsc = await simulator(throttle_per_second=10)
    link = await make_link(smsc.url(), throttle_retries=10, throttle_pause=0.1)
    outcomes = await asyncio.gather(*(done(start(link, outgoing(number=number))) for number in range(25)))
    assert {outcome.status for outcome in outcomes} == {SubmitStatus.ACCEPTED}
    assert link.counters.throttled > 0
    assert len(smsc.outbox) == 25


@pytest.mark.parametrize("taken", [False, True])
async def test_swallowed_texts(simulator: Any, make_link: Any, taken: bool) -> None:
    smsc = await simulator(faults=[{"kind": "swallow", "start": 2, "count": 3, "taken": taken}])
    link = await make_link(smsc.url(), window=10)
    outcomes = [await done(start(link, outgoing(number=number))) for number in range(2)]
    outcomes += await asyncio.gather(*(done(start(link, outgoing(number=number))) for number in range(2, 5)))
    assert [outcome.status for outcome in outcomes] == [SubmitStatus.ACCEPTED] * 2 + [SubmitStatus.UNKNOWN] * 3
    assert len(smsc.outbox) == (5 if taken else 2)
    async with asyncio.timeout(PATIENCE):
        await link.wait_connected()
    assert (await done(start(link, outgoing(number=6)))).status is SubmitStatus.ACCEPTED


@pytest.mark.parametrize("kind", ["cut", "silent"])
async def test_lost_connections(simulator: Any, make_link: Any, kind: str) -> None:
    smsc = await simulator(faults=[{"kind": kind, "start": 1, "times": 2}], rules=[{"receipt": "missing"}])
    link = await make_link(smsc.url(), enquire_interval=0.05, response_timeout=0.2)
    statuses: list[SubmitStatus] = []
    number = 0
    while statuses[-2:] != [SubmitStatus.ACCEPTED] * 2 and number < 500:
        async with asyncio.timeout(PATIENCE):
            await link.wait_connected()
        number += 1
        statuses.append((await done(start(link, outgoing(number=number)))).status)
    assert SubmitStatus.UNKNOWN in statuses
    assert statuses[-2:] == [SubmitStatus.ACCEPTED] * 2
    assert link.counters.connections == 3


async def test_ends_on_sigterm_and_reads_settings_on_sighup(simulator: Any, make_link: Any) -> None:
    smsc = await simulator(rules=[{"status": 0x45}])
    link = await make_link(smsc.url())
    assert (await done(start(link, outgoing()))).command_status == 0x45
    smsc.rewrite()
    smsc.process.send_signal(signal.SIGHUP)
    async with asyncio.timeout(PATIENCE):
        while (await link.submit(outgoing())).status is not SubmitStatus.ACCEPTED:
            pass
    smsc.process.terminate()
    async with asyncio.timeout(PATIENCE):
        assert await smsc.process.wait() == 0


@pytest.mark.parametrize(
    ("number", "expected"),
    [("07081234567", True), ("0708", True), ("01012345678", False), ("15001000", True), ("15002000", False),
     ("150010005", False)],
)  # fmt: skip
def test_numbers_of_the_platform(number: str, expected: bool) -> None:
    settings = Settings(platform_prefixes=("0708",), platform_ranges=(("15001000", "15001999"),))
    assert settings.is_platform_number(number) is expected
