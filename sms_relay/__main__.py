"""`python -m sms_relay`: links, agent and relay in one process, until SIGTERM."""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack

import uvloop

from sms_relay.application import opened
from sms_relay.npro.database import NotUsable
from sms_relay.settings import RelaySettings, TextSettings
from vns.settings import Settings


async def _serve(core: Settings) -> None:
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    async with AsyncExitStack() as stack:
        opening = asyncio.create_task(stack.enter_async_context(opened(core, RelaySettings(), TextSettings())))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({opening, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not opening.done():
            opening.cancel()  # it still waits for the database
            await asyncio.wait({opening})
        if not opening.cancelled():
            await opening.result().run(stop)


def main() -> None:
    core = Settings()
    logging.basicConfig(
        level=core.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    unusable: list[str] = []
    # What the imports left lives as long as the process, and a text makes a few hundred objects without a cycle among
    # them: looked through at Python's usual pace they would take a third of the process's time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    try:
        uvloop.run(_serve(core))
    except* NotUsable as errors:
        unusable = [str(error) for error in _leaves(errors)]
    if unusable:
        sys.exit("; ".join(unusable))


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


if __name__ == "__main__":
    main()
