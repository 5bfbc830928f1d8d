"""The agent between two SMSCs of the npm package `smpp`: which one a row goes to, and what happens without it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import insert, select

from sms_relay.agent.service import Agent, AgentConfig
from sms_relay.links.choice import Directory, PortedNumbers
from sms_relay.links.interface import Carrier
from sms_relay.links.smpp.link import SmppLink
from sms_relay.npro.database import NproDatabase
from sms_relay.npro.kst import KoreanClock
from tests.peers.conftest import NpmSmsc, running_npm_smsc
from tests.waiting import until

DIRECTORY = Directory(prefixes={"010": Carrier.SKT}, ported=PortedNumbers([("01020000002", Carrier.KTF)]))
DEADLINE = 60.0


@dataclass
class Wiring:
    """An agent on PostgreSQL with a link to each of two SMSCs."""

    npro: NproDatabase
    skt: NpmSmsc
    ktf: NpmSmsc
    skt_link: SmppLink

    async def text(self, to: str) -> int:
        values = {"CUR_STATE": 0, "CALL_TO": to, "CALL_FROM": "07012345678", "SMS_TXT": "안녕", "MSG_TYPE": 4}
        async with self.npro.transaction() as connection:
            done = await connection.execute(insert(self.npro.tables.data), values)
            key: Any = done.inserted_primary_key
            return int(key[0])

    async def result(self, seq: int) -> tuple[str, str]:
        """RSLT_CODE2 and RSLT_NET once the row is final."""
        data = self.npro.tables.data
        async with asyncio.timeout(DEADLINE):
            while True:
                async with self.npro.transaction() as connection:
                    found = (await connection.execute(select(data).where(data.c.MSG_SEQ.in_([seq])))).one()
                if found.CUR_STATE == 3:
                    return found.RSLT_CODE2, found.RSLT_NET


@pytest.fixture
async def wiring(node_modules: None, npro_postgres_url: str, make_link: Any) -> AsyncIterator[Wiring]:
    npro = NproDatabase.open(npro_postgres_url, size=4)
    async with running_npm_smsc() as skt, running_npm_smsc() as ktf:
        links: list[SmppLink] = []
        for smsc, carrier in ((skt, Carrier.SKT), (ktf, Carrier.KTF)):
            url = f"smpp://vns:secret@127.0.0.1:{smsc.port}"
            habits = {"response_ids": "hex", "receipt_ids": "decimal", "throttle_retries": 0, "throttle_pause": 0.01}
            link = await make_link(url=url, name=carrier.value, carrier=carrier, **habits)
            links.append(link)
        config = AgentConfig(window=8, poll_seconds=0.05, move=False)
        agent = Agent(npro, links, config, KoreanClock(), directory=DIRECTORY)
        for link in links:
            link.on_receipt = agent.handle_receipt
            async with asyncio.timeout(DEADLINE):
                await link.wait_connected()
        await npro.prepare(KoreanClock())
        task = asyncio.create_task(agent.run())
        try:
            await skt.event("bound")
            await ktf.event("bound")
            yield Wiring(npro, skt, ktf, links[0])
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await npro.close()


async def test_every_recipient_by_its_own_carrier(wiring: Wiring) -> None:
    assert await wiring.result(await wiring.text("01020000001")) == ("0", "SKT")
    assert await wiring.result(await wiring.text("01020000002")) == ("0", "KTF")
    assert (await wiring.skt.event("submit"))["to"] == "01020000001"
    assert (await wiring.ktf.event("submit"))["to"] == "01020000002"


async def test_a_carrier_that_ended_is_replaced_by_the_other(wiring: Wiring) -> None:
    await wiring.skt.end()

    async def gone() -> bool:
        return not wiring.skt_link.connected

    await until(gone)
    assert await wiring.result(await wiring.text("01020000001")) == ("0", "KTF")


async def test_a_text_that_both_throttle_ends_with_the_code_of_a_full_queue(wiring: Wiring) -> None:
    assert await wiring.result(await wiring.text("01020007777")) == ("j", "ETC")
    await wiring.skt.event("throttled")
    await wiring.ktf.event("throttled")
