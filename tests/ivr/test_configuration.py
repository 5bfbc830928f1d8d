"""The generated configuration: from settings and tables, in its own folder, with nothing left to fill in."""

import os
import re
import stat
from pathlib import Path

import pytest

from ivr.asterisk.configuration import REASON_OF_CAUSE, TEMPLATES, write_configuration
from ivr.asterisk.instance import Instance
from ivr.nodes import question_token, split_ami_url
from ivr.prompts.texts import PROMPTS
from ivr.settings import IvrSettings, split_address
from vns.routing.rules import REFUSALS, Reason

REACHED_NOBODY = 'vns-${IF($["${TRIED}"=""]?answer:team)}'


@pytest.fixture
def settings(tmp_path: Path) -> IvrSettings:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    for name in PROMPTS:
        (prompts / f"{name}.wav").write_text(f"spoken {name}")
    return IvrSettings(
        ami_url="ami://bridge:p%40ss@127.0.0.1:6038",
        agi_ports=(6001, 6002, 6003),
        sip_port=6060,
        sip_trunk="192.0.2.7:5099",
        ring_timeout_seconds=17,
        prompts_dir=prompts,
    )


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    """Inside a root folder, as a program of another Debian has it."""
    root = tmp_path / "root"
    (root / "usr/lib/x86_64-linux-gnu/asterisk/modules").mkdir(parents=True)
    (root / "etc").mkdir()
    (root / "etc/passwd").write_text(f"asterisk:x:{os.getuid()}:{os.getgid()}::/:/bin/false\n")
    return Instance(folder=root / "srv/one", root=root)


def written(instance: Instance, name: str) -> str:
    return (instance.folder / "etc" / name).read_text()


def test_nothing_is_left_to_fill_in(instance: Instance, settings: IvrSettings) -> None:
    write_configuration(instance, settings)
    names = {template.name for template in TEMPLATES.glob("*.conf")}
    assert {path.name for path in (instance.folder / "etc").iterdir()} == names
    assert all("§" not in written(instance, name) for name in names)


def test_paths_are_those_that_asterisk_sees(instance: Instance, settings: IvrSettings) -> None:
    write_configuration(instance, settings)
    text = written(instance, "asterisk.conf")
    assert "astrundir => /srv/one/run" in text
    assert "astmoddir => /usr/lib/x86_64-linux-gnu/asterisk/modules" in text
    assert instance.command() == ["asterisk", "-f", "-C", "/srv/one/etc/asterisk.conf"]
    assert instance.chroot_command()[:3] == ["chroot", "--userspec=asterisk", str(instance.root)]
    for name in ("cache", "lib", "log", "records", "run", "spool"):
        assert (instance.folder / name).is_dir()


def test_settings_arrive(instance: Instance, settings: IvrSettings) -> None:
    write_configuration(instance, settings)
    assert "bind = 127.0.0.1:6060" in written(instance, "pjsip.conf")
    assert "contact = sip:192.0.2.7:5099" in written(instance, "pjsip.conf")
    assert "match = 192.0.2.7\n" in written(instance, "pjsip.conf")
    sizes = re.findall(r"^threadpool_(?:initial|max)_size = (\d+)$", written(instance, "pjsip.conf"), re.MULTILINE)
    assert len(sizes) == 2
    assert len(set(sizes)) == 1, "the pool does not grow"
    assert int(sizes[0]) >= 8
    manager = written(instance, "manager.conf")
    assert "[bridge]\nsecret = p@ss\n" in manager
    assert "port = 6038" in manager
    dialplan = written(instance, "extensions.conf")
    assert "Dial(PJSIP/${NUM}@trunk-${NUM:-1},17${" in dialplan
    assert dialplan.count(question_token(settings.ami_url)) == dialplan.count("AGI(agi://")


def test_bridges_are_tried_in_turn_and_then_the_caller_hears_overload(
    instance: Instance, settings: IvrSettings
) -> None:
    write_configuration(instance, settings)
    dialplan = written(instance, "extensions.conf")
    ports = re.findall(r"AGI\(agi://127\.0\.0\.1:(\d+)/question,", dialplan)
    assert list(dict.fromkeys(ports)) == ["6001", "6002", "6003"]
    for place, port in enumerate(("6002", "6003"), start=1):
        context = dialplan[dialplan.index(f"[vns-ask-{place}]") :].partition("\n\n")[0]
        assert f":{port}/question," in context
        assert f"exten => T,1,Goto(vns-ask-{place + 1},s,1)" in context
    last = dialplan[dialplan.index("[vns-ask-3]") :].partition("\n\n")[0]
    assert "Goto(vns-answer,overload,1)" in last


