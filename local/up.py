"""`bin/up [--demo]`: set-up, start, seed, serve until Ctrl-C."""

import argparse
import asyncio
import fcntl
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT, SIGTERM, signal

from pydantic import ValidationError

from ivr.asterisk.instance import Instance
from ivr.settings import split_address
from local import asterisk, postgres
from local.accounts import SetupError
from local.command_line import ENVIRONMENT_FILE
from local.console_account import LOGIN, seed_console
from local.parts import (
    Addresses,
    addresses,
    asterisk_name,
    asterisk_part,
    environment,
    instance_folder,
    mmsc_part,
    outbox,
    pictures_folder,
    platform_parts,
    postgres_part,
    redis_part,
    smsc_part,
)
from local.ports import WantedPort, require_free
from local.prepare import prepare_core
from local.prompt_files import make_prompts
from local.secret_files import kept_secret, write_private
from local.seed import SeedKeys, seed
from local.settings import ROOT, LocalSettings
from local.setup import needs_of, provide
from local.supervisor import Part, Supervisor
from vns.errors import VnsError


def tell(line: str) -> None:
    """Progress, for people."""
    print(f"[vns] {line}", file=sys.stderr, flush=True)


@contextmanager
def sole_owner(run_dir: Path) -> Iterator[None]:
    """The kernel gives the lock back however this process ends. Raises SetupError when another runs here."""
    run_dir.mkdir(parents=True, exist_ok=True)
    run_dir.chmod(0o711)  # the servers' accounts pass through; texts and traces in it are for its owner
    for private in ("log", "demo"):
        (run_dir / private).mkdir(exist_ok=True, mode=0o700)
    with (run_dir / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise SetupError(
                f"bin/up runs already on {run_dir} (process {lock.read().strip() or 'unknown'}); "
                "VNS_RUN_DIR and other ports make a second platform"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def wanted_ports(settings: LocalSettings) -> list[WantedPort]:
    """The ports of the parts that are started here."""
    wanted = [
        WantedPort(part="the API", setting="VNS_HTTP_PORT", port=settings.http_port),
        WantedPort(part="bridge a", setting="VNS_AGI_PORT_A", port=settings.agi_port_a),
        WantedPort(part="bridge b", setting="VNS_AGI_PORT_B", port=settings.agi_port_b),
    ]
    for place in range(settings.asterisks) if settings.runs_asterisk else ():
        sip, ami, _, _ = settings.voice_ports(place)
        part = asterisk_name(place)
        udp = settings.sip_transport == "udp"
        wanted.append(WantedPort(part=f"Asterisk {part} (SIP)", setting="VNS_SIP_PORT", port=sip, udp=udp))
        wanted.append(WantedPort(part=f"Asterisk {part} (AMI)", setting="VNS_AMI_PORT", port=ami))
    if settings.needs_postgres:
        wanted.append(WantedPort(part="PostgreSQL", setting="VNS_PG_PORT", port=settings.pg_port))
    if settings.redis_url is None:
        wanted.append(WantedPort(part="Redis", setting="VNS_REDIS_PORT", port=settings.redis_port))
    if settings.smpp_url is None:
        wanted.append(WantedPort(part="the simulated SMSC", setting="VNS_SMSC_PORT", port=settings.smsc_port))
    if settings.simulates_mmsc:
        wanted.append(WantedPort(part="the simulated MMSC", setting="VNS_MMSC_PORT", port=settings.mmsc_port))
        wanted.append(WantedPort(part="reports of the MMSC", setting="VNS_MM7_LISTEN", port=settings.mm7_port))
    return wanted


def demo_port(settings: LocalSettings) -> WantedPort:
    """Where the demo's phones wait. Raises SetupError where the carrier is not the demo's to play."""
    address, port = split_address(settings.sip_trunk)
    if not address.startswith("127."):
        raise SetupError("--demo plays the carrier itself: VNS_SIP_TRUNK must be a loopback address for it")
    if settings.smpp_url is not None:
        raise SetupError("--demo shows texts at the simulated SMSC: unset VNS_SMPP_URL for it")
    return WantedPort(part="the demo's phones", setting="VNS_SIP_TRUNK", port=port, udp=True)


class Platform:
    """Everything of one run: what was set up, and the supervisor over it."""

    def __init__(self, settings: LocalSettings) -> None:
        self.settings = settings
        self._supervisor = Supervisor(settings.run_dir / "log", tell)
        self._postgres: postgres.PostgresServer | None = None
        self._instances: list[Instance] = []
        self._asterisk_program = ""

    def set_up(self, *, demo: bool) -> None:
        """All that needs no running part. Raises SetupError with the remedy."""
        settings = self.settings
        wanted = wanted_ports(settings) + ([demo_port(settings)] if demo else [])
        provide(needs_of(settings, demo=demo), tell, settings.run_dir / "log/setup.log")
        if settings.needs_postgres:
            self._postgres = postgres.prepare(settings.run_dir, settings.pg_port)  # also ends one left over
        if settings.runs_asterisk:
            installation = asterisk.install(settings.asterisk, ROOT / "var/asterisk", tell)
            root = installation.root
            self._instances = [
                Instance(folder=instance_folder(settings, root, place), root=root)
                for place in range(settings.asterisks)
            ]
            self._asterisk_program = installation.program
        make_prompts(Path(os.environ.get("VNS_PROMPTS_DIR", ROOT / "var/prompts")), tell)
        require_free(wanted)

    async def start(self) -> None:
        """Servers, then data, then the parts that use them; credentials last."""
        settings, run = self.settings, self.settings.run_dir
        where = addresses(settings, self._postgres)
        records = [instance.folder / "records" for instance in self._instances] or [
            run / "call-records" / str(number) for number in range(len(where.ami_urls))
        ]
        environ = environment(settings, where, records)
        _fresh_folder(run / "metrics")
        if pictures_folder(settings) is None:
            tell("pictures from handsets are refused: set VNS_MMS_FILES_PATH to a folder with a shorter path")
        tell("starting the servers")
        await self._supervisor.start(*self._servers(where, environ))
        keys = await self._data(where, Path(environ["VNS_KEYS_FILE"]))
        password = await seed_console(where.database_url, run, Path(environ["VNS_KEYS_FILE"]))
        write_private(run / ENVIRONMENT_FILE, "".join(f"{name}={value}\n" for name, value in sorted(environ.items())))
        tell("starting Asterisk, bridges, relay, worker and API")
        parts = platform_parts(settings, where, environ)
        asterisks = [
            asterisk_part(settings, place, instance, self._asterisk_program, environ)
            for place, instance in enumerate(self._instances)
        ]
        await self._supervisor.start(*asterisks, *parts)
        write_private(run / "credentials.json", json.dumps(self._credentials(where, keys, password), indent=2) + "\n")

    def _servers(self, where: Addresses, environ: dict[str, str]) -> list[Part]:
        servers = []
        if self._postgres is not None:
            servers.append(postgres_part(self._postgres))
        if self.settings.redis_url is None:
            servers.append(redis_part(self.settings))
        if self.settings.smpp_url is None:
            servers.append(smsc_part(self.settings, where, environ))
        if where.mm7_url is not None:
            servers.append(mmsc_part(self.settings, where.mm7_url, environ))
        return servers

    async def _data(self, where: Addresses, keys_file: Path) -> SeedKeys:
        """Roles and databases of the embedded server, schema, key ring, seed data."""
        run = self.settings.run_dir
        if self._postgres is not None:
            for role in ("vns", "npro"):
                password = kept_secret(run, f"database-{role}")
                await asyncio.to_thread(postgres.provide_database, self._postgres, role, password)
            await asyncio.to_thread(self._postgres.query, "alter database npro set timezone to 'Asia/Seoul'")
        await asyncio.to_thread(prepare_core, where.database_url, keys_file)
        return await seed(where.database_url, run)

    def _credentials(self, where: Addresses, keys: SeedKeys, console_password: str) -> dict[str, str | None]:
        """Exactly the keys that programs rely on."""
        return {
            "base_url": self.settings.base_url,
            "mall_key": keys.mall,
            "courier_key": keys.courier,
            "ops_key": keys.operator,
            "console_login": LOGIN,
            "console_password": console_password,
            "database_url": where.database_url,
            "npro_database_url": where.npro_database_url,
            "smsc": where.smpp_url,
            "sms_outbox": str(outbox(self.settings)) if self.settings.smpp_url is None else None,
        }

    async def stop(self) -> None:
        await self._supervisor.stop()


def _fresh_folder(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


async def play_story() -> bool:
    """The demo, as a program of its own; whether every step was right."""
    story = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "local.demo", cwd=ROOT, start_new_session=True
    )
    try:
        return await story.wait() == 0
    finally:
        if story.returncode is None:
            story.send_signal(SIGINT)  # it hangs its phones up
            await story.wait()


async def serve(platform: Platform, *, demo: bool) -> int:
    """Start, say READY, serve until SIGINT or SIGTERM. The exit code: 0, or 1 when the demo's story went wrong."""
    enough = asyncio.Event()
    for number in (SIGINT, SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, enough.set)
    stopping = asyncio.create_task(enough.wait())
    try:
        begun = asyncio.create_task(platform.start())
        if not await _before(begun, stopping):
            return 0
        print(f"READY {platform.settings.base_url}", flush=True)
        right = True
        if demo:
            story = asyncio.create_task(play_story())
            if not await _before(story, stopping):
                return 0
            right = story.result()
        tell(f"serving on {platform.settings.base_url} until Ctrl-C; logs in {platform.settings.run_dir / 'log'}")
        await stopping
        return 0 if right else 1
    finally:
        stopping.cancel()
        tell("stopping")
        await platform.stop()


async def _before(work: "asyncio.Task[object]", stopping: "asyncio.Task[bool]") -> bool:
    """Whether `work` came to its end before the signal to stop; it is cancelled otherwise. Raises what it raised."""
    await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if work.done():
        work.result()
        return True
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    return False


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/up", description="Starts the whole platform on this machine.")
    parser.add_argument("--demo", action="store_true", help="play the story on it, then go on serving")
    options = parser.parse_args()
    signal(SIGTERM, _interrupt)  # during set-up; while serving, the event loop takes it
    try:
        settings = LocalSettings()
        with sole_owner(settings.run_dir):
            platform = Platform(settings)
            platform.set_up(demo=options.demo)
            return asyncio.run(serve(platform, demo=options.demo))
    except ValidationError as problem:
        for error in problem.errors():  # the value stays out: it may be a password
            name = f"VNS_{'_'.join(map(str, error['loc'])).upper()}: " if error["loc"] else ""
            tell(f"settings: {name}{error['msg']}")
    except (SetupError, VnsError) as problem:
        tell(f"cannot start: {problem}")
    except KeyboardInterrupt:
        tell("stopped during set-up")
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main())
