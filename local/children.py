"""Command lines for programs that must not outlive the one that starts them."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from local import launch
from local.accounts import Account


def tied(
    command: Sequence[str],
    *,
    account: Account | None = None,
    chroot: Path | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
) -> list[str]:
    """`command`, to be started by this process, such that it gets `death_signal` when this process ends.

    It runs in a session of its own, under `account` and inside `chroot` where given.
    """
    line = [sys.executable, "-I", "-S", str(Path(launch.__file__).resolve())]
    line += ["--parent", str(os.getpid()), "--signal", str(int(death_signal))]
    if chroot is not None:
        line += ["--chroot", str(chroot)]
    if account is not None:
        line += ["--uid", str(account.uid), "--gid", str(account.gid)]
    return [*line, "--", *command]
