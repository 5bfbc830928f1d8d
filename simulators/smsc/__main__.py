"""`python -m simulators.smsc`: see docs/smsc-simulator.md."""

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from pydantic import ValidationError

from simulators.smsc.centre import SmscCentre
from simulators.smsc.outbox import Outbox
from simulators.smsc.settings import Settings, load


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m simulators.smsc", description="A simulated SMSC.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=2775, help="0: one the system chooses")
    parser.add_argument("--system-id", required=True, help="the platform's account")
    parser.add_argument("--password", required=True)
    parser.add_argument("--outbox", type=Path, required=True, help="JSON-lines file of texts to handsets")
    parser.add_argument("--platform-prefixes", default="", help="number ranges of the platform: 0504,0708")
    parser.add_argument("--settings", type=Path, help="TOML or JSON file; read again on SIGHUP")
    return parser.parse_args()


def _settings(arguments: argparse.Namespace) -> Settings:
    """The file's settings, with the prefixes of the command line added. Raises OSError or ValueError."""
    settings = load(arguments.settings) if arguments.settings else Settings()
    prefixes = tuple(prefix for prefix in arguments.platform_prefixes.split(",") if prefix)
    return settings.model_copy(update={"platform_prefixes": settings.platform_prefixes + prefixes})


async def _serve(arguments: argparse.Namespace, settings: Settings) -> None:
    outbox = Outbox(arguments.outbox, settings.default_alphabet)
    centre = SmscCentre(settings, outbox, (arguments.system_id, arguments.password))
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
