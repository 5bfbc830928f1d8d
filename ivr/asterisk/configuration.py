"""Writes the configuration of one Asterisk: the settings and the platform's tables, put into the templates."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from string import Template

from ivr.prompts.texts import PROMPTS
from ivr.settings import IvrSettings, split_address, split_ami_url
from vns.routing.rules import REFUSALS, Reason

TEMPLATES = Path(__file__).parent / "templates"
FOLDERS = ("cache", "etc", "lib", "lib/keys", "log", "prompts", "records", "run", "spool")
PRIVATE = 0o750

# Q.850 causes with which a target's network turned the call away. Every other cause: unreachable, as is a network
# that neither answers nor ever rings (18).
REASON_OF_CAUSE: dict[int, Reason] = {
    17: Reason.BUSY,
    19: Reason.NO_ANSWER,
    21: Reason.BUSY,  # declined: the caller need not know
}

# The fields of a record, in the order in which ivr.ami.records reads them. None holds a party's number.
_RECORD = "|".join(
    (
        "${UNIQUEID}",
        "${STRFTIME(,,%s.%3q)}",
        "${BRIDGE}",
        "${REASON}",
        "${DIALSTATUS}",
        "${HANGUPCAUSE}",
        "${DIALLED_AT}",
        "${RINGTIME_MS}",
        "${ANSWEREDTIME_MS}",
        "${CHANNEL}",
        "${CHANNEL(hangupsource)}",
        '${IF($[${REGEX("^(050|070|1[568])[0-9]+$" ${DIALLED})}]?${DIALLED}:)}',
    )
)


class _ConfTemplate(Template):
    """`$` and `@` belong to Asterisk's own syntax."""

    delimiter = "§"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One Asterisk. `folder`: all its own files, as we see it. `root`: the folder that it takes for `/`, or None where
    it is a program of this machine like any other. Several may run side by side, each with folder and ports of its own.
    """

    folder: Path
    root: Path | None = None

    @property
    def inside(self) -> str:
        """`folder` as Asterisk sees it. Raises ValueError when it lies outside the root."""
        if self.root is None:
            return str(self.folder.resolve())
        return "/" + str(self.folder.resolve().relative_to(self.root.resolve()))

    @property
    def modules(self) -> str:
        """Asterisk's folder of modules. Raises FileNotFoundError when there is none."""
        root = self.root or Path("/")
        for found in sorted(root.glob("usr/lib*/**/asterisk/modules")):
            return "/" + str(found.relative_to(root))
        raise FileNotFoundError("no Asterisk modules below usr/lib")

    def command(self) -> list[str]:
        """Asterisk in the foreground, as it is called inside its root, by the user that owns `folder`."""
        return ["asterisk", "-f", "-C", f"{self.inside}/etc/asterisk.conf"]

    def chroot_command(self) -> list[str]:
        """The same from outside, for whoever may enter the root."""
        if self.root is None:
            return self.command()
        return ["chroot", "--userspec=asterisk", str(self.root), *self.command()]

    def owner(self) -> tuple[int, int] | None:
        """User and group number of `asterisk` inside the root; None where there is no root to look into."""
        if self.root is None:
            return None
        for line in (self.root / "etc/passwd").read_text().splitlines():
            name, _, uid, gid, *_ = line.split(":")
            if name == "asterisk":
                return int(uid), int(gid)
        raise LookupError("no user asterisk inside the root")


def write_configuration(
    target: Instance, settings: IvrSettings, *, extra_dialplan: str = "", systemname: str = "vns"
) -> None:
    """Make the folders, the configuration and the prompts of one Asterisk; what was there is replaced.

    `extra_dialplan`: further contexts, for benchmarks. `systemname` goes before every channel's unique id.
    Prompts come from `settings.prompts_dir`, or from `recordings_dir` where that has one of the name.
    """
    for name in FOLDERS:
        (target.folder / name).mkdir(parents=True, exist_ok=True)
    values = _values(target, settings, extra_dialplan, systemname)
    for template in sorted(TEMPLATES.glob("*.conf")):
        text = _ConfTemplate(template.read_text()).substitute(values)
        (target.folder / "etc" / template.name).write_text(text)
    _copy_prompts(target, settings)
    _hand_over(target)


