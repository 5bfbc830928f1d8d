"""Programs that the platform needs from the system: found, or installed by apt, their services kept off."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.accounts import SetupError
from local.settings import LocalSettings

APT_SECONDS = 1800.0
POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_MARK = "# made by VNS while it installs packages: their services are not to start"
Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Need:
    """A program, the Debian package that has it, the service that the package would start, if any.

    `file`: known by this file instead, where the package has no program.
    """

    program: str
    package: str
    service: str | None = None
    file: Path | None = None


REDIS = Need(program="redis-server", package="redis-server", service="redis-server")
SIPP = Need(program="sipp", package="sip-tester")
ESPEAK = Need(program="espeak-ng", package="espeak-ng")
SOX = Need(program="sox", package="sox")
DEBOOTSTRAP = Need(program="debootstrap", package="debootstrap")
MARIADB = Need(program="mariadbd", package="mariadb-server", service="mariadb")
KANNEL = Need(program="bearerbox", package="kannel", service="kannel")
RABBITMQ = Need(program="rabbitmq-server", package="rabbitmq-server", service="rabbitmq-server")
NPM = Need(program="npm", package="npm")
CURL = Need(program="curl", package="curl")  # types the session of the README
CHROMIUM = Need(program="chromium", package="chromium")
OFFICE = Need(program="soffice", package="libreoffice-calc-nogui")  # writes the files that people upload
KOREAN_FONT = Need(
    program="a Korean font",
    package="fonts-nanum",
    file=Path("/usr/share/fonts/truetype/nanum/NanumGothic.ttf"),
)
FOR_TESTS = (REDIS, SIPP, ESPEAK, SOX, DEBOOTSTRAP, MARIADB, KANNEL, NPM, CURL, CHROMIUM, KOREAN_FONT, OFFICE)


def needs_of(settings: LocalSettings, *, demo: bool) -> list[Need]:
    """What `bin/up` needs with these settings."""
    needs = [ESPEAK, SOX]
    if settings.redis_url is None:
        needs.append(REDIS)
    if settings.asterisk is None and settings.runs_asterisk:
        needs.append(DEBOOTSTRAP)
    if demo:
        needs.append(SIPP)
    return needs


def provide(needs: Sequence[Need], tell: Tell, log: Path) -> None:
    """Install what is missing. Raises SetupError with program, package and remedy where that cannot be."""
    missing = [need for need in needs if not _present(need)]
    if not missing:
        return
    packages = sorted({need.package for need in missing})
    remedy = f"apt-get install {' '.join(packages)}"
    names = ", ".join(need.program for need in missing)
    if shutil.which("apt-get") is None:
        raise SetupError(
            f"missing programs: {names}. They are installed by themselves on Debian only; "
            f"install what your system calls the Debian packages {', '.join(packages)}"
        )
    if os.geteuid() != 0:
        raise SetupError(f"missing programs: {names}. Only root can install them: {remedy}")
    tell(f"installing {' '.join(packages)}")
    log.parent.mkdir(parents=True, exist_ok=True)
    with _services_stay_off(missing):
        _apt(["update"], log, remedy)
        _apt(["install", "-y", "--no-install-recommends", *packages], log, remedy)
    still = [need.program for need in missing if not _present(need)]
    if still:
        raise SetupError(f"still missing after {remedy}: {', '.join(still)} (see {log})")


def _present(need: Need) -> bool:
    if need.file is not None:
        return need.file.exists()
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    return shutil.which(need.program, path=path) is not None


def _apt(arguments: Sequence[str], log: Path, remedy: str) -> None:
    with log.open("ab") as sink:
        done = subprocess.run(
            ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", *arguments],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            timeout=APT_SECONDS,
            check=False,
        )
    if done.returncode != 0:
        last = log.read_text(errors="replace").strip().splitlines()[-3:]
        raise SetupError(f"`{remedy}` failed (all of it in {log}): {' / '.join(last)}")


@contextmanager
def _services_stay_off(needs: Sequence[Need]) -> Iterator[None]:
    """The platform runs these servers itself, on ports of its own: Debian's services start neither now nor at
    the next boot. Debian's own switch for that (policy-rc.d) is set for the time of the installation."""
    # A file with our mark was left by an interrupted installation.
    ours = not POLICY.exists() or POLICY_MARK in POLICY.read_text()
    if ours:
        POLICY.write_text(f"#!/bin/sh\n{POLICY_MARK}\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            POLICY.unlink(missing_ok=True)
        for need in needs:
            if need.service is not None and shutil.which("systemctl") is not None:
                subprocess.run(
                    ["systemctl", "disable", "--quiet", need.service],
                    capture_output=True,
                    timeout=60,
                    check=False,
                )


def main() -> None:
    """`python -m local.setup`: everything that the tests need (`bin/test`)."""
    from local.asterisk import install  # noqa: PLC0415 - only here
    from local.settings import ROOT  # noqa: PLC0415 - only the command needs it

    settings = LocalSettings()

    def tell(line: str) -> None:
        print(line, flush=True)

    provide(FOR_TESTS, tell, ROOT / "var/setup.log")
    install(settings.asterisk, ROOT / "var/asterisk", tell)


if __name__ == "__main__":
    try:
        main()
    except SetupError as problem:
        raise SystemExit(f"set-up: {problem}") from problem
