"""The agent with its links and a database of its own, until SIGTERM: nothing of the platform is needed."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from logging.handlers import TimedRotatingFileHandler
from pathlib import Path

from sms_relay.agent.notice import Notices
from sms_relay.agent.retention import sweeping
from sms_relay.agent.service import Agent
from sms_relay.agent.wakeup import Wakeup
from sms_relay.links.interface import Link
from sms_relay.links.mm7.link import Mm7Link
from sms_relay.links.mm7.listener import Mm7Listener
from sms_relay.links.smpp.link import SmppLink
from sms_relay.npro.database import NproDatabase
from sms_relay.npro.kst import KoreanClock
from sms_relay.standalone.conf import Conf, LogConfig

_log = logging.getLogger(__name__)

CLOSE_SECONDS = 1.0
LOOK_SECONDS = 1.0

_SEND = ("sms_relay.agent.sender", "sms_relay.agent.admission")
_RECEIVE = ("sms_relay.agent.receiver",)


class GaveUp(Exception):
    """Gateway or database have been away for longer than npro_life_time."""


async def serve(conf: Conf, stop: asyncio.Event) -> None:
    """Raises NotUsable and GaveUp, each in a group."""
    for remark in conf.remarks:
        _log.warning("npro.conf: %s", remark)
    link = SmppLink(conf.link)
    multimedia = [Mm7Link(conf.mm7)] if conf.mm7 else []
    database = NproDatabase.open(conf.database, names=conf.names, own=conf.own)
    with ExitStack() as stack:
        notices = stack.enter_context(Notices(*conf.notice)) if conf.notice else None
        agent = Agent(
            database,
            [link],
            conf.agent,
            KoreanClock(),
            multimedia=multimedia,
            error_codes={conf.link.carrier: dict(conf.error_codes)},
            told=notices.send if notices else None,
        )
        if conf.agent.receive:
            links: tuple[Link, ...] = (link, *multimedia)
            for one in links:
                one.on_receipt = agent.handle_receipt
        try:
            await _run(conf, link, multimedia, agent, stop)
        finally:
            await _close(database)


async def _run(conf: Conf, link: SmppLink, multimedia: Sequence[Mm7Link], agent: Agent, stop: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(link.run(), name="link"), group.create_task(agent.run(), name="agent")]
        if multimedia:
            tasks.append(group.create_task(Mm7Listener(multimedia, *conf.listen).run(), name="mm7-listener"))
            tasks += [group.create_task(one.run(), name="mm7") for one in multimedia]
        if conf.kept:
            tasks.append(group.create_task(sweeping(conf.kept), name="sweep"))
        if conf.life is not None:
            working = {"the gateway": lambda: link.connected, "the database": lambda: agent.on_duty}
            tasks += [group.create_task(give_up(what, up, conf.life), name=what) for what, up in working.items()]
        await stop.wait()
        _log.info("ending")
        await agent.stop()
        for task in tasks:
            task.cancel()


async def _close(database: NproDatabase) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await database.close()
    except TimeoutError:
        _log.warning("statements were cut on closing")


async def give_up(
    what: str,
    working: Callable[[], bool],
    life: timedelta,
    *,
    look: float = LOOK_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Raises GaveUp when `what` has not worked for `life` at a stretch. Looks every `look` seconds."""
    worked_at = clock()
    while True:
        now = clock()
        if working():
            worked_at = now
        elif now - worked_at > life.total_seconds():
            raise GaveUp(f"{what} has been away for longer than npro_life_time")
        await Wakeup().wait(look)


def set_up_logging(config: LogConfig) -> None:
    """Raises OSError where the folder cannot be written."""
    form = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    console = logging.StreamHandler()
    console.setLevel(config.console)
    handlers: list[logging.Handler] = [console]
    if config.folder is not None:
        handlers.append(_daily_file(config.folder, config.days, config.system))
    for handler in handlers:
        handler.setFormatter(form)
    logging.basicConfig(level=config.other, handlers=handlers)
    for names, level in ((_SEND, config.send), (_RECEIVE, config.receive)):
        for name in names:
            logging.getLogger(name).setLevel(level)


def _daily_file(folder: Path, days: int, level: int) -> logging.Handler:
    folder.mkdir(parents=True, exist_ok=True)
    handler = TimedRotatingFileHandler(folder / "npro.log", when="midnight", backupCount=days, encoding="utf-8")
    handler.setLevel(level)
    return handler
