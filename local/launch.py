"""Start a program so that it dies with its starter: a script that replaces itself with the program.

    python -I -S launch.py --parent PID --signal 9 [--chroot DIR] [--uid N --gid N] -- program argument…

Why a step of its own: the kernel forgets the parent-death signal when a process changes its user, so it has
to be set after the change and before the program starts. Standard library only: it starts in milliseconds.
"""

import argparse
import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def become(*, chroot: str | None, uid: int | None, gid: int | None) -> None:
    """Enter the root folder and become the user; groups first, afterwards the right to is gone."""
    if chroot is not None:
        os.chroot(chroot)
        os.chdir("/")
    if gid is not None:
        os.setgroups([])
        os.setgid(gid)
    if uid is not None:
        os.setuid(uid)


def die_with(parent: int, signal_number: int) -> None:
    """Ask the kernel for `signal_number` when `parent` ends; end now if it already has."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit("the starter ended before its program began")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--signal", type=int, required=True)
    parser.add_argument("--chroot")
    parser.add_argument("--uid", type=int)
    parser.add_argument("--gid", type=int)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    os.setsid()  # a Ctrl-C at the terminal reaches the supervisor alone, which then stops its parts in order
    libc_loaded_before_chroot = ctypes.CDLL(None)
    become(chroot=options.chroot, uid=options.uid, gid=options.gid)
    del libc_loaded_before_chroot
    die_with(options.parent, options.signal)
    try:
        os.execvp(options.command[0], options.command)  # noqa: S606 - an argument list, no shell wanted
    except OSError as problem:
        sys.exit(f"{options.command[0]}: {problem.strerror}")


if __name__ == "__main__":
    main()
