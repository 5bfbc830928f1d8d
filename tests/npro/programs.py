"""The agent as a process of its own with an npro.conf, and the SMSC simulator as another, for tests."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0


@asynccontextmanager
async def smsc(folder: Path, **settings: Any) -> AsyncIterator[int]:
    """`python -m simulators.smsc` with the account npro / secret; its port."""
    file = folder / "smsc.json"
    file.write_text(json.dumps(settings))
    words = ["--port", "0", "--system-id", "npro", "--password", "secret", "--outbox", str(folder / "outbox.jsonl")]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "simulators.smsc",
        *words,
        "--settings",
        str(file),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            ready = (await process.stdout.readline()).decode()
        assert ready.startswith("READY"), ready
        yield int(ready.rpartition(":")[2])
    finally:
        process.terminate()
        await process.wait()


def write_conf(path: Path, database_url: str, port: int, **keys: object) -> Path:
    """In EUC-KR, as customers have it; `database_url` as the tests' fixtures name it."""
    where = urlsplit(database_url)
    kind = "postgresql" if where.scheme.startswith("postgres") else "mysql"
    lines = {
        "sms_ip": "127.0.0.1",
        "sms_port": port,
        "smsg_id": "npro",
        "smsg_pwd": "secret",
        "db_name": kind.upper(),
        "db_url": f"jdbc:{kind}://{where.hostname}:{where.port}{where.path}?useSSL=false",
        "db_userid": where.username,
        "db_password": where.password,
        "tran_term": 0.1,
        "db_ping_term": 0.5,
        **keys,
    }
    text = "# 문자 발송 설정\n" + "".join(f"{key} = {value}\n" for key, value in lines.items())
    path.write_bytes(text.encode("cp949"))
    return path


class Program:
    """`vns npro run`: no setting of the platform is in its environment. What it says is in `log`."""

    def __init__(self, conf: Path) -> None:
        self.conf = conf
        self.log = conf.with_suffix(".log")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self.log.open("ab") as sink:
            self._process = await asyncio.create_subprocess_exec(
                Path(sys.executable).with_name("vns"),
                "npro",
                "run",
                "--conf",
                str(self.conf),
                cwd=self.conf.parent,
                env={"PATH": os.defpath},
                stdout=sink,
                stderr=sink,
            )

    async def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self._process is not None
        self._process.terminate()
        return await self.status()

    async def status(self) -> int:
        """Of a program that ends by itself."""
        assert self._process is not None
        async with asyncio.timeout(PATIENCE):
            return await self._process.wait()

    @property
    def ended(self) -> bool:
        return self._process is None or self._process.returncode is not None

    async def __aenter__(self) -> "Program":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self.ended:
            await self.kill()
