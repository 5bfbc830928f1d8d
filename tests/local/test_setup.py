"""What is missing is named with its remedy; what apt installs starts no service."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from local import setup
from local.accounts import SetupError
from local.settings import LocalSettings
from local.setup import DEBOOTSTRAP, ESPEAK, REDIS, SIPP, SOX, Need, needs_of, provide

NOTHING = Need(program="no-such-program-of-vns", package="no-such-package-of-vns")


def silent(_: str) -> None:
    """Progress is of no interest here."""


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An apt-get of our own that notes how it was called, and what the policy for services was meanwhile."""
    folder, calls = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    script = folder / "apt-get"
    script.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >>{calls}\n'
        f"sh {tmp_path}/policy-rc.d; echo policy $? >>{calls}\n"
        f"case $* in *install*) touch {folder}/vns-fresh; chmod +x {folder}/vns-fresh;; esac\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(setup, "POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return calls


def test_present_programs_need_nothing(told: list[str], tmp_path: Path) -> None:
    provide([Need(program="sh", package="dash")], told.append, tmp_path / "log")
    assert told == []


def test_without_apt_the_programs_and_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"no-such-program-of-vns.*Debian.*no-such-package-of-vns"):
        provide([NOTHING], silent, tmp_path / "log")


def test_another_user_than_root_is_given_the_command(
    apt: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SetupError, match=r"root.*apt-get install no-such-package-of-vns"):
        provide([NOTHING], silent, tmp_path / "log")
    assert not apt.exists()


def test_what_is_missing_is_installed_while_services_are_kept_off(apt: Path, told: list[str], tmp_path: Path) -> None:
    provide([Need(program="vns-fresh", package="vns-package")], told.append, tmp_path / "log")
    calls = apt.read_text().splitlines()
    assert told == ["installing vns-package"]
    assert calls[0].endswith("update")
    assert calls[2].endswith("install -y --no-install-recommends vns-package")
    assert calls[1::2] == ["policy 101", "policy 101"]  # 101: a service is not to be started
    assert not setup.POLICY.exists()


def test_a_policy_of_the_machine_is_left_alone(apt: Path, tmp_path: Path) -> None:
    setup.POLICY.write_text("#!/bin/sh\nexit 7\n")
    provide([Need(program="vns-fresh", package="vns-package")], silent, tmp_path / "log")
    assert setup.POLICY.read_text() == "#!/bin/sh\nexit 7\n"


def test_a_policy_left_by_an_interrupted_installation_is_removed(apt: Path, tmp_path: Path) -> None:
    setup.POLICY.write_text(f"#!/bin/sh\n{setup.POLICY_MARK}\nexit 101\n")
    provide([Need(program="vns-fresh", package="vns-package")], silent, tmp_path / "log")
    assert not setup.POLICY.exists()


def test_a_package_without_the_program_is_an_error(apt: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="still missing"):
        provide([NOTHING], silent, tmp_path / "log")


def test_a_failing_apt_is_told_in_its_own_words(apt: Path, tmp_path: Path) -> None:
    script = tmp_path / "bin/apt-get"
    script.write_text("#!/bin/sh\necho 'E: no room left' >&2\nexit 100\n")
    with pytest.raises(SetupError, match="no room left"):
        provide([NOTHING], silent, tmp_path / "log")
    assert not setup.POLICY.exists()


@pytest.mark.parametrize(
    ("environment", "demo", "expected"),
    [
        ({}, False, {ESPEAK, SOX, REDIS, DEBOOTSTRAP}),
        ({}, True, {ESPEAK, SOX, REDIS, DEBOOTSTRAP, SIPP}),
        ({"VNS_REDIS_URL": "redis://127.0.0.1/0"}, False, {ESPEAK, SOX, DEBOOTSTRAP}),
        ({"VNS_ASTERISK": "/usr/sbin/asterisk"}, False, {ESPEAK, SOX, REDIS}),
        ({"VNS_AMI_URL": "ami://a:b@127.0.0.1:5038"}, False, {ESPEAK, SOX, REDIS}),
    ],
)
def test_only_what_is_run_here_is_needed(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], demo: bool, expected: set[Need]
) -> None:
    for name in ("VNS_REDIS_URL", "VNS_ASTERISK", "VNS_AMI_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert set(needs_of(LocalSettings(), demo=demo)) == expected


def test_the_policy_file_can_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "POLICY", tmp_path / "policy-rc.d")
    with setup._services_stay_off([]):
        assert stat.S_IMODE(setup.POLICY.stat().st_mode) == 0o755
        assert subprocess.run([str(setup.POLICY)], check=False).returncode == 101
