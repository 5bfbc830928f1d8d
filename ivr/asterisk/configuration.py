"""Writes the configuration of one Asterisk: the settings and the platform's tables, put into the templates."""

import os
import shutil
from pathlib import Path
from string import Template

from ivr.asterisk import spread
from ivr.asterisk.headers import identifications
from ivr.asterisk.instance import Instance
from ivr.asterisk.trunk import PRIVATE_FILES, contact_parameters, copy_keys, permitted, transport
from ivr.nodes import ONLY, question_token, split_ami_url
from ivr.prompts import tones
from ivr.prompts.texts import PROMPTS
from ivr.settings import IvrSettings, split_address
from vns.routing.rules import REFUSALS, Reason
from vns.verifications.rules import LONGEST_TALK, TIMES_SPOKEN

TEMPLATES = Path(__file__).parent / "templates"
FOLDERS = (
    *("cache", "etc", "lib", "lib/keys", "log", "run", "spool"),
    *("prompts", "prompts/custom", f"prompts/{tones.FOLDER}", "recordings", "records", "records/verifications"),
)
PRIVATE = 0o750

# Q.850 causes with which a target's network turned the call away. Every other cause: unreachable, as is a network
# that neither answers nor ever rings (18).
REASON_OF_CAUSE: dict[int, Reason] = {
    17: Reason.BUSY,
    19: Reason.NO_ANSWER,
    21: Reason.BUSY,  # declined: the caller need not know
}

# Where a target that was not reached leads: of a team the next one may be tried. TRIED: who was rung under `dial`.
_UNREACHED = 'vns-${IF($["${TRIED}"=""]?answer:team)}'
FEWEST_SIP_THREADS, SIP_THREADS_A_CORE = 8, 4  # of the SIP stack's pool
DIGIT_TIMEOUT = 5  # seconds of silence after which the digits are complete

# The number that the caller dialled, of a channel wherever it is.
_DIALLED = "${URIENCODE(${CALLERID(dnid)})}"

# Who calls, without what is in no number: a caller chose that text, and Asterisk would show it to whoever lists its
# channels, line ends included. What is left has no character that means something to the dialplan.
_CALLER = r"${FILTER(0-9A-Za-z+*#.\x3b\x2d,${CALLERID(num)})}"
_TIDY_CALLER = f"${{SET(CALLERID(num)={_CALLER}):0:0}}"  # in passing, like the time below

# Sets a variable in passing: a step of its own would cost more.
_NOW = "${SET(DIALLED_AT=${STRFTIME(,,%s.%3q)}):0:0}"

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
        "${ANSWEREDTIME_MS}@${ANSWERED_AT}",
        "${CHANNEL}",
        "${CHANNEL(hangupsource)}",
        f'${{IF($[${{REGEX("^(050|070|1[568])[0-9]+$" {_DIALLED})}}]?{_DIALLED}:)}}',
    )
)


class _ConfTemplate(Template):
    """`$` and `@` belong to Asterisk's own syntax."""

    delimiter = "§"


def write_configuration(
    target: Instance, settings: IvrSettings, *, extra_dialplan: str = "", systemname: str | None = None
) -> None:
    """Make the folders, the configuration and the prompts of one Asterisk; what was there is replaced.

    `extra_dialplan`: further contexts, for benchmarks. `systemname` goes before every channel's unique id, and says
    which of several Asterisks this is; None: the only one. Raises ValueError when the settings know none of the name.
    Prompts come from `settings.prompts_dir`, or from `recordings_dir` where that has one of the name.
    """
    place, node = settings.node(systemname)
    # each Asterisk begins with another bridge, so that all of them work and not only stand by
    first = place % len(settings.bridges)
    settings = settings.model_copy(
        update={
            "ami_url": node.ami_url,
            "agi_bridges": settings.bridges[first:] + settings.bridges[:first],
        }
    )
    for name in FOLDERS:
        (target.folder / name).mkdir(parents=True, exist_ok=True)
    values = _values(target, settings, extra_dialplan, systemname or node.name or ONLY)
    for template in sorted(TEMPLATES.glob("*.conf")):
        text = _ConfTemplate(template.read_text()).substitute(values)
        (target.folder / "etc" / template.name).write_text(text)
    _copy_prompts(target, settings)
    tones.prepare(target.folder / "prompts", f"{target.inside}/prompts")
    copy_keys(target, settings)
    _hand_over(target)


