"""The system accounts that embedded servers run under, and what those can reach."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path


class SetupError(Exception):
    """Something this machine lacks. The message names it and the remedy."""


@dataclass(frozen=True, kw_only=True)
class Account:
    name: str
    uid: int
    gid: int


def service_account(name: str) -> Account | None:
    """The account for a server, made without home, shell or password. None: not root, so it runs as us."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        _add_account(name)
        entry = pwd.getpwnam(name)
    return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)


def _add_account(name: str) -> None:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    made = subprocess.run(
        [*command, "--shell", "/usr/sbin/nologin", name],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if made.returncode not in {0, 9}:  # 9: somebody else made it meanwhile
        raise SetupError(f"cannot add the system account {name}: {made.stderr.strip()}")


def can_reach(account: Account | None, path: Path) -> bool:
    """Whether the account may enter the folder, or run the program, at `path`: the kernel is asked."""
    if account is None:
        return os.access(path, os.X_OK)
    asked = subprocess.run(
        ["/usr/bin/test", "-x", str(path)],
        user=account.uid,
        group=account.gid,
        extra_groups=[],
        cwd="/",
        timeout=30,
        check=False,
    )
    return asked.returncode == 0


def hand_over(folder: Path, account: Account | None) -> None:
    """Make `folder` (0700) the account's own."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    if account is not None:
        os.chown(folder, account.uid, account.gid)
