"""The real command, run as a program of its own against a real database."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from vns.crypto.rules import KeyRing
from vns.storage.database import Database

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    def field(self, name: str) -> str:
        """The value of a `name  value` line."""
        for line in self.out.splitlines():
            if line.startswith(f"{name} "):
                return line[len(name) :].strip()
        raise AssertionError(f"no {name} in:\n{self.out}{self.err}")

    def rows(self) -> list[dict[str, str]]:
        """The lines of a table whose cells hold no spaces, by heading."""
        heading, *lines = (line.split() for line in self.out.splitlines())
        return [dict(zip(heading, line, strict=True)) for line in lines]


class Command:
    """`vns` with the settings of this test and no others; in this process, unless `apart` asks for one of its own."""

    def __init__(self, settings: dict[str, str]) -> None:
        self._settings = settings

    def __call__(self, *arguments: str, code: int = 0) -> Ended:
        with ThreadPoolExecutor(1) as thread:  # the command runs an event loop; the test may be inside another
            result = thread.submit(CliRunner().invoke, app, arguments, env=self._environment()).result(timeout=120)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return self._checked(arguments, Ended(result.exit_code, result.stdout, result.stderr), code)

    def apart(self, *arguments: str, code: int = 0) -> Ended:
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            env={name: value for name, value in self._environment().items() if value is not None},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return self._checked(arguments, Ended(done.returncode, done.stdout, done.stderr), code)

    def _environment(self) -> dict[str, str | None]:
        others = {name: None for name in os.environ if name.startswith("VNS_")}
        return {**os.environ, **others, **self._settings, "COLUMNS": "200"}

    @staticmethod
    def _checked(arguments: tuple[str, ...], ended: Ended, code: int) -> Ended:
        assert ended.code == code, f"{arguments}: {ended}"
        return ended


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def keyring(keys_file: Path) -> KeyRing:
    return KeyRing.generate(keys_file)


@pytest.fixture
def vns(database_url: str, keys_file: Path) -> Command:
    return Command({"VNS_DATABASE_URL": database_url, "VNS_KEYS_FILE": str(keys_file)})


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    db = await Database.open(database_url, size=4)
    yield db
    await db.close()
