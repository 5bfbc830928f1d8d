"""A link that is cut again and again: what it says of each text agrees with what the SMSC has."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from simulators.smsc.centre import SmscCentre
from simulators.smsc.outbox import Outbox
from simulators.smsc.settings import ReceiptTiming, Rule, Settings
from sms_relay.links.interface import SubmitStatus
from sms_relay.links.smpp.link import SmppLink
from tests.links.smpp_inbox import PATIENCE, Inbox, outgoing

MESSAGES = 600


@pytest.fixture
async def centre(tmp_path: Path) -> AsyncIterator[SmscCentre]:
    rules = (Rule(destination="*7", receipt=ReceiptTiming.EARLY), Rule(destination="*3", response_delay=0.001))
    settings = Settings(rules=rules, retry_seconds=0.01)
    outbox = Outbox(tmp_path / "outbox.jsonl", settings.default_alphabet)
    centre = SmscCentre(settings, outbox, ("vns", "secret"))
    await centre.start("127.0.0.1", 0)
    yield centre
    await centre.stop()


@pytest.mark.parametrize("seed", range(3))
async def test_every_text_has_one_outcome_and_it_is_true(
    tmp_path: Path,
    centre: SmscCentre,
    make_link: Callable[..., Awaitable[SmppLink]],
    inbox: Inbox,
    seed: int,
) -> None:
    dice = random.Random(seed)
    link = await make_link(f"smpp://vns:secret@127.0.0.1:{centre.port}", window=20, backoff_most=0.02)
    outcomes: dict[str, SubmitStatus] = {}
    ids: set[str] = set()
    numbers = iter(range(MESSAGES))

    async def worker() -> None:
        for number in numbers:
            async with asyncio.timeout(PATIENCE):
                await link.wait_connected()
            if dice.random() < 0.02:
                asyncio.get_running_loop().call_later(dice.random() / 500, centre.cut_all)
            outcome = await link.submit(outgoing(number=number))
            outcomes[f"010{number:08d}"] = outcome.status
            if outcome.status is SubmitStatus.ACCEPTED:
                ids.update(outcome.message_ids)

    async with asyncio.timeout(PATIENCE * 3), asyncio.TaskGroup() as group:
        for _ in range(40):
            group.create_task(worker())
    seen = [json.loads(line)["to"] for line in (tmp_path / "outbox.jsonl").read_text().splitlines()]
    told = {status: {to for to, found in outcomes.items() if found is status} for status in SubmitStatus}
    assert len(outcomes) == MESSAGES
    assert len(seen) == len(set(seen))
    assert told[SubmitStatus.ACCEPTED] <= set(seen)
    assert not told[SubmitStatus.NOT_SENT] & set(seen)
    assert set(seen) - told[SubmitStatus.ACCEPTED] <= told[SubmitStatus.UNKNOWN]
    assert told[SubmitStatus.ACCEPTED]
    assert told[SubmitStatus.UNKNOWN]
    received: set[str] = set()
    while not ids <= received:
        received.add((await inbox.receipt()).message_id)
