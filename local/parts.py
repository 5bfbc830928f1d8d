"""The table of processes on one machine (docs/architecture.md), as parts for the supervisor."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT
from urllib.parse import urlsplit

from ivr.asterisk.configuration import write_configuration
from ivr.asterisk.instance import Instance
from ivr.nodes import ONLY
from ivr.settings import IvrSettings
from local import redis
from local.accounts import service_account
from local.asterisk import ACCOUNT as ASTERISK_ACCOUNT
from local.console_account import OWN_NUMBER
from local.postgres import ORPHAN_SECONDS, PostgresServer, clear_lock
from local.readiness import all_of, api_ready, asterisk_answers, connected_to, listens, redis_answers
from local.secret_files import kept_secret
from local.settings import ROOT, LocalSettings
from local.supervisor import Part
from sms_relay.settings import MOST_FOLDER

RECOVERY_SECONDS = 600.0  # PostgreSQL may have minutes of log to replay after a crash
API_PROCESSES = 2
SMSC_PREFIXES = ("050", "0708", "1877")  # texts to these numbers are the platform's, others go to a handset


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where everything is: the operator's own servers, or the embedded ones. Holds passwords."""

    database_url: str
    npro_database_url: str
    redis_url: str
    ami_urls: tuple[str, ...]
    smpp_url: str
    mm7_url: str | None = None  # of the simulated MMSC; what the operator names stays in the environment

    def __repr__(self) -> str:
        return "Addresses(…)"


def addresses(settings: LocalSettings, postgres: PostgresServer | None) -> Addresses:
    """`postgres`: the embedded server, where one is needed."""
    run = settings.run_dir

    def embedded(role: str) -> str:
        assert postgres is not None  # noqa: S101 - the caller prepares one unless both databases are named
        return postgres.url(role, role=role, password=kept_secret(run, f"database-{role}"))

    smsc_secret = kept_secret(run, "smsc", length=8)  # SMPP allows 8
    return Addresses(
        database_url=settings.database_url or embedded("vns"),
        npro_database_url=settings.npro_database_url or embedded("npro"),
        redis_url=settings.redis_url or redis.url(run, settings.redis_port),
        ami_urls=_ami_urls(settings),
        smpp_url=settings.smpp_url or f"smpp://vns:{smsc_secret}@127.0.0.1:{settings.smsc_port}",
        mm7_url=f"http://vns:{kept_secret(run, 'mmsc')}@127.0.0.1:{settings.mmsc_port}/mm7"
        if settings.simulates_mmsc
        else None,
    )


def _ami_urls(settings: LocalSettings) -> tuple[str, ...]:
    """One that runs alone is asked for no name, so that it may get company with calls under way."""
    if settings.ami_urls is not None:
        return tuple(url.strip() for url in settings.ami_urls.split(",") if url.strip())
    if settings.ami_url is not None:
        return (settings.ami_url,)
    secret = kept_secret(settings.run_dir, "ami")
    urls = [f"ami://vns:{secret}@127.0.0.1:{settings.voice_ports(place)[1]}" for place in range(settings.asterisks)]
    if len(urls) == 1:
        return (urls[0],)
    return tuple(f"{url}/{asterisk_name(place)}" for place, url in enumerate(urls))


def asterisk_name(place: int) -> str:
    """The system name of an Asterisk that runs here. The first one's stays when it gets company."""
    return ONLY if place == 0 else f"{ONLY}-{place + 1}"


def instance_folder(settings: LocalSettings, root: Path | None, place: int = 0) -> Path:
    """The folder of an Asterisk of this platform: inside its root, apart from other platforms of the same clone."""
    more = "" if place == 0 else f"-{place + 1}"
    if root is None:
        return settings.run_dir / f"asterisk{more}"
    secret = kept_secret(settings.run_dir, "asterisk-instance", length=12)
    return root / "srv" / "vns" / f"{secret}{more}"


