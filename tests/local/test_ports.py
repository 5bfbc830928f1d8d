"""A taken port is named with its holder and the setting that chooses another."""

import os
import socket
from collections.abc import Callable

import pytest

from local.accounts import SetupError
from local.ports import WantedPort, require_free


def test_a_taken_tcp_port_is_named_with_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        wanted = WantedPort(part="the API", setting="VNS_HTTP_PORT", port=port)
        with pytest.raises(SetupError) as refused:
            require_free([wanted])
    message = str(refused.value)
    for word in (str(port), "the API", "VNS_HTTP_PORT", f"process {os.getpid()} "):
        assert word in message


def test_a_taken_udp_port_is_named_with_its_holder() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        wanted = WantedPort(part="Asterisk (SIP)", setting="VNS_SIP_PORT", port=port, udp=True)
        with pytest.raises(SetupError, match=rf"UDP port {port} .*process {os.getpid()} "):
            require_free([wanted])


def test_a_port_on_all_addresses_is_taken_too() -> None:
    with socket.create_server(("", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(SetupError, match=str(port)):
            require_free([WantedPort(part="Redis", setting="VNS_REDIS_PORT", port=port)])


def test_every_taken_port_is_named_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = [one.getsockname()[1], two.getsockname()[1]]
        with pytest.raises(SetupError) as refused:
            require_free([WantedPort(part=str(port), setting="VNS_PG_PORT", port=port) for port in ports])
    assert all(str(port) in str(refused.value) for port in ports)


def test_two_parts_on_one_port_are_told_apart(new_port: Callable[[], int]) -> None:
    port = new_port()
    with pytest.raises(SetupError, match=r"VNS_AGI_PORT_A and VNS_AGI_PORT_B both name port"):
        require_free(
            [
                WantedPort(part="bridge a", setting="VNS_AGI_PORT_A", port=port),
                WantedPort(part="bridge b", setting="VNS_AGI_PORT_B", port=port),
            ]
        )


def test_free_ports_pass_and_udp_does_not_meet_tcp(new_port: Callable[[], int]) -> None:
    port = new_port()
    require_free(
        [
            WantedPort(part="a", setting="VNS_HTTP_PORT", port=port),
            WantedPort(part="b", setting="VNS_SIP_PORT", port=port, udp=True),
        ]
    )
