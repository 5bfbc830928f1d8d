"""`python -m ivr --name a --port 4573`: one bridge, until SIGTERM."""

import argparse
import asyncio
import gc
import logging
import os
import signal

import uvloop

from ivr.bridge import running
from ivr.settings import IvrSettings
from vns.settings import Settings

log = logging.getLogger("ivr")

STOP_SECONDS = 4.0  # a process ends within 5


async def _serve(name: str, port: int) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    serving = asyncio.create_task(_run(name, port, stopped))
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not serving.done():
        serving.cancel()  # also while it still waits for the database
        await asyncio.wait({serving}, timeout=STOP_SECONDS)
    if not serving.done():
        log.warning("a PostgreSQL that stands still holds the end up: left without it")
        os._exit(1)
    serving.result()


async def _run(name: str, port: int, stopped: asyncio.Event) -> None:
    try:
        async with running(name, port, core=Settings(), ivr=IvrSettings()):
            await asyncio.Event().wait()
    except asyncio.CancelledError:
        if not stopped.is_set():
            raise


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ivr")
    parser.add_argument("--name", required=True, help="name of this bridge in call records")
    parser.add_argument("--port", type=int, required=True, help="FastAGI port")
    options = parser.parse_args()
    logging.basicConfig(level=Settings().log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # What the imports left lives as long as the process, and a call makes hardly a cycle: looked through at Python's
    # usual pace, all of it would be gone over again every few calls.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    uvloop.run(_serve(options.name, options.port))


if __name__ == "__main__":
    main()
