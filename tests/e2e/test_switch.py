"""The generated configuration, loaded by a real Asterisk."""

import psutil
import pytest

from tests.e2e.conftest import Switch

pytestmark = pytest.mark.asterisk


def test_the_sip_channel_runs(switch: Switch) -> None:
    assert " Running " in switch.console("module show like chan_pjsip.so")


def test_nothing_was_wrong_at_the_start(switch: Switch) -> None:
    log = (switch.instance.folder / "log/messages.log").read_text()
    assert " ERROR[" not in log
    assert "extensions.conf" not in log, "a step of the dialplan was not understood"


def test_the_trunk_is_known_by_its_address_and_not_probed(switch: Switch) -> None:
    assert "127.0.0.1/32" in switch.console("pjsip show endpoint trunk-in")
    assert "NonQual" in switch.console("pjsip show endpoint trunk")
    aor = switch.console("pjsip show aor trunk")
    assert "qualify_frequency" in aor
    assert aor.split("qualify_frequency")[1].split()[1] == "0"


def test_every_door_is_on_the_loopback(switch: Switch) -> None:
    """The one exception: pjproject's DNS client keeps a socket for each address family, whatever the configuration."""
    sockets = psutil.Process(switch.process.pid).net_connections("inet")
    assert {one.laddr.ip for one in sockets if one.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
    open_to_all = [one for one in sockets if one.laddr.ip in {"0.0.0.0", "::"}]  # noqa: S104 - looked for
    assert len(open_to_all) <= 2
    assert switch.settings.sip_port not in {one.laddr.port for one in open_to_all}


def test_the_manager_has_only_the_classes_it_needs(switch: Switch) -> None:
    shown = switch.console("manager show user vns")
    assert "read perm: system,user" in shown
    assert "write perm: call,reporting" in shown


def test_asterisk_writes_no_records_of_its_own(switch: Switch) -> None:
    """They would hold both parties' numbers."""
    assert "Disabled" in switch.console("cdr show status")
    assert "Disabled" in switch.console("cel show status")
