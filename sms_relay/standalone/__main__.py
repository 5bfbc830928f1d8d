"""`python -m sms_relay.standalone --conf npro.conf`, which `vns npro run` becomes.

Exit status: 0 after SIGTERM; 1 what is set up cannot be used, told as `error <code>: <detail>`; 2 wrong
usage; 3 gateway or database away for longer than npro_life_time.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import uvloop

from sms_relay.npro.database import NotUsable
from sms_relay.standalone.conf import Conf, build
from sms_relay.standalone.errors import ConfRefused
from sms_relay.standalone.keys import markdown
from sms_relay.standalone.lines import read
from sms_relay.standalone.program import GaveUp, serve, set_up_logging

REFUSED = 1
GAVE_UP = 3


def main() -> int:
    parser = argparse.ArgumentParser(prog="vns npro run", description="The agent, set up by an npro.conf.")
    parser.add_argument("--conf", type=Path, default=Path("npro.conf"))
    parser.add_argument("--check", action="store_true", help="only say whether the file can be used")
    parser.add_argument("--keys", action="store_true", help="print the table of keys in Markdown")
    arguments = parser.parse_args()
    if arguments.keys:
        print(markdown(), end="")
        return 0
    try:
        conf = build(read(arguments.conf))
        if arguments.check:
            print("\n".join(("npro.conf can be used", *conf.remarks)))
            return 0
        set_up_logging(conf.log)
    except ConfRefused as refused:
        return _told(refused.code.value, refused.detail, REFUSED)
    except OSError as error:
        return _told("conf_bad_value", f"log_path cannot be written ({type(error).__name__})", REFUSED)
    return _run(conf)


def _run(conf: Conf) -> int:
    ended: list[tuple[str, str, int]] = []
    try:
        uvloop.run(_serve(conf))
    except* NotUsable as errors:
        ended += [("database_not_usable", str(error), REFUSED) for error in _leaves(errors)]
    except* GaveUp as errors:
        ended += [("gave_up", str(error), GAVE_UP) for error in _leaves(errors)]
    return max((_told(*one) for one in ended), default=0)


def _told(code: str, detail: str, status: int) -> int:
    print(f"error {code}: {detail}", file=sys.stderr)
    return status


async def _serve(conf: Conf) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(conf, stop)


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


if __name__ == "__main__":
    raise SystemExit(main())
