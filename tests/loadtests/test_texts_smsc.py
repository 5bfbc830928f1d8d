"""The SMSC that the benchmark of texts counts with: what it counts is what happened."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from loadtests.texts_peers import Peer, peer
from sms_relay.links.interface import Incoming, SubmitStatus, TryLater
from sms_relay.links.smpp.config import SmppLinkConfig
from sms_relay.links.smpp.link import SmppLink
from tests.links.smpp_inbox import PATIENCE, Inbox, done, outgoing, start

PAIRS = [("01020000001", "07080000001", "01030000001"), ("01020000002", "07080000002", "01030000002")]


@pytest.fixture
async def smsc() -> AsyncIterator[Peer]:
    with peer("loadtests.texts_smsc") as started:
        yield started


@pytest.fixture
async def link(smsc: Peer) -> AsyncIterator[SmppLink]:
    made = SmppLink(SmppLinkConfig(url=f"smpp://bench:bench@127.0.0.1:{smsc.port}", backoff_first=0.01))
    running = asyncio.create_task(made.run())
    async with asyncio.timeout(PATIENCE):
        await made.wait_connected()
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def told(smsc: Peer, key: str, wanted: int) -> dict[str, Any]:
    return await asyncio.to_thread(smsc.until, key, wanted)


async def test_a_flood_comes_whole_and_what_was_refused_comes_again(smsc: Peer, link: SmppLink) -> None:
    texts: list[Incoming] = []

    async def handler(incoming: Incoming) -> None:
        if len(texts) == 3 and texts[-1].session_id:
            texts.append(incoming)
            raise TryLater("once")
        texts.append(incoming)

    link.on_incoming = handler
    smsc.order("flood", first=7, count=50, window=5, pairs=PAIRS)
    await asyncio.to_thread(smsc.event, "flooded")
    state = await asyncio.to_thread(smsc.state)
    numbers = [str(one.text).split("#")[1].split()[0] for one in texts]
    assert (len(numbers), len(set(numbers)), state["refused"]) == (51, 50, 1)
    assert {(one.source, one.destination) for one in texts} == {pair[:2] for pair in PAIRS}


async def test_submits_are_counted_by_their_number_and_other_side(smsc: Peer, link: SmppLink) -> None:
    inbox = Inbox()
    inbox.attach(link)
    smsc.order("flood", first=0, count=2, window=5, pairs=PAIRS)
    await asyncio.to_thread(smsc.event, "flooded")
    sent = [("parcel #0", "01030000001"), ("parcel #0", "01030000001"), ("parcel #1", "01099999999"), ("none", "010")]
    for text, destination in sent:
        answer = await done(start(link, outgoing(text, destination=destination)))
        assert answer.status is SubmitStatus.ACCEPTED
    state = await told(smsc, "receipts", 4)
    seen = {key: state[key] for key in ("submits", "distinct", "twice", "misdelivered", "unnumbered", "receipts")}
    wanted = {"submits": 3, "distinct": 2, "twice": [0], "misdelivered": 1, "unnumbered": 1, "receipts": 4}
    assert seen == wanted


async def test_a_cut_leaves_a_submit_without_an_answer(smsc: Peer, link: SmppLink) -> None:
    Inbox().attach(link)
    smsc.order("cut", after=2, keep=True)
    await asyncio.to_thread(smsc.state)  # orders are obeyed one after the other: it stands now
    assert (await done(start(link, outgoing("#1")))).status is SubmitStatus.ACCEPTED
    assert (await done(start(link, outgoing("#2")))).status is SubmitStatus.UNKNOWN
    state = await asyncio.to_thread(smsc.state)
    assert (state["distinct"], state["unanswered"]) == (2, [2])


async def test_one_that_was_killed_is_gone_on_with(tmp_path: Path) -> None:
    """Texts that were taken are not offered again; receipts that were not are."""
    first = Peer("loadtests.texts_smsc", "--state", str(tmp_path / "state"))
    port = str(first.port)
    link = SmppLink(SmppLinkConfig(url=f"smpp://bench:bench@127.0.0.1:{port}", backoff_first=0.01))
    inbox, refusing = Inbox(), asyncio.Event()

    async def later(_: object) -> None:
        refusing.set()
        raise TryLater("not now")

    inbox.attach(link)
    link.on_receipt = later
    running = asyncio.create_task(link.run())
    async with asyncio.timeout(PATIENCE):
        await link.wait_connected()
        first.order("flood", first=0, count=3, window=5, pairs=PAIRS)
        await asyncio.to_thread(first.event, "flooded")
        assert (await done(start(link, outgoing("#1")))).status is SubmitStatus.ACCEPTED
        await refusing.wait()
    first.kill()
    inbox.attach(link)
    second = Peer("loadtests.texts_smsc", "--state", str(tmp_path / "state"), "--port", port)
    state = await told(second, "receipts", 1)
    assert (state["distinct"], state["receipts"], state["submits"]) == (1, 1, 1)
    assert inbox.texts.qsize() == 3
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    second.close()