def test_what_a_call_has_come_by_is_handed_over_when_it_asks_again_and_costs_its_first_question_nothing(
    instance: Instance, settings: IvrSettings
) -> None:
    write_configuration(instance, settings)
    dialplan = written(instance, "extensions.conf")
    token = question_token(settings.ami_url)
    first, again = dialplan.split("[vns-ask-0]")
    again, answers = again.split("[vns-answer]")
    assert "TRIED" not in first
    assert again.count(f",${{URIENCODE(${{DIGITS}})}},${{TRIED}},${{CALLER}},{token})") == 3, "of each bridge"
    assert again.count("AGI(agi://") == 3
    team = answers[answers.index("[vns-team]") :].partition("\n\n")[0]
    assert "Dial(" not in team
    assert "?over,1:vns-ask-0,s,1)" in team
    limited = answers[answers.index("[vns-limited]") :].partition("\n\n")[0]
    assert limited.count("recording_notice,noanswer") == limited.count("Set(TOLD=1)") == 1


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_prompt_and_cause(instance: Instance, settings: IvrSettings, reason: Reason) -> None:
    write_configuration(instance, settings)
    refusal = REFUSALS[reason]
    dialplan = written(instance, "extensions.conf")
    steps = dialplan[dialplan.index(f"exten => {reason},1,") :].split("exten =>")[1]
    own = f'${{IF($["${{PROMPT_{reason}}}"=""]?{refusal.prompt}:${{PROMPT_{reason}}})}}'
    assert f"Playback(/srv/one/prompts/{own},noanswer)" in steps
    assert f"Hangup({refusal.cause})" in steps
    assert (instance.folder / f"prompts/{refusal.prompt}.wav").read_text() == f"spoken {refusal.prompt}"


@pytest.mark.parametrize(("cause", "reason"), REASON_OF_CAUSE.items())
def test_causes_of_the_targets_network(instance: Instance, settings: IvrSettings, cause: int, reason: Reason) -> None:
    write_configuration(instance, settings)
    assert f"exten => c{cause},1,Goto({REACHED_NOBODY},{reason},1)" in written(instance, "extensions.conf")


def context(dialplan: str, name: str) -> str:
    return dialplan.partition(f"\n[{name}]\n")[2].partition("\n[")[0]


def test_who_calls_is_tidied_where_plain_calls_do_not_come(instance: Instance, settings: IvrSettings) -> None:
    write_configuration(instance, settings)
    dialplan, tidied = written(instance, "extensions.conf"), "${SET(CALLERID(num)=${FILTER("
    assert tidied not in context(dialplan, "vns-in")
    asked = [line for line in context(dialplan, "vns-in-read").splitlines() if "/question," in line]
    assert asked
    assert all(f"/question,{tidied}" in line for line in asked)
    assert dialplan.count(tidied) == len(asked)


def test_no_call_stays_with_what_its_caller_chose(instance: Instance, settings: IvrSettings) -> None:
    """Refused, or asked for digits, it stays for a while."""
    write_configuration(instance, settings)
    dialplan = written(instance, "extensions.conf")
    for reason in Reason:
        assert f"exten => {reason},1,MSet(TIMEOUT(absolute)=0,REASON={reason},CALLERID(num)=)" in dialplan
    [collect] = re.findall("exten => s,1,MSet.TRIES=0.*", context(dialplan, "vns-collect"))
    assert ",CALLERID(num)=${FILTER(" in collect


def test_nobody_says_in_the_middle_of_a_call_who_it_is(instance: Instance, settings: IvrSettings) -> None:
    write_configuration(instance, settings)
    carrier = written(instance, "pjsip.conf").partition("\n[carrier](!)\n")[2].partition("\n[")[0]
    assert "\ntrust_connected_line = no\n" in carrier
    assert "trust_connected_line = yes" not in written(instance, "pjsip.conf")


def test_what_a_caller_chose_is_only_handed_on_encoded(instance: Instance, settings: IvrSettings) -> None:
    write_configuration(instance, settings)
    dialplan = written(instance, "extensions.conf")
    assert dialplan.count("PJSIP_HEADER(read,") == dialplan.count("${URIENCODE(${PJSIP_HEADER(read,")
    encoded, tidied = (dialplan.count(f"${{{said}") for said in ("URIENCODE(${CALLERID(dnid)})}", "FILTER(0-9A-Za-z+"))
    assert dialplan.count("${CALLERID(") == encoded + tidied
    assert "${EXTEN" not in dialplan


@pytest.mark.parametrize(
    ("trunk", "address"), [("192.0.2.7:5099", "192.0.2.7"), ("localhost:5099", "127.0.0.1")], ids=["address", "name"]
)
def test_calls_found_by_a_header_are_let_in_from_the_trunk_alone(
    instance: Instance, settings: IvrSettings, trunk: str, address: str
) -> None:
    write_configuration(instance, settings.model_copy(update={"sip_trunk": trunk}))
    text = written(instance, "pjsip.conf")
    endpoint = text[text.index("[trunk-in-read](") :].partition("\n[")[0]
    permitted = re.findall(r"^permit = (.*)$", endpoint, re.MULTILINE)
    assert re.findall(r"^deny = (.*)$", endpoint, re.MULTILINE) == ["0.0.0.0/0", "::/0"]
    assert address in permitted
    assert set(permitted) <= {address, "::1"}  # a machine's own name may have both
    assert text.count("match_header = ") == text.count("endpoint = trunk-in-read\n")


