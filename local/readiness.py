"""Ways to tell from outside that a started process is ready: `(process) -> bool`, asked again and again."""

import http.client
import socket
from collections.abc import Callable

import psutil

Ready = Callable[[psutil.Process], bool]
TIMEOUT = 5.0  # seconds for one question


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
                return b"+PONG" in connection.recv(64) + connection.recv(64)
        except OSError:
            return False

    return ask


def ami_answers(port: int, user: str, password: str) -> Ready:
    """Asterisk takes the login and has its SIP channel: `chan_pjsip` declines silently when something that it
    needs is missing, and every call would then hang."""

    def ask(_: psutil.Process) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
                lines = connection.makefile("rwb")
                lines.readline()
                lines.write(_action("Login", Username=user, Secret=password, Events="off"))
                lines.write(_action("ModuleCheck", Module="chan_pjsip.so"))
                lines.flush()
                answers = [line.strip() for line in _until_blank(lines.readline, 2)]
                return answers.count(b"Response: Success") == 2
        except OSError:
            return False

    return ask


def _action(name: str, **fields: str) -> bytes:
    lines = [f"Action: {name}", *(f"{key}: {value}" for key, value in fields.items())]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


def _until_blank(read: Callable[[], bytes], blocks: int) -> list[bytes]:
    """The lines of the next `blocks` messages; fewer when the connection ends."""
    lines: list[bytes] = []
    while blocks and (line := read()):
        lines.append(line)
        blocks -= not line.strip()
    return lines


def api_ready(port: int) -> Ready:
    return all_of(listens(port), http_answers(port, "/readyz"))