def _values(target: Instance, settings: IvrSettings, extra_dialplan: str, systemname: str) -> dict[str, str]:
    ami_host, ami_port, ami_user, ami_secret = split_ami_url(settings.ami_url)
    trunk_address, trunk_port = split_address(settings.sip_trunk)
    return {
        "inside": target.inside,
        "modules": target.modules,
        "data": "/usr/share/asterisk",
        "systemname": systemname,
        "sip_address": settings.sip_address,
        "sip_port": str(settings.sip_port),
        "trunk_address": trunk_address,
        "trunk_port": str(trunk_port),
        "rtp_first_port": str(settings.rtp_first_port),
        "rtp_last_port": str(settings.rtp_last_port),
        "ami_host": ami_host,
        "ami_port": str(ami_port),
        "ami_user": ami_user,
        "ami_secret": ami_secret,
        "ring_timeout": str(settings.ring_timeout_seconds),
        "record": _RECORD,
        "entry": _entry(settings),
        "ask": _ask(settings),
        "refusals": "\n".join(_refusal(reason, target.inside) for reason in Reason),
        "no_response": f'$["${{RINGTIME_MS}}"=""]?vns-answer,{Reason.UNREACHABLE},1:vns-answer,{Reason.NO_ANSWER},1',
        "causes": "\n".join(
            f"exten => c{cause},1,Goto(vns-answer,{reason},1)" for cause, reason in REASON_OF_CAUSE.items()
        ),
        "extra": extra_dialplan,
    }


def _entry(settings: IvrSettings) -> str:
    """Where calls arrive. Every step costs: the first bridge is asked right here, and variables are set together."""
    lines = []
    for pattern in ("s", "_[+0-9]!", "_[a-zA-Z*#]."):
        lines += [
            f"exten => {pattern},1,Set(CHANNEL(hangup_handler_push)=vns-ended,s,1)",
            f" same => n,MSet(DIALLED=${{URIENCODE(${{EXTEN}})}},{_time_out(settings)})",
            *_question(settings, 0),
        ]
    return "\n".join([*lines, _after_time_out(0)])


def _ask(settings: IvrSettings) -> str:
    """One context for each further bridge, and the last resort."""
    contexts = []
    for place in range(1, len(settings.agi_ports)):
        lines = [f"[vns-ask-{place}]", f"exten => s,1,Set({_time_out(settings)})", *_question(settings, place)]
        contexts.append("\n".join([*lines, _after_time_out(place)]))
    contexts.append(f"[vns-ask-{len(settings.agi_ports)}]\nexten => s,1,Goto(vns-answer,{Reason.OVERLOAD},1)")
    return "\n\n".join(contexts)


def _question(settings: IvrSettings, place: int) -> list[str]:
    headers = [
        f"${{URIENCODE(${{PJSIP_HEADER(read,{header})}})}}" for header in ("P-Asserted-Identity", "From", "Privacy")
    ]
    arguments = ",".join(["${DIALLED}", *headers])
    return [
        f" same => n,AGI(agi://{settings.agi_host}:{settings.agi_ports[place]}/question,{arguments})",
        f' same => n,GotoIf($["${{ACT}}"=""]?vns-ask-{place + 1},s,1:vns-answer,${{ACT}},1)',
    ]


def _time_out(settings: IvrSettings) -> str:
    return f"TIMEOUT(absolute)={settings.agi_timeout_seconds}"


def _after_time_out(place: int) -> str:
    return f"exten => T,1,Goto(vns-ask-{place + 1},s,1)"


def _refusal(reason: Reason, inside: str) -> str:
    refusal = REFUSALS[reason]
    return (
        f"exten => {reason},1,MSet(TIMEOUT(absolute)=0,REASON={reason})\n"
        " same => n,Progress()\n"
        f" same => n,Playback({inside}/prompts/{refusal.prompt},noanswer)\n"
        f" same => n,Hangup({refusal.cause})"
    )


def _copy_prompts(target: Instance, settings: IvrSettings) -> None:
    for name in PROMPTS:
        source = settings.prompts_dir / f"{name}.wav"
        if settings.recordings_dir is not None and (settings.recordings_dir / f"{name}.wav").exists():
            source = settings.recordings_dir / f"{name}.wav"
        shutil.copyfile(source, target.folder / "prompts" / f"{name}.wav")


def _hand_over(target: Instance) -> None:
    """Secrets are for Asterisk's user alone; the records folder is read by the bridges, which are not that user."""
    owner = target.owner()
    places = [target.folder, *target.folder.rglob("*")]
    for place in places:
        if owner is not None and os.geteuid() == 0:
            os.chown(place, *owner)
        if place.is_dir():
            place.chmod(PRIVATE)
    (target.folder / "etc/manager.conf").chmod(0o600)
