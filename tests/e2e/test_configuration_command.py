"""`vns asterisk config`, as docs/voice.md has it, with a real Asterisk that loads what it wrote."""

import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, Switch

pytestmark = pytest.mark.asterisk


@pytest.fixture
def folder(switch: Switch) -> Iterator[Path]:
    """Where a configuration may be written: Asterisk sees it."""
    folder = switch.instance.folder.parent / f"command-{secrets.token_hex(4)}"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def run(switch: Switch, folder: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    """The documented command, writing to `folder`, for the Asterisk of these tests."""
    line = re.search(r"^\$ bin/vns (asterisk config .*--check)$", (ROOT / "docs/voice.md").read_text(), re.MULTILINE)
    assert line is not None
    arguments = line[1].replace("var/asterisk/srv/first", str(folder))
    if switch.instance.root is None:
        arguments = arguments.replace(" --root var/asterisk", "")
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *shlex.split(arguments)],
        env={**os.environ, "VNS_PROMPTS_DIR": str(switch.settings.prompts_dir), **settings},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_real_asterisk_loads_what_the_documented_command_wrote(switch: Switch, folder: Path) -> None:
    done = run(switch, folder, VNS_SIP_PORT=str(switch.settings.sip_port), VNS_SIP_TRUNK="192.0.2.7:5099")
    assert done.returncode == 0, done.stderr
    assert "loaded: 0 errors" in done.stderr
    assert done.stdout.rstrip().endswith(f"/{folder.name}/etc/asterisk.conf")
    assert "systemname = first\n" in (folder / "etc/asterisk.conf").read_text()
    # the real port, which another Asterisk has at this moment
    assert f"bind = 127.0.0.1:{switch.settings.sip_port}\n" in (folder / "etc/pjsip.conf").read_text()
    assert "match = 192.0.2.7\n" in (folder / "etc/pjsip.conf").read_text()
    assert not list(folder.parent.glob(f"{folder.name}-try-*"))


def test_what_asterisk_cannot_load_is_told(switch: Switch, folder: Path) -> None:
    done = run(switch, folder, VNS_SIP_TRUNK="no such host:5060")
    assert done.returncode == 1
    assert "known by no address" in done.stderr
    assert re.search(r"ERROR.*no such host", done.stderr)


def test_a_setting_without_sense_is_named(switch: Switch, folder: Path) -> None:
    done = run(switch, folder, VNS_RING_TIMEOUT_SECONDS="soon")
    assert done.returncode == 1
    assert done.stderr == "error invalid_request: these settings cannot be used: VNS_RING_TIMEOUT_SECONDS\n"
    assert not folder.exists()
