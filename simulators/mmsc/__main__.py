"""`python -m simulators.mmsc`: see docs/mmsc-simulator.md."""

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from pydantic import ValidationError

from simulators.mmsc.centre import MmscCentre
from simulators.mmsc.outbox import Outbox
from simulators.mmsc.settings import Settings, load


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m simulators.mmsc", description="A simulated MMSC.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=2776, help="0: one the system chooses")
    parser.add_argument("--user", required=True, help="the platform's account, asked for and given")
    parser.add_argument("--password", required=True)
    parser.add_argument("--report-url", required=True, help="where delivery reports go: http://host:port/path")
    parser.add_argument("--outbox", type=Path, required=True, help="JSON-lines file of messages to handsets")
    parser.add_argument("--files", type=Path, required=True, help="folder for what the messages hold")
    parser.add_argument("--settings", type=Path, help="TOML or JSON file; read again on SIGHUP")
    return parser.parse_args()


def _settings(arguments: argparse.Namespace) -> Settings:
    """Raises OSError or ValueError."""
    return load(arguments.settings) if arguments.settings else Settings()


async def _serve(arguments: argparse.Namespace, settings: Settings) -> None:
    outbox = Outbox(arguments.outbox, arguments.files)
    centre = MmscCentre(settings, outbox, (arguments.user, arguments.password), arguments.report_url)
    over = asyncio.Event()

    def read_again() -> None:
        try:
            centre.configure(_settings(arguments))
        except (OSError, ValueError) as error:
            print(f"settings unchanged: {error}", file=sys.stderr)

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    loop.add_signal_handler(signal.SIGINT, over.set)
    loop.add_signal_handler(signal.SIGHUP, read_again)
    port = await centre.start(arguments.host, arguments.port)
    print(f"READY {arguments.host}:{port}", flush=True)
    try:
        await over.wait()
    finally:
        await centre.stop()


def main() -> int:
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    try:
        settings = _settings(arguments)
    except (OSError, ValidationError, ValueError) as error:
        print(f"settings: {error}", file=sys.stderr)
        return 2
    try:
        asyncio.run(_serve(arguments, settings))
    except OSError as error:
        print(f"cannot listen on {arguments.host}:{arguments.port}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