def _values(target: Instance, settings: IvrSettings, extra_dialplan: str, systemname: str) -> dict[str, str]:
    ami_host, ami_port, ami_user, ami_secret = split_ami_url(settings.ami_url)
    trunk_address, trunk_port = split_address(settings.sip_trunk)
    let_in = permitted(trunk_address)
    return {
        "inside": target.inside,
        "modules": target.modules,
        "data": "/usr/share/asterisk",
        "systemname": systemname,
        "sip_address": settings.sip_address,
        "transport": transport(target, settings),
        "trunk_address": trunk_address,
        "trunk_permitted": let_in,
        "spread_in": spread.incoming("trunk-in", permitted=let_in),
        "spread_out": spread.outgoing("trunk"),
        "sip_threads": str(max(FEWEST_SIP_THREADS, SIP_THREADS_A_CORE * (os.cpu_count() or 1))),
        "read_headers": identifications("trunk-in-read"),
        "trunk_contact": f"sip:{trunk_address}:{trunk_port}{contact_parameters(settings)}",
        "media_encryption": {"none": "no"}.get(settings.sip_media_encryption, settings.sip_media_encryption),
        "rtp_first_port": str(settings.rtp_first_port),
        "rtp_last_port": str(settings.rtp_last_port),
        "ami_host": ami_host,
        "ami_port": str(ami_port),
        "ami_user": ami_user,
        "ami_secret": ami_secret,
        "ring_timeout": str(settings.ring_timeout_seconds),
        "record": _RECORD,
        "caller": _CALLER,
        "now": _NOW,
        "time_out": _time_out(settings),
        "tones": tones.DATABASE,
        "entry": _entry(settings),
        "entry_read": _entry(settings, read=True),
        "ask": _ask(settings),
        "refusals": "\n".join(_refusal(reason, target.inside) for reason in Reason),
        "no_response": f'$["${{RINGTIME_MS}}"=""]?{_UNREACHED},{Reason.UNREACHABLE},1'
        f":{_UNREACHED},{Reason.NO_ANSWER},1",
        "unreached": _UNREACHED,
        "overload_cause": str(REFUSALS[Reason.OVERLOAD].cause),
        "digit_timeout": str(DIGIT_TIMEOUT),
        "causes": "\n".join(
            f"exten => c{cause},1,Goto({_UNREACHED},{reason},1)" for cause, reason in REASON_OF_CAUSE.items()
        ),
        "longest_verification": str(round(LONGEST_TALK.total_seconds())),
        "times_spoken": str(TIMES_SPOKEN),
        "extra": extra_dialplan,
    }


def _entry(settings: IvrSettings, *, read: bool = False) -> str:
    """Where calls arrive. Every step costs, so the first bridge is asked right here; its answer leads away.

    `read`: calls of which the question has to read the headers, see ivr.asterisk.headers. Every call with line
    ends in From is one.
    """
    lines = []
    question = _question(settings, 0, read=read, tidy=read)
    for pattern in ("s", "_[+0-9]!", "_[a-zA-Z*#]."):
        lines += [f"exten => {pattern},1,{question}", " same => n,Goto(vns-ask-1,s,1)"]
    return "\n".join([*lines, _after_time_out(0)])


def _ask(settings: IvrSettings) -> str:
    """One context for each further bridge, and the last resort.

    0: where a call asks anew, with digits, or for the next of a team.
    """
    contexts = []
    for place in range(len(settings.bridges)):
        lines = [
            f"[vns-ask-{place}]",
            f"exten => s,1,Set({_time_out(settings)})",
            f" same => n,{_question(settings, place, read=True, again=True)}",
            f" same => n,Goto(vns-ask-{place + 1},s,1)",
        ]
        contexts.append("\n".join([*lines, _after_time_out(place)]))
    contexts.append(f"[vns-ask-{len(settings.bridges)}]\nexten => s,1,Goto(vns-answer,{Reason.OVERLOAD},1)")
    return "\n\n".join(contexts)


def _question(settings: IvrSettings, place: int, *, read: bool, again: bool = False, tidy: bool = False) -> str:
    """In the order of ivr.agi.question. `again`: with what the call has come by since it was asked about first."""
    headers = [f"${{URIENCODE(${{PJSIP_HEADER(read,{header})}})}}" for header in ("P-Asserted-Identity", "Privacy")]
    given = ["${URIENCODE(${DIGITS})}", "${TRIED}", "${CALLER}"] if again else []
    dialled = (_TIDY_CALLER if tidy else "") + _DIALLED
    arguments = ",".join([dialled, *(headers if read else []), *given, question_token(settings.ami_url)])
    return f"AGI(agi://{settings.bridges[place]}/question,{arguments})"


def _time_out(settings: IvrSettings) -> str:
    return f"TIMEOUT(absolute)={settings.agi_timeout_seconds}"


def _after_time_out(place: int) -> str:
    return f"exten => T,1,Goto(vns-ask-{place + 1},s,1)"


def _refusal(reason: Reason, inside: str) -> str:
    refusal = REFUSALS[reason]
    return (
        f"exten => {reason},1,MSet(TIMEOUT(absolute)=0,REASON={reason},CALLERID(num)=)\n"
        " same => n,Progress()\n"
        f' same => n,Playback({inside}/prompts/${{IF($["${{PROMPT_{reason}}}"=""]?{refusal.prompt}'
        f":${{PROMPT_{reason}}})}},noanswer)\n"
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
    for name in ("etc/manager.conf", *PRIVATE_FILES):
        if (target.folder / name).exists():
            (target.folder / name).chmod(0o600)