def environment(settings: LocalSettings, where: Addresses, records: Sequence[Path]) -> dict[str, str]:
    """The settings of every part, and of `vns` on the command line. What the operator set otherwise stays.

    `records`: the folder of call records of each Asterisk.
    """
    passed_on = {name: value for name, value in os.environ.items() if name.startswith("VNS_")}
    run, pictures = settings.run_dir, pictures_folder(settings)
    return {
        # on one machine a few phones make all the calls: load is not abuse here
        "VNS_CALLS_PER_CALLER": "0",
        "VNS_CALLS_PER_NUMBER": "0",
        "VNS_VERIFICATION_CALLER_ID": OWN_NUMBER,
        **passed_on,
        "VNS_RUN_DIR": str(run),
        "VNS_DATABASE_URL": where.database_url,
        "VNS_NPRO_DATABASE_URL": where.npro_database_url,
        "VNS_REDIS_URL": where.redis_url,
        "VNS_AMI_URL": where.ami_urls[0],
        **({"VNS_AMI_URLS": ",".join(where.ami_urls)} if len(where.ami_urls) > 1 else {}),
        "VNS_SMPP_URL": where.smpp_url,
        **({"VNS_MM7_URL": where.mm7_url} if where.mm7_url is not None else {}),
        "VNS_SKNFILE_PATH": os.environ.get("VNS_SKNFILE_PATH", str(run / "mms-packages")),
        **({"VNS_MMS_FILES_PATH": pictures} if pictures is not None else {}),
        "VNS_BARCODE_FILES_PATH": os.environ.get("VNS_BARCODE_FILES_PATH", str(run / "barcodes")),
        "VNS_KEYS_FILE": os.environ.get("VNS_KEYS_FILE", str(run / "keys.json")),
        "VNS_HTTP_PORT": str(settings.http_port),
        "VNS_METRICS_DIR": str(run / "metrics"),
        "VNS_SIP_PORT": str(settings.sip_port),
        "VNS_SIP_TRUNK": settings.sip_trunk,
        "VNS_AGI_PORTS": f"{settings.agi_port_a},{settings.agi_port_b}",
        "VNS_RTP_FIRST_PORT": str(settings.rtp_first_port),
        "VNS_RTP_LAST_PORT": str(settings.rtp_last_port),
        "VNS_PROMPTS_DIR": os.environ.get("VNS_PROMPTS_DIR", str(ROOT / "var/prompts")),
        "VNS_CALL_RECORDS_DIR": os.environ.get("VNS_CALL_RECORDS_DIR", str(records[0])),
        **(
            {"VNS_CALL_RECORDS_DIRS": os.environ.get("VNS_CALL_RECORDS_DIRS", ",".join(map(str, records)))}
            if len(where.ami_urls) > 1
            else {}
        ),
        "VNS_STANDBY_DIR": os.environ.get("VNS_STANDBY_DIR", str(run / "standby")),
        "VNS_RECORDING_STORE_DIR": os.environ.get("VNS_RECORDING_STORE_DIR", str(run / "recordings")),
        "VNS_SMPP_PARTS_FILE": os.environ.get("VNS_SMPP_PARTS_FILE", str(run / "sms-parts.sqlite")),
    }


def pictures_folder(settings: LocalSettings) -> str | None:
    """Where pictures of relayed messages lie; None where its path is longer than the tables hold."""
    folder = os.environ.get("VNS_MMS_FILES_PATH", str(settings.run_dir / "mms-files"))
    named = "VNS_MMS_FILES_PATH" in os.environ  # then the relay says what is wrong with it
    return folder if named or len(folder) <= MOST_FOLDER else None


def outbox(settings: LocalSettings) -> Path:
    """Where the simulated SMSC and MMSC write the texts they were given, one JSON object a line."""
    return settings.run_dir / "sms-outbox.jsonl"


def postgres_part(server: PostgresServer) -> Part:
    return Part(
        name="postgres",
        command=server.command(),
        account=server.account,
        prepare=lambda: clear_lock(server.data),
        ready=lambda _: server.answers(),
        ready_seconds=RECOVERY_SECONDS,
        stop_signal=SIGINT,  # "fast": ends sessions, writes a checkpoint
        stop_seconds=ORPHAN_SECONDS,
        death_signal=SIGINT,
    )


def redis_part(settings: LocalSettings) -> Part:
    run, port = settings.run_dir, settings.redis_port
    return Part(
        name="redis",
        command=redis.COMMAND,
        stdin=redis.configuration(run, port),
        account=service_account(redis.ACCOUNT),
        ready=redis_answers(port, redis.password(run)),
    )


