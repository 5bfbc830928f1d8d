"""Puts link, agent and relay together in one process, each task with its owner."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from hooks.client import HttpInterceptor
from sms_relay.agent.retention import Kept, sweeping
from sms_relay.agent.service import Agent, AgentConfig
from sms_relay.agent.wakeup import Wakeup
from sms_relay.links.interface import Link
from sms_relay.links.mm7.link import Mm7Link
from sms_relay.links.mm7.listener import Mm7Listener
from sms_relay.links.smpp.link import SmppLink
from sms_relay.npro.database import NproDatabase
from sms_relay.npro.kst import KoreanClock
from sms_relay.npro.tables import TableNames
from sms_relay.relay.pictures import PictureFolder
from sms_relay.relay.service import Pictures, Relay
from sms_relay.settings import RelaySettings, TextSettings
from vns.crypto.rules import KeyRing
from vns.errors import Unavailable
from vns.messages.service import Messages
from vns.messages.settings import MessageSettings
from vns.routing.service import Router
from vns.settings import Settings
from vns.storage.clock import Clock
from vns.storage.database import Database

_log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
CLOSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """All parts of the process. `agent` None: a vendor's agent serves the tables, and has MM7 links of its own."""

    links: tuple[SmppLink, ...]
    multimedia: tuple[Mm7Link, ...]
    listener: Mm7Listener | None
    agent: Agent | None
    relay: Relay
    kept: tuple[Kept, ...]

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set; then lets texts on their way get their outcome, and ends within 5 seconds."""
        async with asyncio.TaskGroup() as group:
            links: tuple[Link, ...] = (*self.links, *self.multimedia)
            tasks = [group.create_task(link.run(), name=f"link-{link.name}") for link in links]
            if self.listener is not None:
                tasks.append(group.create_task(self.listener.run(), name="mm7-listener"))
            if self.kept:
                tasks.append(group.create_task(sweeping(self.kept), name="sweep"))
            if self.agent is not None:
                tasks.append(group.create_task(self.agent.run(), name="agent"))
            tasks.append(group.create_task(self.relay.run(), name="relay"))
            await stop.wait()
            _log.info("ending")
            if self.agent is not None:
                await self.agent.stop()
            for task in tasks:
                task.cancel()


@asynccontextmanager
async def opened(core: Settings, links: RelaySettings, texts: TextSettings) -> AsyncIterator[Application]:
    """Everything connected and wired, closed on leaving. Waits for the platform's database."""
    keyring = KeyRing.load(core.keys_file)
    db = await _patiently(core)
    names = TableNames(monthly=texts.npro_log_monthly)
    npro = NproDatabase.open(texts.npro_database_url, names=names, size=core.database_pool_size)
    interceptor = HttpInterceptor()
    try:
        yield _compose(db, npro, keyring, links, texts, interceptor)
    finally:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await interceptor.close()
                await npro.close()
                await db.close()
        except TimeoutError:
            _log.warning("statements were cut on closing")


def _compose(
    db: Database,
    npro: NproDatabase,
    keyring: KeyRing,
    link_settings: RelaySettings,
    texts: TextSettings,
    interceptor: HttpInterceptor,
) -> Application:
    links = tuple(SmppLink(config) for config in link_settings.links())
    multimedia = tuple(Mm7Link(config) for config in link_settings.multimedia()) if texts.npro_agent else ()
    clock = Clock()
    rules = MessageSettings()
    messages = Messages(
        db,
        Router(keyring),
        keyring,
        clock,
        policy=rules.unencodable,
        interceptor=interceptor,
    )
    agent_of: list[Agent] = []
    relay = Relay(
        db,
        messages,
        npro,
        clock,
        subject=texts.lms_subject,
        result_life=timedelta(hours=texts.result_life_time),
        inserted=lambda: agent_of[0].hint() if agent_of else None,
        pictures=_pictures(texts),
    )
    every: tuple[Link, ...] = (*links, *multimedia)
    if texts.npro_agent:
        config = _agent_config(texts, sum(link.window for link in every))
        agent_of.append(
            Agent(
                npro,
                links,
                config,
                KoreanClock(),
                multimedia=multimedia,
                finished=relay.finished,
                error_codes=link_settings.smpp_error_codes,
                directory=link_settings.directory(),
            )
        )
    taking: tuple[Link, ...] = links if texts.mms_files_path is None else every
    for link in taking:
        link.on_incoming = relay.handle_incoming
    if agent_of and texts.receiver_switch:
        for one in every:
            one.on_receipt = agent_of[0].handle_receipt
    return Application(
        links=links,
        multimedia=multimedia,
        listener=Mm7Listener(multimedia, *link_settings.listen()) if multimedia else None,
        agent=agent_of[0] if agent_of else None,
        relay=relay,
        kept=texts.kept() if multimedia else (),
    )


def _pictures(texts: TextSettings) -> Pictures | None:
    if texts.mms_files_path is None:
        return None
    return Pictures(folder=PictureFolder(texts.mms_files_path), life=timedelta(days=texts.mms_file_life_time))


def _agent_config(texts: TextSettings, window: int) -> AgentConfig:
    return AgentConfig(
        window=window,
        poll_seconds=texts.tran_term,
        before=timedelta(hours=texts.before_time),
        send_again=texts.send_again,
        record_life=timedelta(hours=texts.record_life_time),
        mover_seconds=texts.tran_term,
        ping_seconds=texts.db_ping_term,
        send=texts.sender_switch,
        receive=texts.receiver_switch,
        move=not texts.db_nomove,
        folders=texts.folders(),
    )


async def _patiently(core: Settings) -> Database:
    while True:
        try:
            return await Database.open(core.database_url, size=core.database_pool_size)
        except Unavailable:
            _log.warning("PostgreSQL does not answer yet")
            await Wakeup().wait(RETRY_SECONDS)
