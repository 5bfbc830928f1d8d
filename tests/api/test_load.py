"""The load tests' users against a real server, for a few seconds and gently; and the benchmarks' dispatcher."""

import asyncio
import csv
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loadtests.bench import NOT_BUILT
from loadtests.bench_servers import listens
from local.children import tied
from tests.api.conftest import COURIER, MALL, Platform
from tests.api_process import ROOT, api_processes
from tests.waiting import until
from vns.pools.rules import Service
from vns.settings import Settings


@pytest.fixture
def smsc(new_port: Callable[[], int], tmp_path: Path) -> Iterator[str]:
    """A simulated SMSC that takes texts from handsets; its URL."""
    port = new_port()
    command = [sys.executable, "-m", "simulators.smsc", "--port", str(port), "--system-id", "vns"]
    command += ["--password", "secret", "--outbox", str(tmp_path / "outbox.jsonl"), "--platform-prefixes", "0504"]
    with subprocess.Popen(tied(command), cwd=ROOT) as process:
        while not listens(port):
            assert process.poll() is None
        yield f"smpp://vns:secret@127.0.0.1:{port}"
        process.terminate()


async def test_malls_and_couriers_at_work(
    platform: Platform, core_settings: Settings, smsc: str, tmp_path: Path
) -> None:
    await platform.pool("0504-6000-0000", "0504-6000-9999", Service.PERSONAL, name="large")
    environment = {"VNS_DATABASE_URL": core_settings.database_url, "VNS_KEYS_FILE": str(core_settings.keys_file)}
    credentials = tmp_path / "credentials.json"
    credentials.write_text(
        json.dumps({"mall_key": platform.keys[MALL], "courier_key": platform.keys[COURIER], "smsc": smsc})
    )
    with api_processes(1, environment, tmp_path / "api.log") as server:
        command = [sys.executable, "-m", "cli.main", "load"]
        command += ["--users", "4", "--spawn-rate", "4", "--host", server.url, "--json"]
        command += ["--csv", str(tmp_path / "seen")]
        load = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env={
                "PATH": "/usr/bin:/bin",
                "VNS_LOAD_CREDENTIALS": str(credentials),
                "VNS_LOAD_COURIER": "text",
                "HOME": str(tmp_path),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

        async def everything_was_done() -> bool:
            assert load.returncode is None, await load.communicate()
            file = tmp_path / "seen_stats.csv"
            rows = csv.DictReader(file.read_text().splitlines()) if file.exists() else ()
            return wanted <= {row["Name"] for row in rows}

        wanted = {"allocate", "release", "look a parcel up", "text"}
        try:
            await until(everything_was_done)
        finally:
            load.terminate()
        output, errors = await load.communicate()
    assert load.returncode == 0, errors.decode()
    seen = {entry["name"]: entry for entry in json.loads(output)}
    assert wanted <= set(seen)
    assert all(entry["num_requests"] > 0 and entry["num_failures"] == 0 for entry in seen.values())


@pytest.mark.parametrize("name", NOT_BUILT)
def test_a_benchmark_that_is_not_built_says_so(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadtests.bench", name, "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "not built yet" in done.stderr
