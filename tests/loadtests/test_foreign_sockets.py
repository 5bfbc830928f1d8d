"""A socket of another process that hears nothing any more."""

import fcntl
import os
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator

import pytest

from loadtests.foreign_sockets import deafen

# Says what it hears, and how it found out that there is nothing more.
LISTENER = """
import socket, sys
line = socket.socket(fileno=int(sys.argv[1]))
print(line.recv(16).decode(), flush=True)
if sys.stdin.readline().strip() == "at once":
    line.setblocking(False)
try:
    print(line.recv(16).decode(), flush=True)
except BlockingIOError:
    print("nothing", flush=True)
"""


def unacknowledged(line: socket.socket) -> int:
    """Bytes sent that the other side has not confirmed."""
    waiting = fcntl.ioctl(line, termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(waiting, sys.byteorder)


@pytest.fixture
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as here:
        there, _ = server.accept()
        with there:
            yield here, there


@pytest.mark.parametrize("deaf", [True, False], ids=["deaf", "not touched"])
def test_nothing_reaches_it_any_more(connected: tuple[socket.socket, socket.socket], *, deaf: bool) -> None:
    here, there = connected
    with subprocess.Popen(
        [sys.executable, "-c", LISTENER, str(there.fileno())],
        pass_fds=[there.fileno()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as listener:
        assert listener.stdin is not None
        assert listener.stdout is not None
        here.sendall(b"first")
        assert listener.stdout.readline() == "first\n"
        if deaf:
            deafen(listener.pid, there.fileno())
        here.sendall(b"second")
        listener.stdin.write("at once\n" if deaf else "in time\n")
        listener.stdin.flush()
        assert listener.stdout.readline() == ("nothing\n" if deaf else "second\n")
        assert not deaf or unacknowledged(here) == len(b"second")


def test_no_such_descriptor() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        deafen(os.getpid(), 1_000_000)
