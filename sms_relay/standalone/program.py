"""The agent with one link and a database of its own, until SIGTERM: nothing of the platform is needed."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from logging.handlers import TimedRotatingFileHandler
from pathlib import Path

from sms_relay.agent.notice import Notices
from sms_relay.agent.service import Agent
from sms_relay.agent.wakeup import Wakeup
from sms_relay.links.smpp.link import SmppLink
from sms_relay.npro.database import NproDatabase
from sms_relay.npro.kst import KoreanClock
from sms_relay.standalone.conf import Conf, Kept, LogConfig

_log = logging.getLogger(__name__)

CLOSE_SECONDS = 1.0
LOOK_SECONDS = 1.0
SWEEP_SECONDS = 3600.0
DAY_SECONDS = 86_400

_SEND = ("sms_relay.agent.sender", "sms_relay.agent.admission")
_RECEIVE = ("sms_relay.agent.receiver",)


class GaveUp(Exception):
    """Gateway or database have been away for longer than npro_life_time."""


async def serve(conf: Conf, stop: asyncio.Event) -> None:
    """Raises NotUsable and GaveUp, each in a group."""
    for remark in conf.remarks:
        _log.warning("npro.conf: %s", remark)
    link = SmppLink(conf.link)
    database = NproDatabase.open(conf.database, names=conf.names, own=conf.own)
    with ExitStack() as stack:
        notices = stack.enter_context(Notices(*conf.notice)) if conf.notice else None
        agent = Agent(
            database,
            [link],
            conf.agent,
            KoreanClock(),
            error_codes={conf.link.carrier: dict(conf.error_codes)},
            told=notices.send if notices else None,
        )
        if conf.agent.receive:
            link.on_receipt = agent.handle_receipt
        try:
            await _run(conf, link, agent, stop)
        finally:
            await _close(database)


async def _run(conf: Conf, link: SmppLink, agent: Agent, stop: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(link.run(), name="link"), group.create_task(agent.run(), name="agent")]
        if conf.kept:
            tasks.append(group.create_task(_sweeping(conf.kept), name="sweep"))
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


async def _sweeping(kept: tuple[Kept, ...]) -> None:
    while True:
        for one in kept:
            await asyncio.to_thread(sweep, one, time.time())
        await Wakeup().wait(SWEEP_SECONDS)


def sweep(kept: Kept, now: float) -> int:
    """Deletes old files of one folder, neither folders in it nor what links lead to. Returns how many."""
    deleted = 0
    try:
        for path in kept.folder.iterdir():
            if not path.is_symlink() and path.is_file() and path.stat().st_mtime < now - kept.days * DAY_SECONDS:
                path.unlink(missing_ok=True)
                deleted += 1
    except OSError as error:
        _log.warning("old files of a folder cannot be deleted (%s)", type(error).__name__)
    if deleted:
        _log.info("%d files beyond their life time deleted", deleted)
    return deleted


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
