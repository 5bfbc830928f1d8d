"""Which ports the platform takes, and who holds one that is taken."""

import socket
from dataclasses import dataclass

import psutil

from local.accounts import SetupError


@dataclass(frozen=True, kw_only=True)
class WantedPort:
    """`setting`: the environment variable that chooses another."""

    part: str
    setting: str
    port: int
    udp: bool = False


def require_free(wanted: list[WantedPort]) -> None:
    """Raises SetupError that names each taken port, who holds it, and the setting to change."""
    taken = [one for one in wanted if not _is_free(one)]
    if taken:
        raise SetupError("\n".join(_explain(one) for one in taken))
    by_port: dict[tuple[int, bool], WantedPort] = {}
    for one in wanted:
        other = by_port.setdefault((one.port, one.udp), one)
        if other is not one:
            raise SetupError(f"{other.setting} and {one.setting} both name port {one.port}")


def _is_free(wanted: WantedPort) -> bool:
    kind = socket.SOCK_DGRAM if wanted.udp else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as probe:
        if not wanted.udp:  # connections of an earlier run that fade away do not count
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted.port))
        except OSError:
            return False
    return True


def _explain(wanted: WantedPort) -> str:
    kind = "UDP" if wanted.udp else "TCP"
    return (
        f"{kind} port {wanted.port} for {wanted.part} is taken by {_holder(wanted)}; "
        f"end that, or set {wanted.setting} to another port"
    )


def _holder(wanted: WantedPort) -> str:
    for one in psutil.net_connections(kind="udp4" if wanted.udp else "tcp4"):
        listening = wanted.udp or one.status == psutil.CONN_LISTEN
        if listening and one.laddr and one.laddr.port == wanted.port and one.pid:
            try:
                return f"process {one.pid} ({psutil.Process(one.pid).name()})"
            except psutil.Error:
                continue
    return "a process that this user may not see"
