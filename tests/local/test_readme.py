"""The README does what it says: its session is typed, word for word, into a running platform."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from local.settings import ROOT
from tests.local.conftest import Start

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
VARYING = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}|\d{4}-\d\d-\d\dT[\d:.]+Z")
STARTERS = ("bin/up", "bin/test")  # what the other tests run, and what runs the tests


def blocks() -> list[tuple[list[str], str]]:
    """Each console block as its commands and the output that it shows."""
    found = []
    for block in BLOCK.findall(README):
        lines = block.splitlines()
        commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        found.append((commands, "\n".join(line for line in lines if not line.startswith("$ "))))
    return found


def same(text: str) -> str:
    """Ids and times differ from run to run, and nothing else may."""
    return VARYING.sub("…", text).strip()


@pytest.mark.slow
@pytest.mark.asterisk
def test_the_session_of_the_readme_answers_as_shown(
    up: Start, environment: dict[str, str], tmp_path: Path, new_port: Callable[[], int]
) -> None:
    session = [block for block in blocks() if not block[0][0].startswith(STARTERS)]
    script = ["set -eu"]
    for commands, _ in session:
        script += [*commands, "printf '\\n--end of block--\\n'"]
    folder = tmp_path / "run"
    fresh = {**environment, "VNS_RUN_DIR": str(folder), "VNS_PG_PORT": str(new_port())}
    tmp_path.chmod(0o711)
    environment.update(fresh)
    one = up()
    text = "\n".join(script).replace("var/dev/credentials.json", str(one.run_dir / "credentials.json"))
    typed = subprocess.run(
        ["bash", "-c", text], cwd=ROOT, env=fresh, capture_output=True, text=True, timeout=120, check=False
    )
    assert typed.returncode == 0, typed.stderr
    answers = typed.stdout.split("--end of block--")
    for (commands, shown), answer in zip(session, answers, strict=False):
        if shown:
            assert same(answer) == same(shown), commands


def test_the_commands_of_the_readme_exist() -> None:
    commands = [command for commands, _ in blocks() for command in commands]
    programs = {command.split()[0] for command in commands if command.startswith("bin/")}
    assert programs == {"bin/up", "bin/test", "bin/vns"}
    assert all(os.access(ROOT / program, os.X_OK) for program in programs)


def test_every_link_and_folder_of_the_readme_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README) + re.findall(r"^\| `([a-z_]+/)` \|", README, re.MULTILINE)
    assert len(links) > 10
    missing = [link for link in links if not (ROOT / link).exists()]
    assert not missing
