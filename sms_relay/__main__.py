"""`python -m sms_relay`: links, agent and relay in one process, until SIGTERM."""

import asyncio
import logging
import signal
import sys
from collections.abc import Iterator

import uvloop

from sms_relay.application import opened
from sms_relay.npro.database import NotUsable
from sms_relay.settings import RelaySettings, TextSettings
from vns.settings import Settings


async def _serve(core: Settings) -> None:
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    async with opened(core, RelaySettings(), TextSettings()) as application:
        await application.run(stop)


def main() -> None:
    core = Settings()
    logging.basicConfig(
        level=core.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    unusable: list[str] = []
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
