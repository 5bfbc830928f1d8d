"""Files that no other test would read: scripts, containers, hooks, licence."""

import importlib.util
import os
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [*sorted(path for path in (ROOT / "bin").iterdir()), ROOT / ".ci/run"]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


@pytest.mark.parametrize("script", [*SCRIPTS, ROOT / "local/environment.sh"], ids=lambda path: path.name)
def test_the_shell_understands_each_script(script: Path) -> None:
    checked = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_each_script_can_be_called(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith("#!/usr/bin/env bash\n")


def test_scripts_work_from_any_folder(tmp_path: Path) -> None:
    """The clone is found from the script, also through a link to it."""
    link = tmp_path / "vns"
    link.symlink_to(ROOT / "bin/vns")
    shown = subprocess.run(
        ["bash", "-c", f'source "$(dirname -- "$(readlink -f -- {link})")/../local/environment.sh"; echo "$root"'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.strip() == str(ROOT)


def parts() -> list[str]:
    return [name for name, service in SERVICES.items() if service.get("image", "").startswith("vns:")]


def test_compose_has_every_process_of_the_architecture() -> None:
    expected = {"postgres", "redis", "asterisk", "bridge-a", "bridge-b", "relay", "api-1", "api-2", "worker", "smsc"}
    assert expected <= SERVICES.keys()


@pytest.mark.parametrize("name", parts())
def test_each_container_runs_a_module_that_exists(name: str) -> None:
    service = SERVICES[name]
    command = service.get("command") or service["entrypoint"]
    assert command[:2] == ["python", "-m"]
    assert importlib.util.find_spec(command[2]) is not None


def test_what_compose_refers_to_is_declared() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in COMPOSE["volumes"], name
        for other in service.get("depends_on", {}):
            assert other in SERVICES, name
        for config in service.get("configs", []):
            assert config["source"] in COMPOSE["configs"], name


def test_compose_listens_on_loopback_and_keeps_no_password() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert "0.0.0.0" not in text  # noqa: S104 - it must not be there
    for name, service in SERVICES.items():
        for setting, value in service.get("environment", {}).items():
            if "PASSWORD" in setting or "SECRET" in setting:
                assert value.startswith("${"), name


def test_the_hooks_run_from_the_virtual_environment() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in hooks] == ["local"]
    assert all(hook["entry"].startswith(".venv/bin/") for hook in hooks[0]["hooks"])


def test_the_licence_is_there_and_named() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()[:200]
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"] == {"file": "LICENSE"}


@pytest.mark.parametrize("lock", ["runtime.txt", "dev.txt", "jasmin.txt"])
def test_locks_are_hashed_and_name_no_place(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text()
    assert "://" not in text
    requirements = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert requirements
    assert all("==" in line and line.endswith("\\") for line in requirements)
