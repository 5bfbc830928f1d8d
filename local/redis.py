"""Redis for one machine: the system's redis-server on loopback, with a password and without persistence."""

from pathlib import Path

from local.secret_files import kept_secret, write_private


def url(run_dir: Path, port: int) -> str:
    return f"redis://:{kept_secret(run_dir, 'redis')}@127.0.0.1:{port}/0"


def command(run_dir: Path, port: int) -> list[str]:
    """redis-server with a configuration file of its own: the password stays out of the list of processes.

    No persistence on purpose: what is in Redis may be lost at any time, and must never come back old.
    """
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        "protected-mode yes",
        f"requirepass {kept_secret(run_dir, 'redis')}",
        'save ""',
        "appendonly no",
        "maxmemory 256mb",
        "maxmemory-policy allkeys-lru",
        f"dir {run_dir}",
    ]
    configuration = run_dir / "redis.conf"
    write_private(configuration, "\n".join(lines) + "\n")
    return ["redis-server", str(configuration)]
