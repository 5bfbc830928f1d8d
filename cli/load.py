"""`vns load`: malls and couriers at work against a running platform."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import typer

from cli.running import fail

USERS = Path(__file__).parents[1] / "loadtests" / "locustfile.py"
ANY_ARGUMENTS = {"allow_extra_args": True, "ignore_unknown_options": True}


def load(context: typer.Context) -> None:
    """Let malls and couriers work on the platform at --host (see loadtests/locustfile.py); options are locust's.

    For example: vns load --users 50 --spawn-rate 10 --run-time 1m --host http://127.0.0.1:8000
    """
    if find_spec("locust") is None or not USERS.exists():
        fail("unavailable", "locust and its users come with a clone and its development environment: run bin/test once")
    command = [sys.executable, "-m", "locust", "-f", str(USERS), "--headless", *context.args]
    # in our place: what ends us ends the users, and they sum up
    os.execv(sys.executable, command)  # noqa: S606 - the words of the one who called
