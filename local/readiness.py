"""Ways to tell from outside that a started process is ready: `(process) -> bool`, asked again and again."""

import http.client
import socket
import subprocess
from collections.abc import Callable, Sequence

import psutil

from local.accounts import SetupError

Ready = Callable[[psutil.Process], bool]
TIMEOUT = 5.0  # seconds for one question
CONSOLE_TIMEOUT = 30.0  # seconds: the console waits until Asterisk has booted


def listens(port: int) -> Ready:
    """The process itself listens on the TCP port. Nothing is sent: FastAGI would take a probe for a call."""

    def ask(process: psutil.Process) -> bool:
        return any(
            one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in process.net_connections(kind="tcp")
        )

    return ask


def connected_to(*ports: int) -> Ready:
    """The process has an open TCP connection to each of the ports: how a part without a port of its own shows
    that it has read its settings and begun its work."""

    def ask(process: psutil.Process) -> bool:
        peers = {
            one.raddr.port
            for one in process.net_connections(kind="tcp")
            if one.status == psutil.CONN_ESTABLISHED and one.raddr
        }
        return peers.issuperset(ports)

    return ask


def all_of(*questions: Ready) -> Ready:
    return lambda process: all(ask(process) for ask in questions)


def http_answers(port: int, path: str) -> Ready:
    """GET answers 200."""

    def ask(_: psutil.Process) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return ask


def redis_answers(port: int, password: str) -> Ready:
    def ask(_: psutil.Process) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
                connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
                lines = connection.makefile("rb")
                return (lines.readline(), lines.readline()) == (b"+OK\r\n", b"+PONG\r\n")
        except OSError:
            return False

    return ask


def asterisk_answers(ami_port: int, console: Sequence[str]) -> Ready:
    """The manager port is open and the SIP channel runs: `chan_pjsip` declines silently when something that it needs
    is missing, and every call would then hang. `console`: the command that asks the running Asterisk.

    Raises SetupError when Asterisk has booted without it.
    """

    def ask(process: psutil.Process) -> bool:
        if not listens(ami_port)(process) or "booted" not in _console(console, "core waitfullybooted"):
            return False
        if " Running " not in _console(console, "module show like chan_pjsip.so"):
            raise SetupError("Asterisk runs without its SIP channel: chan_pjsip declined to load (see its log)")
        return True

    return ask


def _console(command: Sequence[str], question: str) -> str:
    asked = subprocess.run(
        [*command, "-rx", question], capture_output=True, text=True, timeout=CONSOLE_TIMEOUT, check=False
    )
    return asked.stdout


def api_ready(port: int) -> Ready:
    return all_of(listens(port), http_answers(port, "/readyz"))