def test_recordings_replace_the_synthetic_voice(instance: Instance, settings: IvrSettings, tmp_path: Path) -> None:
    recordings = tmp_path / "studio"
    recordings.mkdir()
    (recordings / "busy.wav").write_text("a real voice")
    write_configuration(instance, settings.model_copy(update={"recordings_dir": recordings}))
    assert (instance.folder / "prompts/busy.wav").read_text() == "a real voice"
    assert (instance.folder / "prompts/ended.wav").read_text() == "spoken ended"


def test_secrets_are_not_for_everybody(instance: Instance, settings: IvrSettings) -> None:
    write_configuration(instance, settings)
    assert stat.S_IMODE((instance.folder / "etc/manager.conf").stat().st_mode) == 0o600
    assert stat.S_IMODE((instance.folder / "etc").stat().st_mode) == 0o750


def test_two_instances_share_nothing(instance: Instance, settings: IvrSettings) -> None:
    other = Instance(folder=instance.folder.with_name("two"), root=instance.root)
    write_configuration(instance, settings)
    before = written(instance, "asterisk.conf")
    write_configuration(other, settings)
    assert written(instance, "asterisk.conf") == before
    assert "/srv/one/" not in "".join(path.read_text() for path in (other.folder / "etc").iterdir())


def test_an_asterisk_of_the_machine_sees_what_we_see(tmp_path: Path) -> None:
    assert Instance(folder=tmp_path).inside == str(tmp_path.resolve())
    assert Instance(folder=tmp_path).owner() is None


@pytest.mark.parametrize("url", ["", "http://a:b@h:1", "ami://h:1", "ami://user@h:1"])
def test_a_manager_url_without_what_it_needs(url: str) -> None:
    with pytest.raises(ValueError, match="VNS_AMI_URL"):
        split_ami_url(url)


def test_addresses_and_ports_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VNS_AGI_PORTS", "1,2")
    assert IvrSettings().agi_ports == (1, 2)
    assert split_address("192.0.2.1:5070") == ("192.0.2.1", 5070)
    assert split_address("192.0.2.1") == ("192.0.2.1", 5060)


def test_each_of_several_asterisks_gets_its_own_address_and_begins_with_another_bridge(
    instance: Instance, settings: IvrSettings
) -> None:
    both = settings.model_copy(
        update={
            "ami_urls": ("ami://bridge:one@127.0.0.1:6038/north", "ami://bridge:two@127.0.0.1:6039/south"),
            "call_records_dirs": (Path("north/records"), Path("south/records")),
            "agi_bridges": ("192.0.2.1:4573", "192.0.2.2:4573"),
        }
    )
    write_configuration(instance, both, systemname="south")
    assert "systemname = south\n" in written(instance, "asterisk.conf")
    assert "port = 6039\n" in written(instance, "manager.conf")
    bridges = re.findall(r"AGI\(agi://([\d.:]+)/question,", written(instance, "extensions.conf"))
    assert list(dict.fromkeys(bridges)) == ["192.0.2.2:4573", "192.0.2.1:4573"]
    with pytest.raises(ValueError, match="north, south"):
        write_configuration(instance, both)


def test_a_trunk_over_tls_has_its_keys_in_asterisks_own_folder(
    instance: Instance, settings: IvrSettings, tmp_path: Path
) -> None:
    for name in ("certificate", "key", "ca"):
        (tmp_path / name).write_text(f"the {name}")
    encrypted = settings.model_copy(
        update={
            "sip_transport": "tls",
            "sip_tls_certificate": tmp_path / "certificate",
            "sip_tls_key": tmp_path / "key",
            "sip_tls_ca": tmp_path / "ca",
            "sip_media_encryption": "sdes",
        }
    )
    write_configuration(instance, encrypted)
    text = written(instance, "pjsip.conf")
    assert "contact = sip:192.0.2.7:5099\\;transport=tls\n" in text
    assert "media_encryption = sdes\n" in text
    for line in ("protocol = tls", "verify_server = yes", "verify_client = no", "priv_key_file = /srv/one/lib/keys"):
        assert line in text
    key = instance.folder / "lib/keys/trunk-key.pem"
    assert (key.read_text(), stat.S_IMODE(key.stat().st_mode)) == ("the key", 0o600)
    write_configuration(instance, settings)
    assert "media_encryption = no\n" in written(instance, "pjsip.conf")
    assert not list((instance.folder / "lib/keys").iterdir()), "keys that are not used any more lie nowhere"
