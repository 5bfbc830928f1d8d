"""Redis for one machine: the system's redis-server on loopback, with a password and without persistence."""

from pathlib import Path

from local.secret_files import kept_secret

ACCOUNT = "vns-redis"
COMMAND = (
    "redis-server",
    "-",
)  # its configuration comes by standard input: neither file nor argument shows the password


def password(run_dir: Path) -> str:
    return kept_secret(run_dir, "redis")


def url(run_dir: Path, port: int) -> str:
    return f"redis://:{password(run_dir)}@127.0.0.1:{port}/0"


def configuration(run_dir: Path, port: int) -> str:
    """No persistence on purpose: what is in Redis may be lost at any time, and must never come back old."""
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        "protected-mode yes",
        f"requirepass {password(run_dir)}",
        'save ""',
        "appendonly no",
        "maxmemory 256mb",
        "maxmemory-policy noeviction",
    ]
    return "\n".join(lines) + "\n"