def asterisk_part(
    settings: LocalSettings, place: int, instance: Instance, program: str, environ: Mapping[str, str]
) -> Part:
    """The configuration is written anew before each start: a changed setting takes effect with a restart.

    The account is the machine's: the number of `asterisk` inside the root folder may be somebody else's outside.
    """
    sip, port, first_rtp, last_rtp = settings.voice_ports(place)
    ivr = ivr_settings(environ).model_copy(
        update={"sip_port": sip, "rtp_first_port": first_rtp, "rtp_last_port": last_rtp}
    )
    name = asterisk_name(place)
    console = [program, *instance.command()[2:]]
    if instance.root is not None:
        console = ["chroot", str(instance.root), *console]
    account = service_account(ASTERISK_ACCOUNT)

    def prepare() -> None:
        write_configuration(instance, ivr, systemname=name)
        if account is not None:
            for path in (instance.folder, *instance.folder.rglob("*")):
                os.chown(path, account.uid, account.gid)

    return Part(
        name="asterisk" if place == 0 else f"asterisk-{place + 1}",
        command=[program, *instance.command()[1:]],
        chroot=instance.root,
        account=account,
        prepare=prepare,
        ready=asterisk_answers(port, console),
    )


def ivr_settings(environ: Mapping[str, str]) -> IvrSettings:
    """The voice side's settings as its own processes will read them."""
    fields = {
        name.removeprefix("VNS_").lower(): value
        for name, value in environ.items()
        if name.removeprefix("VNS_").lower() in IvrSettings.model_fields
    }
    return IvrSettings.model_validate(fields)


def module_part(
    name: str, module: str, arguments: list[str], environ: Mapping[str, str], ready: Callable[..., bool]
) -> Part:
    """A Python process of the platform. `-P`: the folder it runs in is no place for modules."""
    return Part(
        name=name,
        command=[sys.executable, "-P", "-m", module, *arguments],
        environment={**environ, "PYTHONUNBUFFERED": "1"},
        cwd=ROOT,
        ready=ready,
    )


def smsc_part(settings: LocalSettings, where: Addresses, environ: Mapping[str, str]) -> Part:
    """The simulated SMSC, with the account that `where.smpp_url` names."""
    account = urlsplit(where.smpp_url)
    arguments = ["--port", str(settings.smsc_port), "--outbox", str(outbox(settings))]
    arguments += ["--system-id", account.username or "", "--password", account.password or ""]
    arguments += ["--platform-prefixes", ",".join(SMSC_PREFIXES)]
    return module_part("smsc", "simulators.smsc", arguments, environ, listens(settings.smsc_port))


def mmsc_part(settings: LocalSettings, url: str, environ: Mapping[str, str]) -> Part:
    """The simulated MMSC, with the account that `url` names. Its reports go to the one MM7 link that the relay has."""
    account = urlsplit(url)
    arguments = ["--port", str(settings.mmsc_port), "--outbox", str(outbox(settings))]
    arguments += ["--user", account.username or "", "--password", account.password or ""]
    arguments += ["--report-url", f"http://{settings.mm7_listen}/mm7/mm7", "--files", str(settings.run_dir / "mms")]
    return module_part("mmsc", "simulators.mmsc", arguments, environ, listens(settings.mmsc_port))


def platform_parts(settings: LocalSettings, where: Addresses, environ: Mapping[str, str]) -> list[Part]:
    """Bridges, relay, worker and API: what needs the servers, and starts together.

    Bridges and relay count as ready once they are connected to the Asterisk and the SMSC that run here; nobody waits
    for the operator's own.
    """
    database = urlsplit(where.database_url).port or 5432
    npro = urlsplit(where.npro_database_url).port or 5432
    places = range(settings.asterisks) if settings.runs_asterisk else ()
    asterisk = [settings.voice_ports(place)[1] for place in places]
    smsc = [settings.smsc_port] if settings.smpp_url is None else []
    bridges = [
        module_part(
            f"bridge-{name}",
            "ivr",
            ["--name", name, "--port", str(port)],
            environ,
            all_of(listens(port), connected_to(*asterisk)),
        )
        for name, port in (("a", settings.agi_port_a), ("b", settings.agi_port_b))
    ]
    api = [
        module_part(f"api-{number}", "api", [], environ, api_ready(settings.http_port))
        for number in range(1, API_PROCESSES + 1)
    ]
    relay = module_part("relay", "sms_relay", [], environ, connected_to(database, npro, *smsc))
    worker = module_part("worker", "vns.maintenance", [], environ, connected_to(database))
    return [*bridges, relay, worker, *api]
