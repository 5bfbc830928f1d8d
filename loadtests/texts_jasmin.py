"""Jasmin as a peer of `bin/bench texts`: with the RabbitMQ and the Redis that it needs, bound to the benchmark's SMSC.

It comes from its locked packages into an environment of its own, since it wants other versions of much than the
platform has. Everything listens on loopback, on free ports, with data that is thrown away.
"""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from signal import SIGTERM
from urllib.parse import urlsplit

from loadtests import bench_servers
from loadtests.texts_peers import PASSWORD, ROOT, Peer
from local.children import tied
from local.setup import RABBITMQ, REDIS, provide

LOCK = ROOT / "requirements/jasmin.txt"
HOME = ROOT / "var/jasmin"
INSTALL_SECONDS = 900.0
CONSOLE_SECONDS = 20.0
PORTS = ("names", "nodes", "amqp", "console", "http", "router", "clients", "server", "server_admin")
SINGLE = Path("/tmp/jasmind.lock")  # noqa: S108 - Jasmin's own: it runs once on a machine

# What its console is told, a line each; it answers each with a prompt.
CONFIGURATION = """
smppccm -a
cid bench
host 127.0.0.1
port {smsc}
username bench
password {password}
bind transceiver
submit_throughput 0
ok
smppccm -1 bench
httpccm -a
cid handler
url http://127.0.0.1:{handler}/jasmin
method GET
ok
group -a
gid bench
ok
user -a
username bench
password {password}
gid bench
uid bench
ok
mtrouter -a
type defaultroute
connector smppc(bench)
rate 0.0
ok
morouter -a
type defaultroute
connector http(handler)
ok
"""
_PROMPT = re.compile(rb"(jcli : |> |Session ref: \d+\s*)\Z")
_REFUSED = re.compile(r"error|invalid|unknown", re.IGNORECASE)


@contextmanager
def jasmin(place: Path, smsc: Peer, handler: Peer) -> Iterator[int]:
    """The port of its HTTP interface; `/jasmin` of the handler gets each text that comes in. Ended on leaving.

    Raises RuntimeError where another Jasmin runs on this machine, or this one does not start.
    """
    if SINGLE.exists():
        raise RuntimeError(f"another Jasmin runs here, or one was killed: see {SINGLE}")
    provide([RABBITMQ, REDIS], _tell, ROOT / "var/setup.log")
    python = _environment()
    at = place / "jasmin"
    (at / "store").mkdir(parents=True, exist_ok=True)
    ports = {name: bench_servers.free_port() for name in PORTS}
    with ExitStack() as stack:
        redis_url = stack.enter_context(bench_servers.redis(at))
        _rabbitmq(stack, at, ports)
        command = [str(python), str(python.with_name("jasmind.py"))]
        command += ["--enable-deliver-thrower", "--enable-dlr-thrower", "--enable-dlr-lookup"]
        line = bench_servers.with_environment(command, _settings(python, at, ports, redis_url))
        ready = partial(bench_servers.listens, ports["console"])
        stack.enter_context(bench_servers.running(line, at / "jasmin.log", ready))
        _configure(
            ports["console"], CONFIGURATION.format(smsc=smsc.port, handler=handler.port, password=PASSWORD).split("\n")
        )
        smsc.event("bound")
        yield ports["http"]


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _environment() -> Path:
    """Its Python, with the locked packages."""
    stamp, python = HOME / ".lock", HOME / "bin/python"
    wanted = sha256(LOCK.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        _tell("installing Jasmin")
        log = ROOT / "var/setup.log"
        install = [str(python), "-m", "pip", "install", "--no-input", "--no-deps", "--require-hashes"]
        install += ["-r", str(LOCK)]
        with log.open("ab") as sink:
            for command in ([sys.executable, "-m", "venv", "--clear", str(HOME)], install):
                subprocess.run(command, stdout=sink, stderr=sink, timeout=INSTALL_SECONDS, check=True)
        stamp.write_text(wanted)
    return python


def _rabbitmq(stack: ExitStack, at: Path, ports: Mapping[str, int]) -> None:
    """RabbitMQ and, since it would leave one running, its name service."""
    environment = {
        "HOME": str(at),  # of its cookie
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(ports["names"]),
        "RABBITMQ_NODENAME": "bench@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(ports["amqp"]),
        "RABBITMQ_DIST_PORT": str(ports["nodes"]),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_MNESIA_BASE": str(at / "mnesia"),
        "RABBITMQ_LOG_BASE": str(at / "log"),
        "RABBITMQ_PID_FILE": str(at / "pid"),
        "RABBITMQ_CONFIG_FILE": str(at / "no-configuration"),
        "RABBITMQ_CONF_ENV_FILE": str(at / "no-environment"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(at / "plugins"),
    }
    names = ["epmd", "-address", "127.0.0.1", "-port", str(ports["names"])]
    for command, port in ((names, ports["names"]), (["/usr/lib/rabbitmq/bin/rabbitmq-server"], ports["amqp"])):
        line = ["env", *(f"{name}={value}" for name, value in environment.items()), *command]
        ready = partial(bench_servers.listens, port)
        # Its script hands the signal on: killed itself, it would leave the node running.
        running = bench_servers.running(tied(line, death_signal=SIGTERM), at / f"{port}.log", ready)
        stack.enter_context(running)


def _settings(python: Path, at: Path, ports: Mapping[str, int], redis_url: str) -> dict[str, str]:
    """The variables that Jasmin reads; it would listen on all addresses."""
    (specification,) = python.parent.parent.glob("lib/*/site-packages/txamqp/specs/standard/amqp0-9-1.stripped.xml")
    listening = {"HTTP_API": "http", "ROUTER": "router", "CLIENT_MANAGEMENT": "clients"}
    listening |= {"SMPP_SERVER": "server", "SMPP_SERVER_PB": "server_admin", "JCLI": "console"}
    store = str(at / "store")
    return {
        **{f"{section}_BIND": "127.0.0.1" for section in listening},
        **{f"{section}_PORT": str(ports[name]) for section, name in listening.items()},
        "ROOT_PATH": str(at),
        "LOG_PATH": str(at / "log"),
        "ROUTER_STORE_PATH": store,
        "CLIENT_MANAGEMENT_STORE_PATH": store,
        "JCLI_AUTHENTICATION": "False",
        "AMQP_BROKER_PORT": str(ports["amqp"]),
        "AMQP_BROKER_SPEC": str(specification),
        "REDIS_CLIENT_PORT": str(urlsplit(redis_url).port),
    }


def _configure(port: int, lines: list[str]) -> None:
    """Types `lines` at Jasmin's console. Raises RuntimeError for one that it does not understand."""
    with socket.create_connection(("127.0.0.1", port), timeout=CONSOLE_SECONDS) as console:
        _until_prompt(console)
        for line in filter(None, lines):
            console.sendall(f"{line}\r\n".encode())
            _, _, answer = _until_prompt(console).partition("\n")  # the first line repeats ours
            if _REFUSED.search(answer):
                raise RuntimeError(f"Jasmin refuses {line!r}: {answer.strip()}")


def _until_prompt(console: socket.socket) -> str:
    said = b""
    while not _PROMPT.search(said):
        more = console.recv(4096)
        if not more:
            raise RuntimeError("Jasmin has closed its console")
        said += more
    return said.decode("utf-8", "replace")
