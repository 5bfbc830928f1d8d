"""What docs/prompts-and-recordings.md tells to type, typed against a real API process."""

import asyncio
import json
import subprocess
from pathlib import Path
from uuid import UUID

from tests.api.conftest import MALL, Platform
from tests.api_process import ROOT, api_processes
from tests.prompts.test_audio import tone
from vns.settings import Settings


async def test_the_commands_of_the_page(
    platform: Platform, recorded_call: UUID, recording_store: Path, core_settings: Settings, tmp_path: Path
) -> None:
    page = (ROOT / "docs/prompts-and-recordings.md").read_text()
    typed = [line.removeprefix("$ ") for line in page.splitlines() if line.startswith("$ curl")]
    assert len(typed) == 3
    (tmp_path / "closed.wav").write_bytes(tone(16_000, 0.5))
    environment = {
        "VNS_DATABASE_URL": core_settings.database_url,
        "VNS_REDIS_URL": core_settings.redis_url,
        "VNS_KEYS_FILE": str(core_settings.keys_file),
        "VNS_RECORDING_STORE_DIR": str(recording_store),
    }
    with api_processes(1, environment, tmp_path / "api.log") as server:
        variables = {
            "base": server.url,
            "mall": f"Authorization: Bearer {platform.keys[MALL]}",
            "PATH": "/usr/bin:/bin",
        }
        variables["call"] = str(recorded_call)
        for command in typed:
            done = await asyncio.to_thread(
                subprocess.run,
                ["bash", "-c", command],
                cwd=tmp_path,
                env=variables,
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
            assert {"id", "url"} & set(json.loads(done.stdout)), done.stdout
    made = (await platform.get("/v1/prompts")).json()["items"]
    assert [prompt["name"] for prompt in made] == ["ended", "closed"]
