"""`python -m vns.maintenance`: the background worker, until SIGTERM."""

import asyncio
import logging
import signal
import sys

from vns.abuse.settings import AbuseSettings
from vns.maintenance.worker import Worker
from vns.recordings.retention import Retention
from vns.settings import Settings
from vns.storage.clock import Clock
from vns.storage.database import Database


async def main() -> None:
    settings = Settings()
    logging.basicConfig(level=settings.log_level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    db = await Database.open(settings.database_url, size=settings.database_pool_size)
    try:
        clock = Clock()
        await Worker(db, clock, AbuseSettings().policy(), retention=Retention(db, clock)).run(stop)
    finally:
        await db.close()


if __name__ == "__main__":
    asyncio.run(main())
